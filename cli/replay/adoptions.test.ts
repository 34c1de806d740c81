import { expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { MemoryLog } from '../../runtime/memory/log.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { encodeRow, Section } from '../../runtime/row.ts'
import { allTopics } from '../../runtime/topology.ts'
import type { Fragment, Membership, Sent } from '../../schemas/avro/types.ts'
import { customerData } from '../../topologies/customer-data.ts'
import { adoptionsOf } from './adoptions.ts'

const codec = new Codec(fixedSchemaIds())
const operators = [
  { name: 'profile', state: 'ProfileState' },
  { name: 'segment', state: 'SegmentState' },
  { name: 'activate', state: 'ActivationState' },
] as const

const membership: Membership = {
  segmentId: 's',
  version: 'v',
  member: true,
  seq: 3,
  effectiveAtMs: 1,
  validUntilMs: null,
}
const sentFor = (profileId: string): Sent => ({
  destinationId: 'mail',
  segmentId: 's',
  profileId,
  identifiers: [],
  traitsDigest: '',
  seq: 1,
})

function fragmentOf(hash: string): Fragment {
  const identifier = { namespace: 'email', value: hash, hash, firstSeenMs: 1, lastSeenMs: 1 }
  return {
    key: `email:${hash}`,
    ownerSeq: 0,
    firstSeenMs: 1,
    lastSeenMs: 1,
    events: 1,
    fields: {},
    aggregates: {},
    identifiers: [identifier],
    consents: {},
  }
}

type Stored = { readonly hash?: string; readonly forward?: string; readonly told?: true }

/** A row: with an identifier of that hash, merged into another, a member of `s` whom a destination holds. */
function row(profileId: string, { hash, forward, told }: Stored): AddressedRecord {
  const key = `shop/${profileId}`
  const profile = {
    tenant: 'shop',
    profileId,
    createdAtMs: 1,
    forward: forward === undefined ? null : { to: forward, mergeId: 'm', identitySeq: 1 },
    handovers: [],
    fragments: hash === undefined ? [] : [fragmentOf(hash)],
  }
  const states = [
    profile,
    ...(told
      ? [
          { definitions: 'd', memberships: [membership] },
          { seq: 7, sent: [sentFor(profileId)] },
        ]
      : []),
  ]
  const sections = states.map((state) => Section.ofValue(state))
  const value = encodeRow({ clockMs: 1, indexedAtMs: null, timers: [], sections }, operators, codec)
  return { topic: 'profile.changelog', partition: 0, kind: 'row', key, value, timestampMs: 1 }
}

function alias(profileId: string, mergedInto: string): AddressedRecord {
  const value = codec.encode('IdentityAlias', { tenant: 'shop', profileId, mergedInto, identitySeq: 1 })
  const key = `shop/${profileId}`
  return { topic: 'identity.aliases', partition: 0, kind: 'alias', key, value, timestampMs: 1 }
}

/** On its way from one that has left to the other, whose task has not taken it in. */
function handover(from: string, to: string): AddressedRecord {
  const value = codec.encode('Handover', {
    tenant: 'shop',
    mergeId: 'm',
    from,
    to,
    identitySeq: 1,
    part: 1,
    parts: 1,
    createdAtMs: 1,
    effectiveAtMs: 1,
    eventId: 'e',
    fragments: [],
    handovers: [],
    memberships: [],
    sent: [sentFor(from)],
  })
  return { topic: 'events.identified', partition: 0, kind: 'handover', key: `shop/${to}`, value, timestampMs: 1 }
}

const topologyWith = (profile: number) => customerData([], { identify: 1, graph: 1, profile })

async function logOf(profilePartitions: number, records: readonly AddressedRecord[]): Promise<MemoryLog> {
  const log = new MemoryLog()
  await log.createTopics(allTopics(topologyWith(profilePartitions)))
  await log.append(records)
  return log
}

test('what readers and destinations know goes to the profile itself, or to its heir', async () => {
  const live = await logOf(1, [
    row('both', { hash: '1' }),
    row('both', { hash: '1', told: true }),
    row('merged', { hash: '2', told: true }),
    row('renamed', { hash: '3', told: true }),
    row('gone', { hash: '4', told: true }),
    row('nobody', {}),
    alias('same', 'to'),
    alias('other', 'here'),
    alias('apart', 'no more'),
    handover('left', 'both'),
  ])
  const shadow = await logOf(2, [
    row('both', { hash: '1', told: true }),
    row('merged', { forward: 'between' }),
    row('between', { forward: 'survivor' }),
    row('survivor', { hash: '2' }),
    row('renamed2', { hash: '3' }),
    row('new', { hash: '5', told: true }),
    alias('same', 'to'),
    alias('other', 'there'),
  ])
  const topology = topologyWith(2)
  const told = new Map<string, unknown>()
  for await (const { kind, topic, partition, key, value } of adoptionsOf(live, shadow, codec, { topology, atMs: 5 })) {
    if (kind === 'alias') {
      const { profileId, alias } = codec.decode('AdoptedAlias', value!)
      expect([topic, key]).toEqual(['identity.requests', 'shop/s0'])
      told.set(`alias of ${profileId}`, alias?.mergedInto ?? null)
      continue
    }
    const adoption = codec.decode('Adoption', value!)
    expect([topic, partition, key]).toEqual(['events.identified', partitionOf(key, 2), `shop/${adoption.profileId}`])
    const { profileId, published, memberships, activations, sent } = adoption
    told.set(profileId, [published, memberships.map(({ seq }) => seq), activations, sent.map((each) => each.profileId)])
  }
  expect(Object.fromEntries(told)).toEqual({
    both: [true, [3], 7, ['both', 'left']],
    merged: [true, [3], 7, []],
    renamed: [true, [3], 7, []],
    gone: [true, [3], 7, ['gone']],
    between: [false, [], 0, []],
    survivor: [false, [], 0, ['merged']],
    renamed2: [false, [], 0, ['renamed']],
    new: [false, [], 0, []],
    'alias of other': 'there',
    'alias of apart': null,
  })
})
