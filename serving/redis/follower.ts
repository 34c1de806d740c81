/**
 * Follows one partition of one topic into Redis: read a batch, write what is newer, move the position on, which stands in
 * Redis itself. So a Redis that comes back with what it had some time ago, or with nothing, is caught up from there: the
 * position never tells more than the data beside it.
 *
 *                 where it was left, or the start
 *   taking up ────────────────────────────────────► following
 *       ▲                                               │
 *       └───── Redis has lost its position, ────────────┘
 *              or was not written to for too long
 */
import { createHash } from 'node:crypto'
import type { Codec } from '../../runtime/codec.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { FetchLimits, Log } from '../../runtime/log.ts'
import { definitionsTopic } from '../../runtime/topology.ts'
import { type EntryTopic, entriesOf } from './entry.ts'
import type { Place, ProfileCache } from './profile-cache.ts'

export type FollowerParts = {
  readonly log: Log
  readonly codec: Codec
  readonly cache: ProfileCache
  readonly tenant: string
  readonly observer: CacheObserver
}

/** What happens, for metrics and logs. Nothing of it names a customer. */
export type CacheObserver = {
  /** A batch is in Redis: so many records of the log, of which so many entries were newer than what was there. */
  written?(place: Place, batch: { readonly records: number; readonly taken: number }): void
  /** From this offset on all is written: at the start, and again when Redis has lost what was written after it. */
  takenUp?(place: Place, offset: number): void
  /** Redis or the log did not do; the next attempt comes after `waitMs`. */
  retrying?(place: Place, error: Error, waitMs: number): void
}

/** One pipeline: bounded in commands, and in bytes of Avro, which JSON makes about three times as many. */
const batchLimits: FetchLimits = { maxRecords: 500, maxBytes: 512 * 1024 }
/** How often Redis is asked for its position, though nothing has come: a loss is noticed, and a writer that lives is known to. */
const heartbeatMs = 1_000
export class Follower {
  readonly #parts: FollowerParts
  readonly #source: EntryTopic
  readonly #place: Place
  /** The next to write; null: to be taken up. */
  #offset: number | null = null
  #stable = 0

  constructor(parts: FollowerParts, source: EntryTopic, partition: number) {
    this.#parts = parts
    this.#source = source
    this.#place = { topic: source.topic, partition }
  }

  get place(): Place {
    return this.#place
  }

  /** Records of the log that are not in Redis, as of the last look; null before the first. */
  get behind(): number | null {
    return this.#offset === null ? null : Math.max(0, this.#stable - this.#offset)
  }

  /** Whether Redis has all before this offset. */
  reached(offset: number): boolean {
    return this.#offset !== null && this.#offset >= offset
  }

  /** One batch; waits a moment when there is none. Throws what log and Redis throw; then nothing but time is lost. */
  async step(signal: AbortSignal): Promise<void> {
    const { log, codec, cache, tenant, observer } = this.#parts
    const { topic, partition } = this.#place
    const from = this.#offset ?? (await this.#takeUp())
    await this.#look()
    if (from >= this.#stable) {
      await within(heartbeatMs, signal, (both) => log.arrival(topic, partition, from, both))
      await this.#look()
    }
    const { records, nextOffset: to } = await log.fetch(topic, partition, from, batchLimits)
    const taken = await cache.write(entriesOf(this.#source, tenant, records, codec))
    this.#offset = await cache.advance(this.#place, { from, to, stable: this.#stable })
    if (records.length > 0) observer.written?.(this.#place, { records: records.length, taken })
    if (this.#offset !== null && this.#offset < from) observer.takenUp?.(this.#place, this.#offset)
  }

  async #look(): Promise<void> {
    this.#stable = (await this.#parts.log.ends(this.#place.topic, this.#place.partition)).stable
  }

  async #takeUp(): Promise<number> {
    const { log, cache, observer } = this.#parts
    const { topic, partition } = this.#place
    const { start, stable } = await log.ends(topic, partition)
    const offset = await cache.takeUp(this.#place, { origin: await originOf(log), start, stable })
    this.#offset = Math.max(offset, start)
    observer.takenUp?.(this.#place, this.#offset)
    return this.#offset
  }
}

/** What names a log: its first definition, which it keeps for ever. DEFINITION_MISSING while it has none, and so no profiles. */
async function originOf(log: Log): Promise<string> {
  const { records } = await log.fetch(definitionsTopic, 0, 0, { maxRecords: 1, maxBytes: 1 })
  const first = records[0]
  if (!first)
    throw new MillraceError('DEFINITION_MISSING', 'the log has no definitions yet', {
      place: { topic: definitionsTopic },
    })
  return createHash('sha256')
    .update(`${first.key} ${first.timestampMs} `)
    .update(first.value ?? '')
    .digest('base64url')
}

/** As `AbortSignal.any` with a timeout, but for what it leaves behind on a signal that lives long. */
async function within(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const ended = new AbortController()
  const end = () => ended.abort()
  const timer = setTimeout(end, ms)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  await work(ended.signal).finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  })
}
