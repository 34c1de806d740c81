/** What a replay came to, beside what is live: who is in which segment, and what the identity graph decided. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { stageOf } from '../../runtime/stage.ts'
import type { Topology } from '../../runtime/topology.ts'
import { partitionsOf } from '../data.ts'
import { deployedTopology } from '../deployed-topology.ts'
import type { Deployment } from '../place.ts'
import { recordsOf } from '../topics.ts'
import { inputOffsetsOf } from './progress.ts'
import { rebuildLag } from './rebuild.ts'
import { replayedStage, replayLog } from './replay.ts'

/** Examples are of one side alone: at most five, in order. */
export type Difference = {
  readonly same: number
  readonly onlyLive: number
  readonly onlyReplay: number
  readonly examplesLive: readonly string[]
  readonly examplesReplay: readonly string[]
}

export type Comparison = {
  readonly name: string
  /** Whose inbox was read again; null: all stages. */
  readonly stage: string | null
  /** Records, control records included, that the replay has not read: with some, a difference may be one of time. */
  readonly behind: number
  /** Members of each segment, as tenant/profileId; null when the replay makes none. */
  readonly segments: Readonly<Record<string, Difference>> | null
  /** Profiles that are there in the end, as tenant/profileId; null when the replay makes none. */
  readonly profiles: Difference | null
  /** Links that the identity graph refused; null when the replay decides none. */
  readonly refusedLinks: Difference | null
}

const examplesMax = 5
const membershipsTopic = 'segments.memberships'
const profilesTopic = 'profiles'
const changesTopic = 'identity.changes'

/** Holds the members of all segments in memory. NOT_FOUND when there is no replay of the name. */
export async function compareReplay(deployment: Deployment, name: string): Promise<Comparison> {
  const { base, log, codec } = deployment
  const shadow = replayLog(base, name)
  const topology = deployedTopology(await log.topics())
  const stage = await replayedStage(topology, shadow, name)
  const writes = (topic: string): boolean =>
    stage === null || topology.stages.some((each) => each.name === stage && each.emits.includes(topic))
  /** What `read` finds live and in the replay, if its stage writes the topic. */
  const both = async <Found>(
    topic: string,
    read: (log: Log, codec: Codec) => Promise<Found>,
  ): Promise<readonly [Found, Found] | null> =>
    writes(topic) ? [await read(log, codec), await read(shadow, codec)] : null
  const members = await both(membershipsTopic, membersOf)
  const profiles = await both(profilesTopic, profilesOf)
  const refused = writes(changesTopic)
    ? ([await liveRefusedLinksOf(deployment), await refusedLinksOf(shadow, codec)] as const)
    : null
  return {
    name,
    stage,
    behind: await lagOf(log, shadow, codec, { name, topology, stage }),
    segments: members && differenceBySegment(...members),
    profiles: profiles && differenceOf(...profiles),
    refusedLinks: refused && differenceOf(...refused),
  }
}

/** By segment, those whose last transition was to enter it. */
async function membersOf(log: Log, codec: Codec): Promise<Members> {
  const members = new Map<string, Set<string>>()
  for await (const { key, value } of recordsOf(log, membershipsTopic, await partitionsOf(log, membershipsTopic))) {
    const { segmentId, status } = codec.decode('MembershipTransition', value!)
    const segment = members.get(segmentId) ?? new Set()
    members.set(segmentId, segment)
    if (status === 'entered') segment.add(key)
    else segment.delete(key)
  }
  return members
}

async function profilesOf(log: Log): Promise<ReadonlySet<string>> {
  const profiles = new Set<string>()
  for await (const { key, value } of recordsOf(log, profilesTopic, await partitionsOf(log, profilesTopic))) {
    if (value === null) profiles.delete(key)
    else profiles.add(key)
  }
  return profiles
}

/** Of the graph that decides now: what it had decided before it was promoted stands in the topic of the replay. */
async function liveRefusedLinksOf({ base, log, codec, generation }: Deployment): Promise<ReadonlySet<string>> {
  const { number, name } = generation
  const now = await refusedLinksOf(log, codec, number)
  return number === 0 ? now : new Set([...(await refusedLinksOf(replayLog(base, name), codec)), ...now])
}

/** As texts that are the same for the same refusal, whichever event led to it; of all generations, or of one. */
async function refusedLinksOf(log: Log, codec: Codec, only?: number): Promise<ReadonlySet<string>> {
  const refused = new Set<string>()
  for await (const { value } of recordsOf(log, changesTopic, await partitionsOf(log, changesTopic))) {
    const { tenant, generation, type, from, to, namespace, valueHash } = codec.decode('IdentityChange', value!)
    if (only !== undefined && generation !== only) continue
    if (type !== 'merge_refused' && type !== 'conflicting_unique') continue
    const identifier = namespace === null ? '' : ` (${namespace} ${valueHash})`
    refused.add(`${tenant}: ${type} ${[...from, to].sort().join(', ')}${identifier}`)
  }
  return refused
}

type Members = ReadonlyMap<string, ReadonlySet<string>>

function differenceBySegment(live: Members, replayed: Members): Readonly<Record<string, Difference>> {
  const ids = [...new Set([...live.keys(), ...replayed.keys()])].sort()
  return Object.fromEntries(ids.map((id) => [id, differenceOf(live.get(id), replayed.get(id))]))
}

const none: ReadonlySet<string> = new Set()

function differenceOf(live: ReadonlySet<string> = none, replayed: ReadonlySet<string> = none): Difference {
  const onlyLive = [...live].filter((each) => !replayed.has(each)).sort()
  const onlyReplay = [...replayed].filter((each) => !live.has(each)).sort()
  return {
    same: live.size - onlyLive.length,
    onlyLive: onlyLive.length,
    onlyReplay: onlyReplay.length,
    examplesLive: onlyLive.slice(0, examplesMax),
    examplesReplay: onlyReplay.slice(0, examplesMax),
  }
}

async function lagOf(
  log: Log,
  shadow: Log,
  codec: Codec,
  { name, topology, stage }: { readonly name: string; readonly topology: Topology; readonly stage: string | null },
): Promise<number> {
  if (stage === null) return rebuildLag(log, codec, name)
  const { inbox } = stageOf(topology, stage)
  let lag = 0
  for (const [partition, offset] of (await inputOffsetsOf(shadow, codec, stage, inbox.partitions)).entries())
    lag += (await log.ends(inbox.name, partition)).stable - offset
  return lag
}
