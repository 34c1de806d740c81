/** The profiles of one tenant in Redis: written with a version check, read in one or two round trips. */
import { invariant, MillraceError } from '../../runtime/errors.ts'
import type { Profile } from '../../schemas/avro/types.ts'
import type { CurrentMembership, ProfileAnswer } from '../profile-answer.ts'
import type { RedisConnection } from './connection.ts'
import type { Entry } from './entry.ts'
import { entryKey, everyKeyPattern, identifierPrefix, identifierSetKey, positionsKey } from './keys.ts'

export type Place = { readonly topic: string; readonly partition: number }

/** How far behind the log an answer may be. */
export type Freshness = {
  /** Records of the log that were not yet written, when the writer last looked. */
  readonly behind: number
  /** For how long the writer, or that of one partition, has not been heard of. */
  readonly silentMs: number
}

/** How long the version of what was erased stays: longer than any writer holds a batch. */
const markerSeconds = 24 * 3600
/**
 * A tombstone stays in the log for a day, at the least. Who has not read for longer may have missed one, so that what was
 * erased would stay in Redis for ever: then all is written anew.
 */
const silentMsMax = 12 * 3_600_000
/** A chain of aliases this long is a circle. */
const hopsMax = 10_000
const keysPerScan = 1_000

export class ProfileCache {
  readonly #redis: RedisConnection
  readonly #tenant: string
  readonly #generation: number

  /** `generation`: of the topics it is written from, 0 without replays. What a higher one has written, a lower one leaves alone. */
  constructor(redis: RedisConnection, tenant: string, generation = 0) {
    this.#redis = redis
    this.#tenant = tenant
    this.#generation = generation
  }

  // --- writing ---

  /** Writes what is newer than what is there; answers how many that were. In one pipeline: the caller bounds it. */
  async write(entries: readonly Entry[]): Promise<number> {
    if (entries.length === 0) return 0
    const prefix = identifierPrefix(this.#tenant)
    const answers = await this.#redis.askAll((pipeline) => {
      for (const { kind, profileId, offset, value, identifiers } of entries) {
        const key = entryKey(this.#tenant, kind, profileId)
        const listed = identifiers.join(' ')
        pipeline.takeEntry(key, this.#generation, offset, value ?? '', profileId, listed, prefix, markerSeconds)
      }
    })
    return answers.reduce<number>((taken, answer) => taken + Number(answer), 0)
  }

  /**
   * The offset to begin at: where the partition was left, or `start`. When nobody has moved it for too long, all of the
   * tenant is cleared first, and so every partition begins anew. `origin` names the log; CONFIG_INVALID when what is in
   * Redis was written from another one.
   */
  async takeUp(
    place: Place,
    log: { readonly origin: string; readonly start: number; readonly stable: number },
  ): Promise<number> {
    const key = positionsKey(this.#tenant)
    for (;;) {
      const [offset, silentMs] = await this.#redis.ask((redis) =>
        redis.takeUpPosition(key, log.origin, this.#field(place), log.start, log.stable),
      )
      if (offset < 0) {
        throw new MillraceError(
          'CONFIG_INVALID',
          `Redis has profiles of tenant ${this.#tenant} from another log; give another database, or delete its keys ${everyKeyPattern(this.#tenant)} there first`,
        )
      }
      if (silentMs <= silentMsMax) return offset
      await this.clear()
    }
  }

  /**
   * All before `to` is written. Answers where to go on: at `to`, further on where another writer has been, or before
   * `from` when Redis has lost what was written since; null when the partition is to be taken up anew.
   */
  async advance(
    place: Place,
    { from, to, stable }: { readonly from: number; readonly to: number; readonly stable: number },
  ): Promise<number | null> {
    const key = positionsKey(this.#tenant)
    const offset = await this.#redis.ask((redis) =>
      redis.advancePosition(key, this.#field(place), from, to, stable, silentMsMax),
    )
    return offset < 0 ? null : offset
  }

  /** Removes everything of the tenant, the positions last: whoever is interrupted, or writes meanwhile, begins anew. */
  async clear(): Promise<void> {
    const positions = positionsKey(this.#tenant)
    let cursor = '0'
    do {
      const [next, keys] = await this.#redis.ask((redis) =>
        redis.scan(cursor, 'MATCH', everyKeyPattern(this.#tenant), 'COUNT', keysPerScan),
      )
      const others = keys.filter((key) => key !== positions)
      if (others.length > 0) await this.#redis.ask((redis) => redis.unlink(others))
      cursor = next
    } while (cursor !== '0')
    await this.#redis.ask((redis) => redis.unlink(positions))
  }

  // --- reading ---

  /** The profile of an id, aliases followed to their end; undefined when there is none. */
  async byId(id: string): Promise<ProfileAnswer | undefined> {
    const mergedFrom: string[] = []
    for (let profileId = id; mergedFrom.length < hopsMax; ) {
      const [alias, profile, memberships] = (await this.#redis.askAll((pipeline) => {
        for (const kind of ['alias', 'profile', 'memberships'] as const)
          pipeline.hget(entryKey(this.#tenant, kind, profileId), 'value')
      })) as (string | null)[]
      if (alias) {
        mergedFrom.push(profileId)
        profileId = alias
        continue
      }
      if (!profile) return undefined
      return {
        ...(JSON.parse(profile) as Profile),
        mergedFrom,
        memberships: memberships ? (JSON.parse(memberships) as readonly CurrentMembership[]) : [],
      }
    }
    invariant(false, 'aliases do not lead in a circle')
  }

  /** The ids of the profiles that have an identifier, by the keyed hash of its value; in order. */
  async withIdentifier(namespace: string, hash: string): Promise<readonly string[]> {
    const key = identifierSetKey(this.#tenant, `${namespace}:${hash}`)
    return (await this.#redis.ask((redis) => redis.smembers(key))).sort()
  }

  /** Null when nobody has ever written here. */
  async freshness(): Promise<Freshness | null> {
    const [fields, time] = (await this.#redis.askAll((pipeline) => {
      pipeline.hgetall(positionsKey(this.#tenant)).time()
    })) as [Record<string, string>, [string, string]]
    const nowMs = Number(time[0]) * 1000 + Number(time[1]) / 1000
    const positions = Object.entries(fields).filter(([field]) => field.startsWith(`${this.#generation}/`))
    if (positions.length === 0) return null
    let behind = 0
    let silentMs = 0
    for (const [, position] of positions) {
      const [offset, stable, atMs] = position.split(' ').map(Number)
      behind += Math.max(0, stable! - offset!)
      silentMs = Math.max(silentMs, nowMs - atMs!)
    }
    return { behind, silentMs }
  }

  /** The positions of another generation say nothing of this one's topics. */
  #field({ topic, partition }: Place): string {
    return `${this.#generation}/${topic}/${partition}`
  }
}
