/**
 * Keeps Redis up with the topics it serves, beside the tasks and never in their way: nothing waits for it, and while Redis
 * is away it is behind and nothing else. At least once; versions make that the same as once.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../runtime/backoff.ts'
import type { Codec } from '../../runtime/codec.ts'
import type { Log, TopicSpec } from '../../runtime/log.ts'
import { changelogOf } from '../../runtime/topology.ts'
import { RedisConnection } from './connection.ts'
import { entryTopics } from './entry.ts'
import { type CacheObserver, Follower } from './follower.ts'
import { ProfileCache } from './profile-cache.ts'

export type ProfileWriterParts = {
  readonly log: Log
  readonly codec: Codec
  readonly tenant: string
  readonly redisUrl: string
  /** Of what the log is now; 0 without replays. */
  readonly generation: number
  /** Those of the log, with their partitions; the stage `profile` has a task for each of its changelog. */
  readonly topics: readonly TopicSpec[]
  readonly observer?: CacheObserver
}

export type ProfileWriterStatus = {
  /** writing: it keeps up or catches up. waiting: it cannot, and tries again until it can. */
  readonly state: 'writing' | 'waiting'
  /** Why it does not write. */
  readonly reason: string | null
  /** Records of the log that are not in Redis; null while that is not known. */
  readonly behind: number | null
}

type Line = {
  readonly followers: readonly Follower[]
  readonly stop: AbortController
  readonly ended: Promise<unknown>
}

const retry = { baseMs: 100, capMs: 5_000 }
const pollMs = 20
const tasksTopic = changelogOf('profile')

export class ProfileWriter {
  readonly #log: Log
  readonly #codec: Codec
  readonly #tenant: string
  readonly #observer: CacheObserver
  readonly #redis: RedisConnection
  readonly #cache: ProfileCache
  readonly #topics: readonly TopicSpec[]
  /** By task. */
  readonly #lines = new Map<number, Line>()
  /** Of those whose last attempt failed. */
  readonly #failures = new Map<Follower, Error>()

  /** CONFIG_INVALID when the address is none. Redis need not be there. */
  constructor({ log, codec, tenant, redisUrl, generation, topics, observer = {} }: ProfileWriterParts) {
    this.#log = log
    this.#codec = codec
    this.#tenant = tenant
    this.#observer = observer
    this.#redis = RedisConnection.lasting(redisUrl)
    this.#cache = new ProfileCache(this.#redis, tenant, generation)
    this.#topics = topics
  }

  /** Writes what belongs to these tasks of the stage `profile` from now on, and nothing else: those that this process has. */
  async follow(tasks: readonly number[]): Promise<void> {
    const left = [...this.#lines.keys()].filter((task) => !tasks.includes(task))
    await Promise.all(left.map((task) => this.#leave(task)))
    for (const task of tasks) if (!this.#lines.has(task)) this.#lines.set(task, this.#begin(task))
  }

  get status(): ProfileWriterStatus {
    const [failure] = this.#failures.values()
    let behind: number | null = 0
    for (const follower of this.#followers)
      behind = behind === null || follower.behind === null ? null : behind + follower.behind
    return { state: failure ? 'waiting' : 'writing', reason: failure?.message ?? null, behind }
  }

  /** Resolves when all that is in the log by now is in Redis, or the signal aborts. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    for (const follower of this.#followers) {
      const { topic, partition } = follower.place
      const { stable } = await this.#log.ends(topic, partition)
      while (!signal.aborted && !follower.reached(stable)) await delay(pollMs)
    }
  }

  /** What is not written by now waits in the log. The status stays as it was. */
  async close(): Promise<void> {
    for (const { stop } of this.#lines.values()) stop.abort()
    await Promise.all([...this.#lines.values()].map(({ ended }) => ended))
    this.#redis.close()
  }

  get #followers(): readonly Follower[] {
    return [...this.#lines.values()].flatMap(({ followers }) => followers)
  }

  #begin(task: number): Line {
    const parts = {
      log: this.#log,
      codec: this.#codec,
      cache: this.#cache,
      tenant: this.#tenant,
      observer: this.#observer,
    }
    const followers = entryTopics.flatMap((source) =>
      this.#partitionsOf(source.topic, task).map((partition) => new Follower(parts, source, partition)),
    )
    const stop = new AbortController()
    return { followers, stop, ended: Promise.all(followers.map((follower) => this.#run(follower, stop.signal))) }
  }

  /** Each partition has one task to follow it, though a generation may have more tasks than its topics had before, or fewer. */
  #partitionsOf(topic: string, task: number): readonly number[] {
    const countOf = (name: string): number => this.#topics.find((each) => each.name === name)?.partitions ?? 0
    const tasks = countOf(tasksTopic)
    return Array.from({ length: countOf(topic) }, (_, partition) => partition).filter(
      (partition) => partition % tasks === task,
    )
  }

  async #leave(task: number): Promise<void> {
    const line = this.#lines.get(task)
    this.#lines.delete(task)
    line?.stop.abort()
    await line?.ended
    for (const follower of line?.followers ?? []) this.#failures.delete(follower)
  }

  /** Nothing ends it: what a person mends, be it in Redis or in the log, is seen with the next attempt. */
  async #run(follower: Follower, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; ) {
      try {
        await follower.step(signal)
        this.#failures.delete(follower)
        attempt = 0
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error))
        const waitMs = backoffMs(attempt++, retry, retry.baseMs / 2, Math.random)
        this.#failures.set(follower, failure)
        this.#observer.retrying?.(follower.place, failure, waitMs)
        await delay(waitMs, undefined, { signal }).catch(() => {})
      }
    }
  }
}
