/**
 * A durable log in one folder, for one process: what `millrace start` runs on. Appends and commits that arrive while a
 * write is under way share the next one, so that each is durable on its own and none waits for another's sync.
 */
import { readdir } from 'node:fs/promises'
import { InvariantError, invariant, MillraceError } from '../errors.ts'
import type { Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import { requireInRange, requireSamePartitions, unknownPartition } from '../log-checks.ts'
import { Portion, recordBytes } from '../portion.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import { RocksDb, type RocksWrite } from '../rocksdb.ts'
import { encodeBlock, readBlock } from './block.ts'
import {
  allBlockKeys,
  allTopicKeys,
  blockKey,
  formatKey,
  formatMarker,
  indexKey,
  indexValue,
  partitionKey,
  sequenceOf,
  topicIdOf,
  topicKey,
} from './layout.ts'
import {
  blockBytes,
  bytesOf,
  compactTopics,
  dropAll,
  dropBeyondLimit,
  dropExpired,
  type Upkeep,
} from './maintenance.ts'
import { EmbeddedPartition, type EmbeddedTopic } from './partition.ts'
import { Tails } from './tail.ts'

export type EmbeddedLogOptions = {
  /**
   * Above it the oldest records of topics with a retention go, whatever that says. Default 4 GiB. It counts records
   * uncompressed; until RocksDB has reclaimed what was dropped, the folder can be larger for a while.
   */
  readonly diskBytesMax?: number
  /** How long tombstones of compacted topics stay. Default a day. */
  readonly deleteRetentionMs?: number
  /** Memory for the youngest records of all partitions. Default 12 MiB. */
  readonly tailBytesMax?: number
  /** Whether an append survives a loss of power, and not a kill alone. Default true. */
  readonly sync?: boolean
  /** The clock of the machine: log time of records that say none, and what retention counts from. */
  readonly now?: () => number
}

export type MaintenanceReport = {
  readonly expiredBytes: number
  readonly beyondLimitBytes: number
  readonly compactedBytes: number
}

export class EmbeddedLog implements Log {
  readonly #db: RocksDb
  readonly #options: Required<EmbeddedLogOptions>
  readonly #upkeep: Upkeep
  readonly #tails: Tails
  readonly #topics = new Map<string, EmbeddedTopic>()
  readonly #epochs = new Map<string, number>()
  #nextSequence = 0
  #waiting: Request[] = []
  /** The writing of all that waits, and of one group of it. */
  #writing: Promise<void> | undefined
  #group: Promise<void> | undefined
  /** Resolves when the maintenance asked for last has ended, well or not. */
  #maintaining: Promise<void> | undefined
  #bytesSinceMaintained = 0
  /** Why the log takes no more writes. */
  #failure: Error | undefined
  #closed = false

  private constructor(db: RocksDb, options: EmbeddedLogOptions) {
    this.#db = db
    this.#options = {
      diskBytesMax: 4 * 1024 ** 3,
      deleteRetentionMs: 24 * 3600 * 1000,
      tailBytesMax: 12 * 1024 ** 2,
      sync: true,
      now: Date.now,
      ...options,
    }
    this.#tails = new Tails(this.#options.tailBytesMax)
    this.#upkeep = {
      db,
      topics: () => [...this.#topics.values()],
      nextSequence: () => this.#nextSequence++,
      now: this.#options.now,
      isClosing: () => this.#closed,
    }
  }

  /**
   * Opens the log of a folder, made if missing. DATA_LOCKED when another has it open, DATA_FOREIGN when the folder holds
   * something else or another version's log, DATA_UNWRITABLE when it cannot be made or written, DATA_FULL when its disk is
   * full.
   */
  static async open(folder: string, options: EmbeddedLogOptions = {}): Promise<EmbeddedLog> {
    await requireOwnFolder(folder)
    const db = await RocksDb.open(folder, {
      writeBufferBytes: 8 * 1024 ** 2,
      blockCacheBytes: 4 * 1024 ** 2,
      openFilesMax: 128,
      compression: true,
    })
    const log = new EmbeddedLog(db, options)
    try {
      await log.#load()
    } catch (error) {
      await db.close()
      throw error
    }
    return log
  }

  /** A topic that exists takes over what is new in cleanup and retention. */
  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.#requireWritable()
    const writes: RocksWrite[] = []
    for (const { name, partitions, cleanup, retentionMs } of topics) {
      const spec = { name, partitions, cleanup, retentionMs }
      const existing = this.#topics.get(name)
      if (existing) {
        requireSamePartitions(existing.spec, spec)
        if (existing.spec.cleanup === cleanup && existing.spec.retentionMs === retentionMs) continue
        existing.spec = spec
        writes.push({ key: topicKey(existing.id), value: Buffer.from(JSON.stringify(spec)) })
      } else {
        const topic = newTopic(this.#nextTopicId(), spec)
        this.#topics.set(name, topic)
        writes.push({ key: topicKey(topic.id), value: Buffer.from(JSON.stringify(spec)) })
      }
    }
    try {
      await this.#db.write(writes, { sync: this.#options.sync })
    } catch (error) {
      throw this.#fail(error)
    }
  }

  /** With all that is in them; those that are not there are deleted already. Interrupted, it leaves topics with less in them. */
  async deleteTopics(names: readonly string[]): Promise<void> {
    this.#requireWritable()
    await this.#maintaining
    for (const name of names) {
      const topic = this.#topics.get(name)
      if (!topic) continue
      for (const partition of topic.partitions) await dropAll(this.#upkeep, partition)
      const keys = [topicKey(topic.id), ...topic.partitions.map(({ id }) => partitionKey(id))]
      await this.#db.write(
        keys.map((key) => ({ key, value: null })),
        { sync: this.#options.sync },
      )
      this.#topics.delete(name)
    }
  }

  async topics(): Promise<readonly TopicSpec[]> {
    return [...this.#topics.values()].map(({ spec }) => spec)
  }

  async ends(topic: string, partition: number): Promise<PartitionEnds> {
    const { start, stable } = this.#partition(topic, partition)
    return { start, stable, end: stable }
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    const place = this.#partition(topic, partition)
    const { stable } = place
    requireInRange(topic, partition, offset, place)
    const portion = new Portion(limits)
    if (place.tail.covers(offset)) return fetched(portion, place.tail.read(offset, portion) ? stable : undefined)

    for await (const { block } of place.blocks(this.#db, offset, stable, Math.max(limits.maxBytes, blockBytes))) {
      if (!readBlock(block, offset, (record) => portion.take(record))) return fetched(portion, undefined)
    }
    return fetched(portion, stable)
  }

  async arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    const place = this.#partition(topic, partition)
    if (offset >= place.stable) await place.arrivals.wait(offset, signal)
  }

  append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    return this.#submit(records, undefined)
  }

  async writer(id: string): Promise<TaskWriter> {
    const epoch = (this.#epochs.get(id) ?? 0) + 1
    this.#epochs.set(id, epoch)
    const requireNewest = () => {
      if (this.#epochs.get(id) === epoch) return
      throw new MillraceError('FENCED', `a newer writer of ${id} has been opened`, { place: { task: id } })
    }
    let closed = false
    await this.#group // what the writer before has under way is in the log, or never will be
    return {
      commit: async ({ outputs }) => {
        invariant(!closed, `the writer of ${id} is open while it is used`)
        requireNewest()
        return this.#submit(outputs, requireNewest)
      },
      close: async () => {
        closed = true
      },
    }
  }

  /**
   * Applies retention, the limit of the disk, and compaction, once what is under way of it has ended; to be called each
   * minute or so. It calls itself when much has been appended. `eager` compacts whatever there is to gain.
   */
  maintain(options: { readonly eager?: boolean } = {}): Promise<MaintenanceReport> {
    const before = this.#maintaining ?? Promise.resolve()
    const run = before.then(() => this.#maintain(options.eager ?? false))
    const settled = run.then(ignore, ignore).then(() => {
      if (this.#maintaining === settled) this.#maintaining = undefined
    })
    this.#maintaining = settled
    return run
  }

  /** What all records take, before RocksDB compresses them. */
  get bytes(): number {
    return bytesOf(this.#upkeep.topics())
  }

  /** Waits for what has been submitted, then lets go of the folder. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing
    await this.#maintaining
    if (!this.#failure) await this.#db.write(this.#savedPartitions(), { sync: false }).catch(ignore)
    await this.#db.close()
  }

  async #load(): Promise<void> {
    const [marker] = await this.#db.getMany([formatKey])
    if (!marker) {
      const [other] = await this.#db.read({ from: Buffer.from([0]), to: Buffer.from([0xff]) }, { limit: 1 })
      if (other) throw foreign(this.#db.folder, 'it is the database of another program')
      await this.#db.write([{ key: formatKey, value: Buffer.from(formatMarker) }], { sync: this.#options.sync })
    } else if (marker.toString() !== formatMarker) {
      throw foreign(this.#db.folder, `its format is '${marker}', expected '${formatMarker}'`)
    }

    const topics = await this.#db.read(allTopicKeys, { limit: Number.MAX_SAFE_INTEGER })
    for (const { key, value } of topics) {
      const spec: TopicSpec = JSON.parse(value.toString())
      const topic = newTopic(topicIdOf(key), spec)
      for (const partition of topic.partitions) await partition.load(this.#db)
      this.#topics.set(spec.name, topic)
    }
    const [lastBlock] = await this.#db.read(allBlockKeys, { limit: 1, reverse: true })
    this.#nextSequence = lastBlock ? sequenceOf(lastBlock.key) + 1 : 0
  }

  /** Queues records for the next write. A request that cannot be written is refused here, and spoils no other. */
  async #submit(
    records: readonly AddressedRecord[],
    requireNewest: (() => void) | undefined,
  ): Promise<readonly number[]> {
    this.#requireWritable()
    const places = records.map(({ topic, partition, timestampMs }) => {
      invariant(isLogTime(timestampMs), 'log time is a whole number of milliseconds, or NaN')
      return this.#partition(topic, partition)
    })
    if (records.length === 0) return []
    let bytes = 0
    for (const record of records) bytes += recordBytes(record)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, places, bytes, requireNewest, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  /** Writes group after group until nobody waits. Never rejects. */
  async #writeAll(): Promise<void> {
    await null // whoever submits in this turn shares the first write
    while (this.#waiting.length > 0) {
      this.#group = this.#writeGroup(this.#takeGroup())
      await this.#group
      this.#maintainIfDue()
    }
    this.#writing = undefined
  }

  #maintainIfDue(): void {
    if (this.#bytesSinceMaintained < this.#options.diskBytesMax / 16 || this.#maintaining || this.#closed) return
    this.#bytesSinceMaintained = 0
    this.maintain().catch(ignore) // whoever calls maintain() next is told, and the next append meets the same disk
  }

  #takeGroup(): Request[] {
    let count = 0
    for (let bytes = 0; count < this.#waiting.length && (count === 0 || bytes < groupBytesMax); count++) {
      bytes += this.#waiting[count]!.bytes
    }
    return this.#waiting.splice(0, count)
  }

  async #writeGroup(group: readonly Request[]): Promise<void> {
    const nowMs = this.#options.now()
    const additions = new Map<EmbeddedPartition, StoredRecord[]>()
    const accepted: { readonly request: Request; readonly offsets: readonly number[] }[] = []
    for (const request of group) {
      try {
        request.requireNewest?.()
      } catch (fenced) {
        request.reject(fenced)
        continue
      }
      accepted.push({ request, offsets: addTo(additions, request, nowMs) })
    }

    let blocks: readonly NewBlock[]
    try {
      blocks = [...additions].flatMap(([partition, records]) => this.#blocksOf(partition, records, nowMs))
      await this.#db.write(
        blocks.flatMap(({ writes }) => writes),
        { sync: this.#options.sync },
      )
    } catch (error) {
      const failure = this.#fail(error)
      for (const { request } of accepted) request.reject(failure)
      return
    }

    for (const { partition, bytes } of blocks) {
      partition.bytes += bytes
      this.#bytesSinceMaintained += bytes
    }
    for (const [partition, records] of additions) {
      partition.stable += records.length
      this.#tails.push(partition.tail, records)
    }
    for (const { request, offsets } of accepted) request.resolve(offsets)
    for (const partition of additions.keys()) partition.arrivals.wake(partition.stable)
  }

  #blocksOf(partition: EmbeddedPartition, records: readonly StoredRecord[], appendedMs: number): NewBlock[] {
    return split(records).map((part) => {
      const block = encodeBlock(part, appendedMs)
      const sequence = this.#nextSequence++
      const entry = { lastOffset: part.at(-1)!.offset, sequence, bytes: block.length, appendedMs }
      const writes = [
        { key: indexKey(partition.id, entry.lastOffset), value: indexValue(entry) },
        { key: blockKey(sequence), value: block },
      ]
      return { partition, bytes: block.length, writes }
    })
  }

  /**
   * After a failed write RocksDB takes no other; and whether the failed one is found again after a restart is unknown.
   * So the log stops: what is in it can be read, nothing more is written until it is opened anew.
   */
  #fail(error: unknown): Error {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
    return this.#failure
  }

  async #maintain(eager: boolean): Promise<MaintenanceReport> {
    if (this.#closed) return { expiredBytes: 0, beyondLimitBytes: 0, compactedBytes: 0 } // it waited until then
    this.#requireWritable()
    const bounds = this.#options
    const firstSequence = this.#nextSequence
    const expiredBytes = await dropExpired(this.#upkeep)
    const beyondLimitBytes = await dropBeyondLimit(this.#upkeep, bounds)
    const compactedBytes = await compactTopics(this.#upkeep, bounds, { eager })
    await this.#db.write(this.#savedPartitions(), { sync: false })
    if (expiredBytes + beyondLimitBytes + compactedBytes >= reclaimBytesMin && !this.#closed) {
      await this.#db.compact({ from: allBlockKeys.from, to: blockKey(firstSequence) })
    }
    return { expiredBytes, beyondLimitBytes, compactedBytes }
  }

  #nextTopicId(): number {
    return Math.max(-1, ...[...this.#topics.values()].map(({ id }) => id)) + 1
  }

  #savedPartitions(): RocksWrite[] {
    return [...this.#topics.values()].flatMap(({ partitions }) => partitions.map((partition) => partition.saved()))
  }

  #partition(topic: string, partition: number): EmbeddedPartition {
    const found = this.#topics.get(topic)?.partitions[partition]
    if (!found) throw unknownPartition(topic, partition)
    return found
  }

  #requireWritable(): void {
    if (this.#closed) throw new InvariantError('broken invariant: the log is open while it is written')
    if (this.#failure) throw this.#failure
  }
}

type NewBlock = {
  readonly partition: EmbeddedPartition
  readonly bytes: number
  readonly writes: readonly RocksWrite[]
}

type Request = {
  readonly records: readonly AddressedRecord[]
  /** The partition of each record. */
  readonly places: readonly EmbeddedPartition[]
  readonly bytes: number
  /** Throws FENCED. */
  readonly requireNewest: (() => void) | undefined
  readonly resolve: (offsets: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/** One write is about this large at most, or one request: encoding it holds up everything else in the process. */
const groupBytesMax = 4 * 1024 ** 2
/** What is worth having RocksDB rewrite files for. */
const reclaimBytesMin = 64 * 1024 ** 2

/** NaN asks for the log's clock. The bound is that of a block's encoding, and far in the future. */
function isLogTime(timestampMs: number): boolean {
  return Number.isNaN(timestampMs) || (Number.isInteger(timestampMs) && Math.abs(timestampMs) <= 2 ** 51)
}

/** Gives each record of a request its offset after those that are there and those added before. */
function addTo(
  additions: Map<EmbeddedPartition, StoredRecord[]>,
  { records, places }: Request,
  nowMs: number,
): number[] {
  return records.map(({ kind, key, value, timestampMs }, i) => {
    const partition = places[i]!
    let added = additions.get(partition)
    if (!added) {
      added = []
      additions.set(partition, added)
    }
    const offset = partition.stable + added.length
    added.push({ offset, kind, key, value, timestampMs: Number.isNaN(timestampMs) ? nowMs : timestampMs })
    return offset
  })
}

/** Cuts records into blocks, so that a reader in the middle of many need not load them all. */
function split(records: readonly StoredRecord[]): StoredRecord[][] {
  const parts: StoredRecord[][] = []
  let part: StoredRecord[] = []
  let bytes = 0
  for (const record of records) {
    part.push(record)
    bytes += recordBytes(record)
    if (bytes < blockBytes) continue
    parts.push(part)
    part = []
    bytes = 0
  }
  if (part.length > 0) parts.push(part)
  return parts
}

/** `end` is where the reader goes on when the portion was not cut. */
function fetched({ records }: Portion, end: number | undefined): Fetched {
  return { records, nextOffset: end ?? records.at(-1)!.offset + 1 }
}

function newTopic(id: number, spec: TopicSpec): EmbeddedTopic {
  const partitions = Array.from(
    { length: spec.partitions },
    (_, partition) => new EmbeddedPartition(spec.name, { topicId: id, partition }),
  )
  return { id, spec, partitions }
}

/** RocksDB would make itself at home in any folder; we do in an empty one, or in our own. */
async function requireOwnFolder(folder: string): Promise<void> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch {
    return // it is not there, or opening it will say what is wrong
  }
  const strange = names.find(
    (name) => !/^(LOCK|LOG.*|CURRENT|IDENTITY|(MANIFEST|OPTIONS)-.*|.*\.(sst|log|dbtmp))$/.test(name),
  )
  if (strange) throw foreign(folder, `it holds ${strange}`)
}

function ignore(): void {}

function foreign(folder: string, why: string): MillraceError {
  return new MillraceError('DATA_FOREIGN', `the folder ${folder} is not a log of this version: ${why}`)
}
