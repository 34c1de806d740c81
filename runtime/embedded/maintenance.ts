/** What keeps the embedded log within its bounds: retention, the limit of the disk, and compaction. */

import { recordBytes } from '../portion.ts'
import type { StoredRecord } from '../record.ts'
import type { RocksDb } from '../rocksdb.ts'
import { type AppendedRecord, encodeBlock, recordsOf } from './block.ts'
import { blockKey, type IndexEntry, indexKey, indexValue } from './layout.ts'
import type { EmbeddedPartition, EmbeddedTopic } from './partition.ts'

/** The parts of the log that maintenance works on, beside appends and fetches. */
export type Upkeep = {
  readonly db: RocksDb
  readonly topics: () => readonly EmbeddedTopic[]
  readonly nextSequence: () => number
  /** The clock of the machine, from which ages are counted. */
  readonly now: () => number
  /** The log is being closed: leave the rest for the next time. */
  readonly isClosing: () => boolean
}

export type Bounds = {
  readonly diskBytesMax: number
  /** How long a tombstone stays for readers to see. */
  readonly deleteRetentionMs: number
}

/** A block of this size is worth a write of its own; compaction merges smaller ones. */
export const blockBytes = 256 * 1024

/** Drops what is older than the retention of its topic. Answers the bytes dropped. */
export async function dropExpired(upkeep: Upkeep): Promise<number> {
  let dropped = 0
  for (const { spec, partitions } of upkeep.topics()) {
    if (spec.cleanup !== 'delete' || spec.retentionMs === null) continue
    const keptFromMs = upkeep.now() - spec.retentionMs
    for (const partition of partitions) {
      const expired = new Dropping(upkeep.db, partition)
      for await (const entry of partition.index(upkeep.db, partition.start, partition.stable)) {
        if (entry.appendedMs >= keptFromMs || upkeep.isClosing()) break
        await expired.add(entry)
      }
      dropped += await expired.finish()
    }
  }
  return dropped
}

/** Drops all that is in a partition. */
export async function dropAll({ db }: Upkeep, partition: EmbeddedPartition): Promise<void> {
  const dropping = new Dropping(db, partition)
  for await (const entry of partition.index(db, 0, partition.stable)) await dropping.add(entry)
  await dropping.finish()
}

/**
 * Brings the log below its limit by dropping the oldest blocks of the topics that have a retention, across all their
 * partitions. Answers the bytes dropped. What compacts or is kept for ever is never dropped.
 */
export async function dropBeyondLimit(upkeep: Upkeep, { diskBytesMax }: Bounds): Promise<number> {
  let excess = bytesOf(upkeep.topics()) - diskBytesMax
  if (excess <= 0) return 0

  const candidates = upkeep
    .topics()
    .filter(({ spec }) => spec.cleanup === 'delete' && spec.retentionMs !== null)
    .flatMap(({ partitions }) => partitions)
    .map((partition) => ({
      entries: partition.index(upkeep.db, partition.start, partition.stable),
      dropping: new Dropping(upkeep.db, partition),
    }))
  const oldest: { entry: IndexEntry; from: (typeof candidates)[number] }[] = []
  const refill = async (from: (typeof candidates)[number]) => {
    const next = await from.entries.next()
    if (!next.done) oldest.push({ entry: next.value, from })
  }
  for (const candidate of candidates) await refill(candidate)

  while (excess > 0 && oldest.length > 0 && !upkeep.isClosing()) {
    const first = oldest.reduce((a, b) => (b.entry.appendedMs < a.entry.appendedMs ? b : a))
    oldest.splice(oldest.indexOf(first), 1)
    await first.from.dropping.add(first.entry)
    excess -= first.entry.bytes
    await refill(first.from)
  }
  let dropped = 0
  for (const { dropping } of candidates) dropped += await dropping.finish()
  return dropped
}

/**
 * Drops superseded records of the compacted topics, and tombstones whose time is over; offsets stay. A partition is
 * gone over when half of it is new since the last time, or, with `eager`, whenever there is something to gain.
 * Answers the bytes gained.
 */
export async function compactTopics(
  upkeep: Upkeep,
  bounds: Bounds,
  options: { readonly eager: boolean },
): Promise<number> {
  let gained = 0
  for (const { spec, partitions } of upkeep.topics()) {
    if (spec.cleanup !== 'compact') continue
    for (const partition of partitions) {
      if (upkeep.isClosing()) return gained
      if (options.eager || isDirty(partition, upkeep.now(), bounds)) gained += await compact(upkeep, partition, bounds)
    }
  }
  return gained
}

export function bytesOf(topics: readonly EmbeddedTopic[]): number {
  let bytes = 0
  for (const { partitions } of topics) for (const partition of partitions) bytes += partition.bytes
  return bytes
}

/** Collects the oldest blocks of a partition and drops them, some at a time, each time atomically. */
class Dropping {
  readonly #db: RocksDb
  readonly #partition: EmbeddedPartition
  #entries: IndexEntry[] = []
  #dropped = 0

  constructor(db: RocksDb, partition: EmbeddedPartition) {
    this.#db = db
    this.#partition = partition
  }

