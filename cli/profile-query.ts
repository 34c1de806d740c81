/** The golden record of one profile, as the log tells it. */

import { clientNamespace, normalise } from '../operators/identify/identifiers.ts'
import type { Codec } from '../runtime/codec.ts'
import type { EmbeddedLog } from '../runtime/embedded/log.ts'
import { MillraceError } from '../runtime/errors.ts'
import { partitionOf } from '../runtime/partitioner.ts'
import { decodeRow } from '../runtime/row.ts'
import { changelogOf, definitionsTopic } from '../runtime/topology.ts'
import type { Definition, Profile, SegmentState } from '../schemas/avro/types.ts'
import type { Definitions, TraitType } from '../schemas/definitions.ts'
import { definitionsFrom } from '../workspace/manifest.ts'
import { partitionsOf } from './data.ts'
import { batchesOf, lastValues } from './topics.ts'

export type ProfileAnswer = Profile & {
  /** The ids that led to it, if the one asked for was merged. */
  readonly mergedFrom: readonly string[]
  /** Segments it is in now, by id. */
  readonly memberships: readonly {
    readonly segmentId: string
    readonly sinceMs: number
    /** When it leaves if nothing more happens; null when that is never. */
    readonly untilMs: number | null
  }[]
}

export type FoundProfile = {
  readonly profile: ProfileAnswer
  /** By trait; one that is no longer defined has none. */
  readonly traitTypes: ReadonlyMap<string, TraitType>
}

const aliasesTopic = 'identity.aliases'
const profilesTopic = 'profiles'
const segmentSection = { name: 'segment', state: 'SegmentState' } as const
const aliasesMax = 10_000

/**
 * The profile of an id, aliases followed to their end, or the one that has an identifier `namespace:value`, normalised as
 * IDENTIFY does. NOT_FOUND when there is none; INPUT_INVALID when the namespace is unknown or the identifier is of several.
 */
export async function findProfile(log: EmbeddedLog, codec: Codec, wanted: string): Promise<FoundProfile> {
  const tenants = await tenantsOf(log, codec)
  const colon = wanted.indexOf(':')
  for (const definitions of tenants) {
    const profile =
      colon < 0
        ? await byId(log, codec, definitions.tenant, wanted)
        : await byIdentifier(log, codec, definitions, wanted.slice(0, colon), wanted.slice(colon + 1))
    if (profile) return { profile, traitTypes: new Map(definitions.traits.map(({ id, type }) => [id, type])) }
  }
  throw new MillraceError('NOT_FOUND', `there is no profile ${wanted}`)
}

/** The latest definitions of each tenant; the key they need for writing is not needed here. */
async function tenantsOf(log: EmbeddedLog, codec: Codec): Promise<readonly Definitions[]> {
  const records = new Map<string, Definition[]>()
  for await (const batch of batchesOf(log, definitionsTopic, 0)) {
    for (const { value } of batch) {
      if (!value) continue
      const definition = codec.decode('Definition', value)
      const known = records.get(definition.tenant)
      if (known) known.push(definition)
      else records.set(definition.tenant, [definition])
    }
  }
  return [...records.values()].flatMap((definitions) => {
    const manifest = definitions.findLast(({ kind }) => kind === 'manifest')
    return manifest ? [definitionsFrom(definitions, new Uint8Array(), manifest.hash)] : []
  })
}

async function byId(log: EmbeddedLog, codec: Codec, tenant: string, id: string): Promise<ProfileAnswer | undefined> {
  const aliases = await lastValues(log, aliasesTopic, await partitionsOf(log, aliasesTopic))
  const mergedFrom: string[] = []
  let profileId = id.toLowerCase()
  for (let hop = 0; hop < aliasesMax; hop++) {
    const alias = aliases.get(`${tenant}/${profileId}`)
    if (!alias) break
    mergedFrom.push(profileId)
    profileId = codec.decode('IdentityAlias', alias).mergedInto
  }
  const value = await lastValue(log, profilesTopic, `${tenant}/${profileId}`)
  return value && answerOf(log, codec, codec.decode('Profile', value), mergedFrom)
}

async function byIdentifier(
  log: EmbeddedLog,
  codec: Codec,
  { identity }: Definitions,
  namespace: string,
  raw: string,
): Promise<ProfileAnswer | undefined> {
  const rule = identity.namespaces.find((known) => known.namespace === namespace)
  if (!rule && namespace !== clientNamespace) {
    const known = identity.namespaces.map((each) => each.namespace).join(', ')
    throw new MillraceError('INPUT_INVALID', `there is no namespace ${namespace}; there are ${known}`)
  }
  const value = rule ? normalise(rule.normalise, raw) : raw
  if (!value) throw new MillraceError('INPUT_INVALID', `${namespace}:${raw} cannot be an identifier`)
  const bytes = Buffer.from(value)
  const found: Profile[] = []
  for (const stored of (await lastValues(log, profilesTopic, await partitionsOf(log, profilesTopic))).values()) {
    if (!stored.includes(bytes)) continue // texts stand in Avro as they are: most need not be decoded
    const profile = codec.decode('Profile', stored)
    if (profile.identifiers.some((known) => known.namespace === namespace && known.value === value)) found.push(profile)
  }
  if (found.length > 1) {
    const ids = found.map(({ profileId }) => profileId).sort()
    throw new MillraceError(
      'INPUT_INVALID',
      `${namespace}:${value} is on ${ids.length} profiles; ask for one of them: ${ids.slice(0, 10).join(', ')}`,
    )
  }
  return found[0] && answerOf(log, codec, found[0], [])
}

async function answerOf(
  log: EmbeddedLog,
  codec: Codec,
  profile: Profile,
  mergedFrom: readonly string[],
): Promise<ProfileAnswer> {
  const bytes = await lastValue(log, changelogOf('profile'), `${profile.tenant}/${profile.profileId}`)
  const section = bytes && decodeRow(bytes, [segmentSection], codec).sections[0]
  const state = section?.value(codec, segmentSection.state) as SegmentState | undefined
  const memberships = (state?.memberships ?? [])
    .filter(({ member }) => member)
    .map(({ segmentId, effectiveAtMs, validUntilMs }) => ({ segmentId, sinceMs: effectiveAtMs, untilMs: validUntilMs }))
    .sort((a, b) => (a.segmentId < b.segmentId ? -1 : 1))
  return { ...profile, mergedFrom, memberships }
}

/** The last value of a key; undefined when there is none or it was erased. */
async function lastValue(log: EmbeddedLog, topic: string, key: string): Promise<Buffer | undefined> {
  let last: Buffer | null = null
  for await (const batch of batchesOf(log, topic, partitionOf(key, await partitionsOf(log, topic)))) {
    for (const record of batch) if (record.key === key) last = record.value
  }
  return last ?? undefined
}
