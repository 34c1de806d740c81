/** What SEGMENT hands to the operators after it: the update it was given, and what it made of it. */
import type { Membership, MembershipTransition } from '../../schemas/avro/types.ts'
import type { ProfileUpdate } from '../profile/update.ts'

export const membershipsPass = 'memberships'

export type MembershipUpdate = {
  readonly profile: ProfileUpdate
  /** All that are known, also of segments left; those of the profile alone, not of one that arrived. */
  readonly memberships: readonly Membership[]
  /** What changed in this update. */
  readonly transitions: readonly MembershipTransition[]
}
