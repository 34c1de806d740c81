/**
 * Feeds a history into events.raw in its own log time, so that it can be repeated and resumed: each chunk goes in with
 * its ticks and the feed's position in one commit, and the tasks take turns until it is through, before the next. What is
 * committed depends on nothing but the history and what was committed before: not on the clock, nor on who runs what.
 */
import type { Codec } from '../runtime/codec.ts'
import { invariant, MillraceError } from '../runtime/errors.ts'
import type { Log, TaskWriter, TopicSpec } from '../runtime/log.ts'
import { partitionOf } from '../runtime/partitioner.ts'
import { type AddressedRecord, controlKinds } from '../runtime/record.ts'
import { type Topology, topicOf } from '../runtime/topology.ts'
import type { Turns } from '../runtime/turns.ts'
import type { FeedPosition, RawEvent } from '../schemas/avro/types.ts'
import { lastValues } from './topics.ts'

export type FeedItem = {
  /** Never earlier than that of the item before. */
  readonly logTimeMs: number
  readonly key: string
  /** Or its bytes, as they stood in a log of the same registry. */
  readonly raw: RawEvent | Buffer
}

export type FeedParts = {
  readonly log: Log
  readonly codec: Codec
  readonly turns: FeedTurns
  readonly topology: Topology
}

/** What a feed asks of the tasks. Between `begin` and `end` they go on only in `drain`, and until nothing is left to read. */
export type FeedTurns = Pick<Turns, 'begin' | 'drain' | 'end'>

/** Of tasks that go on by themselves, or that nobody runs now. */
export const noTurns: FeedTurns = { begin: async () => false, drain: async () => {}, end: async () => {} }

export type Feed = {
  /** Names the history: an interrupted feed of the same id is taken up where it stopped. */
  readonly id: string
  /** Gives the same items whenever it is iterated. */
  readonly items: Iterable<FeedItem> | AsyncIterable<FeedItem>
  /** Log time of the tick that ends the feed and fires what is due by then, given that of the last item; not finite: none. */
  readonly endMs: (lastMs: number) => number
  /** A history that has ended may be fed again: as late events and duplicates. */
  readonly again?: boolean
  /** Called before a chunk is committed. */
  readonly onAppend?: () => void
  /** Called once the tasks have drained, with the number of items that are done. */
  readonly onProgress?: (items: number) => void
}

/** One partition; key the feed's id. */
export const feedPositionsTopic: TopicSpec = {
  name: 'feeds.positions',
  partitions: 1,
  cleanup: 'compact',
  retentionMs: null,
}

const rawTopic = 'events.raw'
const itemsPerChunk = 1000
const itemsPerTick = 250
const tickMs = 3_600_000

/** Feeds what is not in yet, and lets all tasks finish. Answers how many items the history has, and how many were in before. */
export async function feed(parts: FeedParts, feed: Feed): Promise<{ items: number; resumedAt: number }> {
  const { log, turns } = parts
  await log.createTopics([feedPositionsTopic])
  // Once the writer is open, what a feed that was killed has committed can be read.
  const writer = await log.writer('feed')
  const stored = (await feedPositions(log, parts.codec)).get(feed.id)
  const interrupted = await turns.begin()
  await turns.drain()
  const before = stored?.ended && feed.again && !interrupted ? undefined : stored
  const resumedAt = before?.items ?? 0
  const items = before?.ended ? resumedAt : await feedFrom(resumedAt, writer, parts, feed)
  await turns.end()
  await writer.close()
  return { items, resumedAt }
}

