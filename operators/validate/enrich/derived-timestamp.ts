/** When it happened, corrected for a device's wrong clock by what it says of the moment of sending. */
import { isTimestampMs } from '../../../schemas/timestamp.ts'
import type { Draft } from '../draft.ts'
import type { Enrichment, Work } from './enrichment.ts'

/**
 * `derived_tstamp`: the event's true time where it states one; else the collector's, less the time between the event and
 * its sending by the device's clock; else the collector's. Exact to the millisecond.
 */
export const derivedTimestamp = (): Enrichment => setDerived

function setDerived(draft: Draft, { findings }: Work): void {
  if (draft.derived_tstamp !== null) return
  const ms = derivedMs(draft)
  if (!isTimestampMs(ms)) findings.underivable('derived_tstamp', String(ms), 'a timestamp of the years 0 to 9999')
  draft.derived_tstamp = ms
}

type Times = Pick<Draft, 'true_tstamp' | 'dvce_created_tstamp' | 'dvce_sent_tstamp' | 'collector_tstamp'>

export function derivedMs(times: Times): number {
  const { true_tstamp: trueMs, dvce_created_tstamp: createdMs, dvce_sent_tstamp: sentMs, collector_tstamp } = times
  if (trueMs !== null) return trueMs
  if (createdMs === null || sentMs === null || createdMs >= sentMs) return collector_tstamp
  return collector_tstamp - (sentMs - createdMs)
}
