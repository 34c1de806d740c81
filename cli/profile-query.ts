/** The golden record of one profile, as Redis has it, or as the log tells it. */

import { clientNamespace, normalise } from '../operators/identify/identifiers.ts'
import { identifierHash } from '../operators/ids.ts'
import type { Codec } from '../runtime/codec.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { partitionOf } from '../runtime/partitioner.ts'
import { decodeRow } from '../runtime/row.ts'
import { changelogOf, definitionsTopic } from '../runtime/topology.ts'
import type { Definition, Profile, SegmentState } from '../schemas/avro/types.ts'
import type { Definitions, IdentityRules, TraitType } from '../schemas/definitions.ts'
import { membershipsOf, type ProfileAnswer } from '../serving/profile-answer.ts'
import { RedisConnection } from '../serving/redis/connection.ts'
import { type Freshness, ProfileCache } from '../serving/redis/profile-cache.ts'
import { definitionsFrom } from '../workspace/manifest.ts'
import { loadWorkspace } from '../workspace/workspace.ts'
import { partitionsOf } from './data.ts'
import { readTenantKey } from './tenant-key.ts'
import { batchesOf, lastValues } from './topics.ts'

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
export async function findProfile(log: Log, codec: Codec, wanted: string): Promise<FoundProfile> {
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

export type CachedProfiles = {
  readonly redisUrl: string
  /** Names the tenant, and its namespaces and traits. */
  readonly workspaceFolder: string
  /** Where the tenant's key is, when the environment does not hold it: to find an identifier by its keyed hash. */
  readonly dataFolder: string
  readonly env: NodeJS.ProcessEnv
}

/** As `findProfile`, from Redis, in a few reads, while the rest runs. REDIS_UNAVAILABLE when that does not answer. */
export async function findCachedProfile(
  { redisUrl, workspaceFolder, dataFolder, env }: CachedProfiles,
  wanted: string,
): Promise<FoundProfile & { readonly freshness: Freshness }> {
  const { tenant, identity, traits, tenantKeyEnv } = await loadWorkspace(workspaceFolder)
  const redis = await RedisConnection.open(redisUrl)
  try {
    const cache = new ProfileCache(redis, tenant)
    const freshness = await cache.freshness()
    if (!freshness)
      throw new MillraceError(
        'NOT_FOUND',
        `Redis has no profiles of tenant ${tenant}; \`millrace start --redis\` writes them`,
      )
    const colon = wanted.indexOf(':')
    let profileId: string | undefined = wanted.toLowerCase()
    if (colon >= 0) {
      const namespace = wanted.slice(0, colon)
      const value = normalised(identity, namespace, wanted.slice(colon + 1))
      const tenantKey = await readTenantKey(dataFolder, { envName: tenantKeyEnv, env })
      const ids = await cache.withIdentifier(namespace, identifierHash({ tenantKey }, namespace, value))
      requireOne(`${namespace}:${value}`, ids)
      profileId = ids[0]
    }
    const profile = profileId === undefined ? undefined : await cache.byId(profileId)
    if (!profile) throw new MillraceError('NOT_FOUND', `there is no profile ${wanted}`)
    return { profile, traitTypes: new Map(traits.map(({ id, type }) => [id, type])), freshness }
  } finally {
    redis.close()
  }
}

/** The latest definitions of each tenant; the key they need for writing is not needed here. */
async function tenantsOf(log: Log, codec: Codec): Promise<readonly Definitions[]> {
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
    return manifest ? [definitionsFrom(definitions, new Uint8Array(), { hash: manifest.hash, env: null })] : []
  })
}

async function byId(log: Log, codec: Codec, tenant: string, id: string): Promise<ProfileAnswer | undefined> {
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
  log: Log,
  codec: Codec,
  { identity }: Definitions,
  namespace: string,
  raw: string,
): Promise<ProfileAnswer | undefined> {
  const value = normalised(identity, namespace, raw)
  const bytes = Buffer.from(value)
  const found: Profile[] = []
  for (const stored of (await lastValues(log, profilesTopic, await partitionsOf(log, profilesTopic))).values()) {
    if (!stored.includes(bytes)) continue // texts stand in Avro as they are: most need not be decoded
    const profile = codec.decode('Profile', stored)
    if (profile.identifiers.some((known) => known.namespace === namespace && known.value === value)) found.push(profile)
  }
  requireOne(
    `${namespace}:${value}`,
    found.map(({ profileId }) => profileId),
  )
  return found[0] && answerOf(log, codec, found[0], [])
}

/** As IDENTIFY spells it. INPUT_INVALID when there is no such namespace, or no such value in it. */
function normalised({ namespaces }: IdentityRules, namespace: string, raw: string): string {
  const rule = namespaces.find((known) => known.namespace === namespace)
  if (!rule && namespace !== clientNamespace) {
    const known = namespaces.map((each) => each.namespace).join(', ')
    throw new MillraceError('INPUT_INVALID', `there is no namespace ${namespace}; there are ${known}`)
  }
  const value = rule ? normalise(rule.normalise, raw) : raw
  if (!value) throw new MillraceError('INPUT_INVALID', `${namespace}:${raw} cannot be an identifier`)
  return value
}

/** INPUT_INVALID when an identifier is on several profiles. */
function requireOne(identifier: string, profileIds: readonly string[]): void {
  if (profileIds.length <= 1) return
  const ids = profileIds.toSorted()
  throw new MillraceError(
    'INPUT_INVALID',
    `${identifier} is on ${ids.length} profiles; ask for one of them: ${ids.slice(0, 10).join(', ')}`,
  )
}

async function answerOf(
  log: Log,
  codec: Codec,
  profile: Profile,
  mergedFrom: readonly string[],
): Promise<ProfileAnswer> {
  const bytes = await lastValue(log, changelogOf('profile'), `${profile.tenant}/${profile.profileId}`)
  const section = bytes && decodeRow(bytes, [segmentSection], codec).sections[0]
  const state = section?.value(codec, segmentSection.state) as SegmentState | undefined
  return { ...profile, mergedFrom, memberships: membershipsOf(state) }
}

/** The last value of a key; undefined when there is none or it was erased. */
async function lastValue(log: Log, topic: string, key: string): Promise<Buffer | undefined> {
  let last: Buffer | null = null
  for await (const batch of batchesOf(log, topic, partitionOf(key, await partitionsOf(log, topic)))) {
    for (const record of batch) if (record.key === key) last = record.value
  }
  return last ?? undefined
}
