/** What every enrichment is: a step that reads an event in the making and adds to it. */
import type { RawEvent, SelfDescribing } from '../../../schemas/avro/types.ts'
import type { Definitions } from '../../../schemas/definitions.ts'
import type { Parameters } from '../bad-row.ts'
import type { Draft } from '../draft.ts'
import type { Findings } from '../failure.ts'

/** Sets columns of the draft where the event does not state them itself. What it cannot derive goes to the findings. */
export type Enrichment = (draft: Draft, work: Work) => void

/** The enrichment of a tenant; null where its definitions leave it out. */
export type EnrichmentOf = (definitions: Definitions) => Enrichment | null

/** One event's way through the enrichments. */
export type Work = {
  readonly raw: RawEvent
  /** As they were sent, merged, by name. */
  readonly fields: Parameters
  /** Log time. */
  readonly atMs: number
  readonly findings: Findings
  /** Derived entities, in the order in which they were added. */
  readonly entities: SelfDescribing[]
}
