/** Who sends: the network user id and the address of a request, and what the visitor's wish not to be known makes of them. */
import { isIP } from 'node:net'
import { anonymousNetworkUserId } from '../raw-event.ts'

/** Header values by lower-case name, as Node gives them. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

export type Visitor = {
  readonly networkUserId: string
  readonly ipAddress: string
  /** `Name: value`, without what is nobody's business in a log. */
  readonly headers: readonly string[]
  /** What is to become of the cookie: kept for another year, removed, or left alone. */
  readonly cookie: 'set' | 'expire' | 'none'
}

export type Request = {
  readonly headers: Headers
  /** Without the question mark; null when there is none. */
  readonly querystring: string | null
  readonly socketAddress: string
}

/** Domains a cookie may be set for: the first that the page's origin lies in, else the fallback, else the collector's own host. */
export type CookieDomains = { readonly domains?: readonly string[]; readonly fallbackDomain?: string }

/**
 * With a header `SP-Anonymous` the visitor is nobody: no id, no address, no cookie. Else the id is that of the
 * querystring, the cookie, or a new one, in this order; one that no collector could have given out counts as none.
 * Of the cookies only those to keep are written to the log.
 */
export function visitorOf(
  request: Request,
  trustProxy: boolean,
  newId: () => string,
  keptCookies: ReadonlySet<string> = none,
): Visitor {
  const cookie = cookieOf(request.headers)
  if (request.headers['sp-anonymous'] !== undefined) {
    return {
      networkUserId: anonymousNetworkUserId,
      ipAddress: 'unknown',
      headers: headerLines(request.headers, identifyingHeaders),
      cookie: cookie === null ? 'none' : 'expire',
    }
  }
  const asked = request.querystring === null ? null : new URLSearchParams(request.querystring).get('nuid')
  return {
    networkUserId: plausible(asked) ?? plausible(cookie) ?? newId(),
    ipAddress: (trustProxy ? forwardedAddress(request.headers) : null) ?? request.socketAddress,
    headers: [...headerLines(request.headers, secretHeaders), ...cookieLine(request.headers, keptCookies)],
    cookie: 'set',
  }
}

/** The value of a Set-Cookie header; null when the cookie is to be left alone. */
export function setCookie(
  visitor: Visitor,
  headers: Headers,
  { domains = [], fallbackDomain }: CookieDomains,
): string | null {
  if (visitor.cookie === 'none') return null
  const host = hostOf(textOf(headers['origin']))
  const domain = domains.find((domain) => host === domain || host?.endsWith(`.${domain}`)) ?? fallbackDomain
  const value = visitor.cookie === 'set' ? `sp=${visitor.networkUserId}; Max-Age=${365 * 86_400}` : 'sp=; Max-Age=0'
  return `${value}; Path=/;${domain === undefined ? '' : ` Domain=${domain};`} Secure; HttpOnly; SameSite=None`
}

export const textOf = (header: string | readonly string[] | undefined): string | null =>
  header === undefined ? null : typeof header === 'string' ? header : header.join(', ')

const plausible = (id: string | null): string | null => (id !== null && /^[\w.-]{1,128}$/.test(id) ? id : null)

const none: ReadonlySet<string> = new Set()

/** Never written to the log; of the cookies those that an enrichment names. */
const secretHeaders: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie'])
const identifyingHeaders: ReadonlySet<string> = new Set([...secretHeaders, 'x-forwarded-for', 'x-real-ip', 'forwarded'])

function headerLines(headers: Headers, without: ReadonlySet<string>): readonly string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!without.has(name) && value !== undefined) lines.push(`${name}: ${textOf(value)}`)
  }
  return lines
}

function cookieLine(headers: Headers, kept: ReadonlySet<string>): readonly string[] {
  if (kept.size === 0) return []
  const pairs = textOf(headers['cookie'])?.split(';') ?? []
  const named = pairs.map((pair) => pair.trim()).filter((pair) => kept.has(pair.split('=', 1)[0]!.trim()))
  return named.length === 0 ? [] : [`Cookie: ${named.join('; ')}`]
}

function cookieOf(headers: Headers): string | null {
  for (const pair of textOf(headers['cookie'])?.split(';') ?? []) {
    const [name, value] = pair.split('=', 2)
    if (name?.trim() === 'sp') return value?.trim() ?? ''
  }
  return null
}

/** The first valid address that proxies report. */
function forwardedAddress(headers: Headers): string | null {
  const listed = textOf(headers['x-forwarded-for'])?.split(',') ?? []
  const standard = [...(textOf(headers['forwarded']) ?? '').matchAll(/for="?\[?([0-9a-fA-F.:]+)/gi)].map(
    ([, address]) => address!,
  )
  return [...listed, ...standard].map((address) => address.trim()).find((address) => isIP(address) !== 0) ?? null
}

function hostOf(origin: string | null): string | null {
  return origin === null ? null : (/^https?:\/\/([^/:,\s]+)/.exec(origin)?.[1] ?? null)
}
