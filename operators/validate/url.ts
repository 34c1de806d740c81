/** URLs as columns: split, never decoded. */

export type UrlParts = {
  /** The whole, with what may not stand in a URL percent-encoded. */
  readonly text: string
  readonly scheme: string
  readonly host: string
  /** Explicit, or by the scheme: 443 for https, else 80. */
  readonly port: number
  readonly path: string | null
  readonly query: string | null
  readonly fragment: string | null
}

const grammar = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s
const authority = /^(?:[^@]*@)?(\[[0-9a-fA-F:.]+\]|[^:[\]]*)(?::(\d*))?$/
const illegal = /[\s"<>\\^`{|}\p{Cc}]|%(?![0-9a-fA-F]{2})/u
const illegalAll = new RegExp(illegal.source, 'gu')

/** The parts of an absolute URL (RFC 3986); null when it is none: an event is not refused for its page's address. */
export function urlParts(url: string): UrlParts | null {
  const text = illegal.test(url) ? url.trim().replace(illegalAll, encodeURIComponent) : url
  const parts = grammar.exec(text)
  if (!parts) return null
  const [, scheme, place, path, query, fragment] = parts
  const server = authority.exec(place!)
  if (!server?.[1]) return null
  const port = server[2] ? Number(server[2]) : scheme!.toLowerCase() === 'https' ? 443 : 80
  if (port > 65_535) return null
  return {
    text,
    scheme: scheme!,
    host: server[1],
    port,
    path: path || null,
    query: query || null,
    fragment: fragment || null,
  }
}
