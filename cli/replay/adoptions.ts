/**
 * What a replay has to be told before it goes on in place of what is live: of each profile, in which segments readers have
 * it, and what its destinations hold; of each alias that readers have otherwise, what it is now.
 */
import { shardOf } from '../../operators/identify/identify.ts'
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { tenantOf } from '../../runtime/operator.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { decodeRow } from '../../runtime/row.ts'
import { changelogOf, type Topology, topicOf } from '../../runtime/topology.ts'
import type {
  ActivationState,
  AdoptedAlias,
  Adoption,
  ProfileState,
  SegmentState,
  Sent,
} from '../../schemas/avro/types.ts'
import { partitionsOf } from '../data.ts'
import { batchesOf, lastRecordsOf, lastValues } from '../topics.ts'
import { inputOffsetsOf } from './progress.ts'

const aliasesTopic = 'identity.aliases'
const stage = 'profile'
const inbox = 'events.identified'

/**
 * For the inboxes of `topology`, that of the replay, in which nothing may be under way. They say how it is, not what has
 * changed: written again, later, they count again. Holds the keys of all profiles in memory, and the aliases.
 */
export async function* adoptionsOf(
  live: Log,
  shadow: Log,
  codec: Codec,
  { topology, atMs }: { readonly topology: Topology; readonly atMs: number },
): AsyncGenerator<AddressedRecord> {
  const { name: topic, partitions } = topicOf(topology, inbox)
  const record = (key: string, adoption: Adoption): AddressedRecord => {
    const value = codec.encode('Adoption', adoption)
    return { topic, partition: partitionOf(key, partitions), kind: 'adoption', key, value, timestampMs: atMs }
  }
  const moving = await movingOf(live, codec)
  const { profiles, heirs } = await heirsOf(liveRowsOf(live, codec, moving), shadow, codec)
  const inherited = new Map<string, Sent[]>()
  for await (const { key, sent } of liveRowsOf(live, codec, moving)) {
    const heir = heirs.get(key)
    if (heir !== undefined) addTo(inherited, heir, sent)
  }
  for await (const { key, profile, memberships, activations, sent } of liveRowsOf(live, codec, moving)) {
    const replayed = profiles.delete(key)
    const entered = memberships.filter(({ seq }) => seq > 0)
    const published = isPublished(profile)
    if (!replayed && !published && entered.length === 0 && activations === 0 && sent.length === 0) continue
    const own = heirs.has(key) ? [] : sent
    yield record(key, {
      ...named(key),
      published,
      memberships: entered,
      activations,
      sent: [...own, ...(inherited.get(key) ?? [])],
    })
  }
  for (const key of profiles)
    yield record(key, {
      ...named(key),
      published: false,
      memberships: [],
      activations: 0,
      sent: inherited.get(key) ?? [],
    })
  yield* aliasesOf(live, shadow, codec, { topology, atMs })
}

/**
 * The profiles of the replay, and who has there what live another has: where one has merged that one, else whoever has one
 * of its identifiers, the first by key. Without an heir a profile takes leave of its destinations itself; with one it must
 * not, as that could come after the heir's coming.
 */
async function heirsOf(
  live: AsyncIterable<StoredProfile>,
  shadow: Log,
  codec: Codec,
): Promise<{ readonly profiles: Set<string>; readonly heirs: ReadonlyMap<string, string> }> {
  const profiles = new Set<string>()
  const forwards = new Map<string, string>()
  const present = new Set<string>()
  for await (const { key, profile } of rowsOf(shadow, codec)) {
    profiles.add(key)
    if (profile?.forward) forwards.set(key, `${profile.tenant}/${profile.forward.to}`)
    else if (isPublished(profile)) present.add(key)
  }
  const heirs = new Map<string, string>()
  const orphans = new Map<string, string[]>()
  for await (const { key, profile, sent } of live) {
    if (sent.length === 0 || present.has(key)) continue
    let heir = forwards.get(key)
    for (let next = heir; next !== undefined; next = forwards.get(next)) heir = next
    if (heir !== undefined) heirs.set(key, heir)
    else for (const identifier of identifiersOf(profile)) addTo(orphans, identifier, [key])
  }
  if (orphans.size === 0) return { profiles, heirs }
  for await (const { key, profile } of rowsOf(shadow, codec))
    for (const identifier of identifiersOf(profile))
      for (const orphan of orphans.get(identifier) ?? [])
        if (key < (heirs.get(orphan) ?? '\uffff')) heirs.set(orphan, key)
  return { profiles, heirs }
}

