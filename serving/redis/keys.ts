/**
 * What Millrace's keys in Redis are called. All keys of a tenant share the hash tag `{tenant}`: on a cluster they live on
 * one node, so that one script may touch several of them, and positions are lost only together with what they tell of.
 */

/** profile: the golden record. memberships: the segments it is in. alias: the profile it was merged into. */
export type EntryKind = 'profile' | 'memberships' | 'alias'

/** A hash of `value`, its version `generation` and `offset`, and the `identifiers` it is listed under. */
export const entryKey = (tenant: string, kind: EntryKind, profileId: string): string =>
  `${prefixOf(tenant)}${kind}:${profileId}`

/** A set of profile ids. The key takes the keyed hash of the value: nobody without the tenant's secret can test an e-mail. */
export const identifierSetKey = (tenant: string, identifier: string): string =>
  `${identifierPrefix(tenant)}${identifier}`

export const identifierPrefix = (tenant: string): string => `${prefixOf(tenant)}identifier:`

/** A hash: how far each topic partition has been written, and of which log. */
export const positionsKey = (tenant: string): string => `${prefixOf(tenant)}positions`

export const everyKeyPattern = (tenant: string): string => `${prefixOf(tenant)}*`

const prefixOf = (tenant: string): string => `millrace:{${tenant}}:`
