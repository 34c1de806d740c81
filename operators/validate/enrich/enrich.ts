/**
 * Enrichments: what VALIDATE adds to an event that was read without complaint. Each is pure; this is their order, that of
 * Snowplow's Enrich: what identifies a person is hidden last, when nothing needs it any more.
 */
import { perDefinitions } from '../../memo.ts'
import type { Draft } from '../draft.ts'
import { bots } from './bots.ts'
import { campaigns } from './campaigns.ts'
import { cookies } from './cookies.ts'
import { crossNavigation } from './cross-navigation.ts'
import { derivedTimestamp } from './derived-timestamp.ts'
import type { EnrichmentOf, Work } from './enrichment.ts'
import { eventFingerprint } from './fingerprint.ts'
import { headers } from './headers.ts'
import { ipAnonymisation } from './ip-anonymisation.ts'
import { pseudonyms } from './pseudonyms.ts'
import { referers } from './referers.ts'
import { pageUrls } from './url.ts'
import { userAgent } from './user-agent.ts'

export const order: readonly EnrichmentOf[] = [
  pageUrls,
  derivedTimestamp,
  userAgent,
  referers,
  campaigns,
  crossNavigation,
  eventFingerprint,
  cookies,
  headers,
  bots,
  ipAnonymisation,
  pseudonyms,
]

const enrichmentsOf = perDefinitions((definitions) =>
  order.map((enrichmentOf) => enrichmentOf(definitions)).filter((enrichment) => enrichment !== null),
)

/** Runs the tenant's enrichments over the draft. */
export function enrich(draft: Draft, work: Work, definitions: Parameters<typeof enrichmentsOf>[0]): void {
  for (const enrichment of enrichmentsOf(definitions)) enrichment(draft, work)
}
