/** What is answered when somebody asks for a profile, wherever it was read. */
import type { Profile, SegmentState } from '../schemas/avro/types.ts'

export type ProfileAnswer = Profile & {
  /** The ids that led to it, if the one asked for was merged. */
  readonly mergedFrom: readonly string[]
  /** Segments it is in now, by id. */
  readonly memberships: readonly CurrentMembership[]
}

export type CurrentMembership = {
  readonly segmentId: string
  readonly sinceMs: number
  /** When it leaves if nothing more happens; null when that is never. */
  readonly untilMs: number | null
}

/** By id of the segment. */
export function membershipsOf(state: SegmentState | undefined): readonly CurrentMembership[] {
  return (state?.memberships ?? [])
    .filter(({ member }) => member)
    .map(({ segmentId, effectiveAtMs, validUntilMs }) => ({ segmentId, sinceMs: effectiveAtMs, untilMs: validUntilMs }))
    .sort((a, b) => (a.segmentId < b.segmentId ? -1 : 1))
}