async function* aliasesOf(
  live: Log,
  shadow: Log,
  codec: Codec,
  { topology, atMs }: { readonly topology: Topology; readonly atMs: number },
): AsyncGenerator<AddressedRecord> {
  const { name: topic, partitions } = topicOf(topology, 'identity.requests')
  const known = await lastValues(live, aliasesTopic, await partitionsOf(live, aliasesTopic))
  const decided = await lastValues(shadow, aliasesTopic, await partitionsOf(shadow, aliasesTopic))
  const aliasOf = (value: Buffer | undefined) => (value ? codec.decode('IdentityAlias', value) : null)
  for (const profile of new Set([...known.keys(), ...decided.keys()])) {
    const alias = aliasOf(decided.get(profile))
    if (alias?.mergedInto === aliasOf(known.get(profile))?.mergedInto) continue
    const key = shardOf(tenantOf(profile))
    const value = codec.encode('AdoptedAlias', { ...named(profile), alias } satisfies AdoptedAlias)
    yield { topic, partition: partitionOf(key, partitions), kind: 'alias', key, value, timestampMs: atMs }
  }
}

// --- what the stage keeps ---

type StoredProfile = {
  readonly key: string
  readonly profile: ProfileState | undefined
  readonly memberships: SegmentState['memberships']
  readonly activations: number
  readonly sent: readonly Sent[]
}

const sections = [
  { name: 'profile', state: 'ProfileState' },
  { name: 'segment', state: 'SegmentState' },
  { name: 'activate', state: 'ActivationState' },
] as const

async function* rowsOf(log: Log, codec: Codec): AsyncGenerator<StoredProfile> {
  const topic = changelogOf(stage)
  for await (const { kind, key, value } of lastRecordsOf(log, topic, await partitionsOf(log, topic))) {
    if (kind !== 'row' || !value) continue
    const row = decodeRow(value, sections, codec)
    const [profile, segment, activate] = sections.map(({ state }, i) => row.sections[i]?.value(codec, state))
    const { seq: activations, sent } = (activate as ActivationState | undefined) ?? { seq: 0, sent: [] }
    const memberships = (segment as SegmentState | undefined)?.memberships ?? []
    yield { key, profile: profile as ProfileState | undefined, memberships, activations, sent }
  }
}

/** Live rows, with what was on its way to them from profiles that had left. */
async function* liveRowsOf(
  live: Log,
  codec: Codec,
  moving: ReadonlyMap<string, readonly Sent[]>,
): AsyncGenerator<StoredProfile> {
  const waiting = new Set(moving.keys())
  for await (const row of rowsOf(live, codec)) {
    waiting.delete(row.key)
    yield { ...row, sent: [...row.sent, ...(moving.get(row.key) ?? [])] }
  }
  for (const key of waiting) yield { key, profile: undefined, memberships: [], activations: 0, sent: moving.get(key)! }
}

/** What destinations hold, in hand-overs that no task has taken in: by the profile they are for. */
async function movingOf(live: Log, codec: Codec): Promise<ReadonlyMap<string, readonly Sent[]>> {
  const moving = new Map<string, Sent[]>()
  const offsets = await inputOffsetsOf(live, codec, stage, await partitionsOf(live, inbox))
  for (const [partition, offset] of offsets.entries())
    for await (const batch of batchesOf(live, inbox, partition, offset))
      for (const { kind, key, value } of batch)
        if (kind === 'handover' && value) addTo(moving, key, codec.decode('Handover', value).sent)
  return moving
}

function addTo<Item>(lists: Map<string, Item[]>, key: string, items: readonly Item[]): void {
  const list = lists.get(key)
  if (list) list.push(...items)
  else lists.set(key, [...items])
}

const isPublished = (profile: ProfileState | undefined): boolean =>
  profile !== undefined && !profile.forward && profile.fragments.length > 0

const identifiersOf = (profile: ProfileState | undefined): readonly string[] =>
  (profile?.fragments ?? []).flatMap(({ identifiers }) =>
    identifiers.map(({ namespace, hash }) => `${profile!.tenant}/${namespace}:${hash}`),
  )

function named(key: string): { readonly tenant: string; readonly profileId: string } {
  const tenant = tenantOf(key)
  return { tenant, profileId: key.slice(tenant.length + 1) }
}
