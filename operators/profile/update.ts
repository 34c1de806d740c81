/**
 * What PROFILE hands to the operators after it. Passes of the stage: `profile` (ProfileUpdate) when a live profile may
 * read differently, `depart` (Handover) when it leaves for another: each operator adds what it keeps, the last sends it.
 */
import type { Adoption, ConsentState, Entry, Handover, SeenIdentifier, TraitValue } from '../../schemas/avro/types.ts'
import type { EventMatch } from '../../schemas/definitions.ts'

export const profilePass = 'profile'
export const departPass = 'depart'

export type ProfileUpdate = {
  readonly tenant: string
  readonly profileId: string
  readonly view: ProfileView
  readonly cause: Cause
  /** A hand-over is announced or under way, so events are missing that may have happened at any time. */
  readonly pending: boolean
  /** The part of a hand-over that came in with this update. */
  readonly arrived: Handover | null
}

export type Cause =
  | {
      readonly kind: 'event'
      readonly eventId: string
      readonly eventName: string | null
      readonly eventTimeMs: number
      readonly collectorTstampMs: number
      /** Older than the newest event the profile had before. */
      readonly late: boolean
    }
  | { readonly kind: 'timer' }
  | { readonly kind: 'handover'; readonly eventId: string; readonly effectiveAtMs: number }
  /** A replay is promoted: what was told under the generation before counts, and no longer what the replay told nobody. */
  | {
      readonly kind: 'adoption'
      readonly adoption: Adoption
      /** The profile that this one went into; null when it is there, or never was. */
      readonly mergedInto: string | null
    }

/**
 * The merge of the fragments a profile owns: the same for every order in which their events came. Matches must be the
 * very objects of the definitions in force, or the view knows nothing of them and throws.
 */
export type ProfileView = {
  /** Time of the first event; Infinity while there is none. */
  readonly firstSeenMs: number
  /** Time of the newest event; -Infinity while there is none. */
  readonly lastSeenMs: number
  readonly events: number
  /** By namespace, then hash. */
  readonly identifiers: readonly SeenIdentifier[]
  /** The value at an instant: windowed counts move with it. Counts and sums are always set. */
  trait(id: string, clockMs: number): TraitValue | undefined
  consent(purpose: string): ConsentState | undefined
  /** How many events matched, ever. */
  total(match: EventMatch): number
  /** The newest matching events, newest first by (time, event id); as many as the rules in force look at. */
  newest(match: EventMatch): readonly Entry[]
}