  async add(entry: IndexEntry): Promise<void> {
    if (this.#entries.push(entry) >= 500) await this.#drop()
  }

  async finish(): Promise<number> {
    if (this.#entries.length > 0) await this.#drop()
    return this.#dropped
  }

  async #drop(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
    let bytes = 0
    for (const entry of entries) bytes += entry.bytes
    // the start moves first, so that a reader under way is told instead of skipping what it finds gone
    this.#partition.start = entries.at(-1)!.lastOffset + 1
    this.#partition.bytes -= bytes
    this.#dropped += bytes
    await this.#db.write([...entries.flatMap((entry) => removal(this.#partition, entry)), this.#partition.saved()], {
      sync: false,
    })
  }
}

function isDirty({ bytes, clean, stable }: EmbeddedPartition, nowMs: number, { deleteRetentionMs }: Bounds): boolean {
  const dirtyBytes = bytes - clean.bytes
  if (dirtyBytes >= dirtyBytesMin && dirtyBytes >= bytes / 2) return true
  return stable > clean.to && nowMs - clean.atMs >= Math.max(deleteRetentionMs, hourMs)
}

const dirtyBytesMin = 4 * 1024 * 1024
const hourMs = 3600 * 1000
/** Bounds the memory of one pass: what comes after so many keys waits for the next. */
const keysMax = 200_000
const pageBytes = 1024 * 1024

async function compact(upkeep: Upkeep, partition: EmbeddedPartition, { deleteRetentionMs }: Bounds): Promise<number> {
  const bytesBefore = partition.bytes
  const cleanBefore = partition.clean.to
  const tombstonesKeptFromMs = upkeep.now() - deleteRetentionMs

  const latest = new Map<string, number>()
  let end = cleanBefore
  for await (const { entry, block } of partition.blocks(upkeep.db, cleanBefore, partition.stable, pageBytes)) {
    for (const { key, offset } of recordsOf(block)) latest.set(key, offset)
    end = entry.lastOffset + 1
    if (latest.size >= keysMax || upkeep.isClosing()) break
  }

  // A tombstone may go once a pass before this one has removed all that it covers.
  const isKept = ({ key, offset, value, appendedMs }: AppendedRecord) =>
    offset >= (latest.get(key) ?? 0) && !(value === null && offset < cleanBefore && appendedMs <= tombstonesKeptFromMs)

  const merging = new Merging(upkeep, partition)
  for await (const { entry, block } of partition.blocks(upkeep.db, partition.start, end, pageBytes)) {
    const records = recordsOf(block)
    await merging.add(entry, records, records.filter(isKept))
    if (upkeep.isClosing()) break
  }
  await merging.finish()
  if (upkeep.isClosing()) return bytesBefore - partition.bytes
  partition.clean = { to: end, bytes: merging.bytesAfter, atMs: upkeep.now() }
  await upkeep.db.write([partition.saved()], { sync: false })
  return bytesBefore - partition.bytes
}

/** Puts what is left of adjacent blocks together into new ones, in place of the old. */
class Merging {
  readonly #upkeep: Upkeep
  readonly #partition: EmbeddedPartition
  #replaced: IndexEntry[] = []
  #kept: AppendedRecord[] = []
  #keptBytes = 0
  bytesAfter = 0

  constructor(upkeep: Upkeep, partition: EmbeddedPartition) {
    this.#upkeep = upkeep
    this.#partition = partition
  }

  async add(entry: IndexEntry, records: readonly StoredRecord[], kept: readonly AppendedRecord[]): Promise<void> {
    if (this.#replaced.length === 0 && kept.length === records.length && entry.bytes >= blockBytes / 2) {
      this.bytesAfter += entry.bytes
      return
    }
    this.#replaced.push(entry)
    for (const record of kept) {
      this.#kept.push(record)
      this.#keptBytes += recordBytes(record)
    }
    if (this.#keptBytes >= blockBytes || this.#replaced.length >= 500) await this.#write()
  }

  async finish(): Promise<void> {
    if (this.#replaced.length > 0) await this.#write()
  }

  async #write(): Promise<void> {
    const replaced = this.#replaced
    const last = replaced.at(-1)!
    const appendedMs = Math.max(...replaced.map((entry) => entry.appendedMs))
    const block = encodeBlock(this.#kept, appendedMs)
    this.#replaced = []
    this.#kept = []
    this.#keptBytes = 0

    // even an empty block stays in the place of the last one: the partition's end is read from the last index entry
    const sequence = this.#upkeep.nextSequence()
    const entry = { lastOffset: last.lastOffset, sequence, bytes: block.length, appendedMs }
    for (const old of replaced) this.#partition.bytes -= old.bytes
    this.#partition.bytes += block.length
    this.bytesAfter += block.length
    await this.#upkeep.db.write(
      [
        ...replaced.flatMap((old) => removal(this.#partition, old)),
        { key: indexKey(this.#partition.id, entry.lastOffset), value: indexValue(entry) },
        { key: blockKey(sequence), value: block },
        this.#partition.saved(),
      ],
      { sync: false },
    )
  }
}

function removal(partition: EmbeddedPartition, { lastOffset, sequence }: IndexEntry) {
  return [
    { key: indexKey(partition.id, lastOffset), value: null },
    { key: blockKey(sequence), value: null },
  ]
}
