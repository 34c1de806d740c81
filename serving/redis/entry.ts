/** What each record of the topics that Redis follows becomes there. */
import type { Codec } from '../../runtime/codec.ts'
import type { StoredRecord } from '../../runtime/record.ts'
import { decodeRow } from '../../runtime/row.ts'
import { changelogOf } from '../../runtime/topology.ts'
import type { SegmentState } from '../../schemas/avro/types.ts'
import { membershipsOf } from '../profile-answer.ts'
import type { EntryKind } from './keys.ts'

export type Entry = {
  readonly kind: EntryKind
  readonly profileId: string
  /**
   * Where the record stands in its topic, which with the generation is the entry's version. Not the record's own
   * sequence: a tombstone has none, and must win over what was written before it all the same.
   */
  readonly offset: number
  /** JSON, or for an alias the id of the survivor; null: nothing is left. */
  readonly value: string | null
  /** `namespace:hash` of the identifiers it is found by. */
  readonly identifiers: readonly string[]
}

/** A topic that is followed: compacted, key tenant/profileId. */
export type EntryTopic = {
  readonly topic: string
  readonly recordKind: string
  readonly kind: EntryKind
  /** The value and identifiers of an entry; the value null when there is nothing to keep. */
  readonly contentOf: (value: Buffer, codec: Codec) => Pick<Entry, 'value' | 'identifiers'>
}

const segmentSection = { name: 'segment', state: 'SegmentState' } as const

export const entryTopics: readonly EntryTopic[] = [
  {
    topic: 'profiles',
    recordKind: 'profile',
    kind: 'profile',
    contentOf: (value, codec) => {
      const profile = codec.decode('Profile', value)
      const identifiers = profile.identifiers.map(({ namespace, hash }) => `${namespace}:${hash}`)
      return { value: JSON.stringify(profile), identifiers }
    },
  },
  {
    topic: 'identity.aliases',
    recordKind: 'alias',
    kind: 'alias',
    contentOf: (value, codec) => ({ value: codec.decode('IdentityAlias', value).mergedInto, identifiers: [] }),
  },
  {
    // not `segments.memberships`: that has no instants at which profiles will leave, and all transitions since ever
    topic: changelogOf('profile'),
    recordKind: 'row',
    kind: 'memberships',
    contentOf: (value, codec) => {
      const [section] = decodeRow(value, [segmentSection], codec).sections
      const memberships = membershipsOf(section?.value(codec, segmentSection.state) as SegmentState | undefined)
      return { value: memberships.length === 0 ? null : JSON.stringify(memberships), identifiers: [] }
    },
  },
]

/** The entries of a batch of records, the last of each key, in order of offset; those of other tenants are left out. */
export function entriesOf(
  { kind, recordKind, contentOf }: EntryTopic,
  tenant: string,
  records: readonly StoredRecord[],
  codec: Codec,
): readonly Entry[] {
  const prefix = `${tenant}/`
  const last = new Map<string, StoredRecord>()
  for (const record of records) {
    if (record.kind !== recordKind || !record.key.startsWith(prefix)) continue
    last.delete(record.key) // so that it comes last
    last.set(record.key, record)
  }
  return [...last.values()].map(({ key, value, offset }) => ({
    kind,
    profileId: key.slice(prefix.length),
    offset,
    ...(value === null ? { value: null, identifiers: [] } : contentOf(value, codec)),
  }))
}
