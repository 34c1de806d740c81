/** Where a visitor came from: the referrer classified by lists of search engines, networks and the like. */
import type { Definitions, RefererRule, RefererSource } from '../../../schemas/definitions.ts'
import { columnOf, setColumn } from '../columns.ts'
import type { Enrichment } from './enrichment.ts'
import { queryValues } from './query.ts'
import { builtInReferers } from './referer-list.ts'

/**
 * Sets `refr_medium`, `refr_source` and `refr_term` of an event that has a referrer: `internal` when it is of the page's
 * own host or of an internal domain, that of the list, or `unknown`. Without a referrer a chatbot may still say who it
 * is, in the page's `utm_source`.
 */
export function referers({ enrichments: { referers: rule } }: Definitions): Enrichment | null {
  if (!rule) return null
  const book = new RefererBook([...rule.sources, ...builtInReferers])
  const isInternal = internalTest(rule)
  return (draft, { findings }) => {
    if (draft.refr_medium !== null) return
    const host = draft.refr_urlhost?.toLowerCase()
    if (host === undefined) {
      const campaign = draft.page_urlquery === null ? undefined : queryValues(draft.page_urlquery, utmSource)
      const chatbot = campaign && book.find(campaign.get('utm_source')!.toLowerCase(), null)
      if (chatbot?.medium !== 'chatbot') return
      draft.refr_medium = chatbot.medium
      setColumn(draft, sourceColumn, chatbot.source, findings)
      return
    }
    if (host === draft.page_urlhost?.toLowerCase() || isInternal(host)) {
      draft.refr_medium = 'internal'
      return
    }
    const found = book.find(host, draft.refr_urlpath)
    if (!found) {
      draft.refr_medium = 'unknown'
      return
    }
    setColumn(draft, mediumColumn, found.medium, findings)
    setColumn(draft, sourceColumn, found.source, findings)
    if (found.parameters.size === 0 || draft.refr_urlquery === null) return
    const [term] = queryValues(draft.refr_urlquery, found.parameters)?.values() ?? []
    if (term !== undefined) setColumn(draft, termColumn, term, findings)
  }
}

const utmSource: ReadonlySet<string> = new Set(['utm_source'])
const mediumColumn = columnOf('refr_medium')
const sourceColumn = columnOf('refr_source')
const termColumn = columnOf('refr_term')

function internalTest({ internalDomains }: RefererRule): (host: string) => boolean {
  const hosts = new Set(internalDomains.filter((domain) => !domain.startsWith('*.')))
  const suffixes = internalDomains.filter((domain) => domain.startsWith('*.')).map((domain) => domain.slice(1))
  return (host) => hosts.has(host) || suffixes.some((suffix) => host.endsWith(suffix))
}

type Referer = { readonly medium: string; readonly source: string; readonly parameters: ReadonlySet<string> }

/** Domains of referrers; the first source that names one has it. */
class RefererBook {
  readonly #domains = new Map<string, Referer>()
  /** Hosts of which some paths are other sources. */
  readonly #divided = new Set<string>()

  constructor(sources: readonly RefererSource[]) {
    for (const { medium, source, domains, parameters } of sources) {
      const referer = { medium, source, parameters: new Set(parameters) }
      for (const domain of domains) {
        const slash = domain.indexOf('/')
        if (slash > 0) this.#divided.add(domain.slice(0, slash))
        if (!this.#domains.has(domain)) this.#domains.set(domain, referer)
      }
    }
  }

  /** By the host and its path, else by the host, else by the domains above it. */
  find(host: string, path: string | null): Referer | undefined {
    if (host.length > hostLengthMax) return undefined
    for (let domain = host; domain !== ''; ) {
      const found = this.#at(domain, path)
      if (found) return found
      const dot = domain.indexOf('.')
      const rest = dot < 0 ? '' : domain.slice(dot + 1)
      if (country.test(rest)) return this.#at(`${domain.slice(0, dot)}.*`, path)
      domain = rest
    }
    return undefined
  }

  #at(domain: string, path: string | null): Referer | undefined {
    if (path !== null && this.#divided.has(domain)) {
      const second = path.indexOf('/', 1)
      const divided =
        this.#domains.get(domain + path) ?? this.#domains.get(domain + (second < 0 ? path : path.slice(0, second)))
      if (divided) return divided
    }
    return this.#domains.get(domain)
  }
}

const hostLengthMax = 253

/** What stands for `*` in `google.*`: `com`, `de`, `co.uk`, `com.br`. */
const country = /^(?:(?:com?|org|net)\.)?[a-z]{2,3}$/
