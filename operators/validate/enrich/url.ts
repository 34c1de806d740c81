/** URLs of the page and of its referrer as columns: split, never decoded. */
import { type Column, type ColumnName, columnOf, setColumn } from '../columns.ts'
import type { Draft } from '../draft.ts'
import type { Findings } from '../failure.ts'
import type { Enrichment } from './enrichment.ts'

/** Splits `page_url` and `page_referrer` into their parts; the former is rewritten to what was read. */
export const pageUrls = (): Enrichment => setUrls

function setUrls(draft: Draft, { findings }: { readonly findings: Findings }): void {
  const page = draft.page_url === null ? null : urlParts(draft.page_url)
  if (page) {
    setColumn(draft, urlColumn, page.text, findings)
    setParts(draft, pageColumns, page, findings)
    draft.page_urlport = page.port
  }
  const referrer = draft.page_referrer === null ? null : urlParts(draft.page_referrer)
  if (referrer) {
    setParts(draft, referrerColumns, referrer, findings)
    draft.refr_urlport = referrer.port
  }
}

type TextPart = 'scheme' | 'host' | 'path' | 'query' | 'fragment'
type PartColumns = Readonly<Record<TextPart, Column>>

function setParts(draft: Draft, columns: PartColumns, parts: UrlParts, findings: Findings): void {
  setColumn(draft, columns.scheme, parts.scheme, findings)
  setColumn(draft, columns.host, parts.host, findings)
  setColumn(draft, columns.path, parts.path, findings)
  setColumn(draft, columns.query, parts.query, findings)
  setColumn(draft, columns.fragment, parts.fragment, findings)
}

const partColumns = (prefix: 'page' | 'refr'): PartColumns => {
  const column = (part: TextPart): Column => columnOf(`${prefix}_url${part}` as ColumnName)
  return {
    scheme: column('scheme'),
    host: column('host'),
    path: column('path'),
    query: column('query'),
    fragment: column('fragment'),
  }
}
const urlColumn = columnOf('page_url')
const pageColumns = partColumns('page')
const referrerColumns = partColumns('refr')

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