async function feedFrom(resumedAt: number, writer: TaskWriter, parts: FeedParts, feed: Feed): Promise<number> {
  const commit = async (chunk: Chunk, position: FeedPosition): Promise<void> => {
    feed.onAppend?.()
    await writer.commit({ outputs: [...chunk.records, positionRecord(parts.codec, feed.id, position, chunk.lastMs)] })
    await parts.turns.drain()
    feed.onProgress?.(position.items)
  }
  let items = 0
  let chunk = new Chunk(parts, Number.NEGATIVE_INFINITY)
  for await (const item of feed.items) {
    items++
    if (items <= resumedAt) {
      if (items === resumedAt) chunk = new Chunk(parts, item.logTimeMs)
      continue
    }
    chunk.add(item)
    if (items % itemsPerChunk > 0) continue
    chunk.tick()
    await commit(chunk, { items, ended: false })
    chunk = new Chunk(parts, chunk.lastMs)
  }
  if (items > 0) {
    chunk.tick()
    if (chunk.items > 0) await commit(chunk, { items, ended: false })
  }
  const endMs = feed.endMs(chunk.lastMs)
  chunk = new Chunk(parts, endMs)
  if (Number.isFinite(endMs)) chunk.tick('source')
  await commit(chunk, { items, ended: true })
  return items
}

/** The positions of all feeds that were ever begun, by id. */
export async function feedPositions(log: Log, codec: Codec): Promise<ReadonlyMap<string, FeedPosition>> {
  const { name, partitions } = feedPositionsTopic
  if (!(await log.topics()).some((topic) => topic.name === name)) return new Map()
  const values = await lastValues(log, name, partitions)
  return new Map([...values].map(([id, value]) => [id, codec.decode('FeedPosition', value)]))
}

/** INPUT_INVALID when something else than this feed has been fed into the log: the outcome would not be its own. */
export async function requireOnlyFeed(log: Log, codec: Codec, id: string): Promise<void> {
  const other = [...(await feedPositions(log, codec)).keys()].find((known) => known !== id)
  if (other === undefined) return
  throw new MillraceError(
    'INPUT_INVALID',
    `the data folder holds another history (${other}, not ${id}); take an empty folder with --data`,
  )
}

/** The records of one commit, with ticks among them. */
class Chunk {
  readonly records: AddressedRecord[] = []
  items = 0
  lastMs: number
  readonly #codec: Codec
  readonly #partitions: number
  #tickedMs: number
  #sinceTick = 0

  /** `lastMs`: log time so far. */
  constructor({ codec, topology }: FeedParts, lastMs: number) {
    this.#codec = codec
    this.#partitions = topicOf(topology, rawTopic).partitions
    this.#tickedMs = lastMs
    this.lastMs = lastMs
  }

  add({ logTimeMs, key, raw }: FeedItem): void {
    invariant(logTimeMs >= this.lastMs, 'the log time of a history never goes back')
    this.lastMs = logTimeMs
    if (this.#tickedMs === Number.NEGATIVE_INFINITY) this.tick()
    if (this.#sinceTick >= itemsPerTick && logTimeMs - this.#tickedMs >= tickMs) this.tick()
    const value = Buffer.isBuffer(raw) ? raw : this.#codec.encode('RawEvent', raw)
    const partition = partitionOf(key, this.#partitions)
    this.records.push({ topic: rawTopic, partition, kind: 'event', key, value, timestampMs: logTimeMs })
    this.items++
    this.#sinceTick++
  }

  /** Log time has come this far, in every partition; until the feed's last tick it is the history's. */
  tick(writer: 'history' | 'source' = 'history'): void {
    const clockMs = this.lastMs
    const value = this.#codec.encode('Tick', { writer, clockMs })
    for (let partition = 0; partition < this.#partitions; partition++) {
      this.records.push({
        topic: rawTopic,
        partition,
        kind: controlKinds.tick,
        key: 'source',
        value,
        timestampMs: clockMs,
      })
    }
    this.#tickedMs = clockMs
    this.#sinceTick = 0
  }
}

function positionRecord(codec: Codec, id: string, position: FeedPosition, lastMs: number): AddressedRecord {
  const value = codec.encode('FeedPosition', position)
  const timestampMs = Number.isFinite(lastMs) ? lastMs : 0
  return { topic: feedPositionsTopic.name, partition: 0, kind: 'position', key: id, value, timestampMs }
}
