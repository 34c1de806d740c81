/** What a running Millrace has to say of itself at a moment. */
import type { MembershipTransition } from '../../schemas/avro/types.ts'
import type { ProfileWriterStatus } from '../../serving/redis/profile-writer.ts'
import type { DeliveryState } from '../deliveries.ts'
import type { Quantiles } from '../latency.ts'
import type { Totals } from '../totals.ts'

export type Status = {
  readonly url: string
  readonly dataFolder: string
  readonly upMs: number
  readonly totals: Totals
  /** Over the last seconds. */
  readonly eventsPerSecond: number
  /** From the append of an event to the commit of the transitions it caused, within the last minute. */
  readonly latencyMs: Quantiles | null
  readonly segments: readonly { readonly id: string; readonly members: number }[]
  /** Newest first. */
  readonly transitions: readonly MembershipTransition[]
  readonly destinations: readonly DeliveryState[]
  /** How far Redis is; null when nothing is written there. */
  readonly redis: ProfileWriterStatus | null
  /** Events that the made-up shop got through, and did not; null without one. */
  readonly shop: { readonly sent: number; readonly lost: number } | null
  readonly stopping: boolean
}

/** The status as one JSON value: what `start --json` prints each second. */
export function statusJson(status: Status): Record<string, unknown> {
  const { totals, segments, destinations, transitions, ...rest } = status
  return {
    kind: 'status',
    ...totals,
    delivered: destinations.reduce((sum, { delivered }) => sum + delivered, 0),
    ...rest,
    members: Object.fromEntries(segments.map(({ id, members }) => [id, members])),
    destinations,
    transitions: transitions.slice(0, 10).map(({ segmentId, profileId, status, reason, effectiveAtMs }) => ({
      segmentId,
      profileId,
      status,
      reason,
      effectiveAtMs,
    })),
  }
}
