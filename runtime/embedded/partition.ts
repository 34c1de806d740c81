/** A partition of the embedded log: what memory knows of it, and how its blocks are read from disk. */
import { Arrivals } from '../arrivals.ts'
import { invariant } from '../errors.ts'
import type { TopicSpec } from '../log.ts'
import { requireInRange } from '../log-checks.ts'
import type { RocksDb, RocksWrite } from '../rocksdb.ts'
import { blockKey, type IndexEntry, indexEntry, indexRange, type PartitionId, partitionKey } from './layout.ts'
import { Tail } from './tail.ts'

export type EmbeddedTopic = {
  readonly id: number
  spec: TopicSpec
  readonly partitions: readonly EmbeddedPartition[]
}

export class EmbeddedPartition {
  readonly id: PartitionId
  readonly topic: string
  readonly tail = new Tail()
  readonly arrivals = new Arrivals()
  /** The first offset readers may ask for. */
  start = 0
  /** One past the last record that is on disk. */
  stable = 0
  /** Of all its blocks. */
  bytes = 0
  /** What compaction has been over: up to which offset, how many bytes it left, and when. */
  clean = { to: 0, bytes: 0, atMs: 0 }

  constructor(topic: string, id: PartitionId) {
    this.topic = topic
    this.id = id
  }

  /** Reads what was saved, and what has been appended since. */
  async load(db: RocksDb): Promise<void> {
    const [saved] = await db.getMany([partitionKey(this.id)])
    let countedTo = 0
    if (saved) {
      const state: SavedState = JSON.parse(saved.toString())
      this.start = state.start
      this.bytes = state.bytes
      this.clean = state.clean
      countedTo = state.countedTo
    }
    this.stable = countedTo
    for await (const { bytes, lastOffset } of this.index(db, countedTo, Number.MAX_SAFE_INTEGER)) {
      this.bytes += bytes
      this.stable = lastOffset + 1
    }
  }

  /** The write that saves what cannot be learned again from the youngest index entries. */
  saved(): RocksWrite {
    const { start, bytes, clean, stable: countedTo } = this
    return {
      key: partitionKey(this.id),
      value: Buffer.from(JSON.stringify({ start, bytes, clean, countedTo } satisfies SavedState)),
    }
  }

  /** Index entries of the blocks that hold offsets from `from` on and end before `to`, in order. */
  async *index(db: RocksDb, from: number, to: number): AsyncGenerator<IndexEntry> {
    for (let position = from; position < to; ) {
      const entries = await db.read(indexRange(this.id, position, to), { limit: indexPage })
      for (const entry of entries) yield indexEntry(entry)
      if (entries.length < indexPage) return
      position = indexEntry(entries.at(-1)!).lastOffset + 1
    }
  }

  /**
   * The blocks that hold offsets from `from` on and end before `to`, in order, a page of about `pageBytes` read at a
   * time. OFFSET_OUT_OF_RANGE when retention overtakes the reader; compaction it does not notice.
   */
  async *blocks(
    db: RocksDb,
    from: number,
    to: number,
    pageBytes: number,
  ): AsyncGenerator<{ entry: IndexEntry; block: Buffer }> {
    let limit = indexPageMin
    let missed = 0
    for (let position = from; position < to; limit = Math.min(limit * 2, indexPage)) {
      const page = firstOf(await db.read(indexRange(this.id, position, to), { limit }), pageBytes)
      const blocks = await db.getMany(page.map(({ sequence }) => blockKey(sequence)))
      requireInRange(this.topic, this.id.partition, position, this)
      if (page.length === 0) return
      for (const [i, entry] of page.entries()) {
        const block = blocks[i]
        if (!block) {
          // compaction moved it after the index was read: read the index again
          invariant(++missed < 100, 'a block that the index names is there, or the index names another soon')
          break
        }
        missed = 0
        yield { entry, block }
        position = entry.lastOffset + 1
      }
    }
  }
}

type SavedState = {
  readonly start: number
  readonly bytes: number
  readonly clean: { readonly to: number; readonly bytes: number; readonly atMs: number }
  /** Bytes counts the blocks before this offset. */
  readonly countedTo: number
}

const indexPageMin = 16
const indexPage = 256

/** The entries whose blocks make up about `bytesMax`, at least one. */
function firstOf(entries: readonly { key: Buffer; value: Buffer }[], bytesMax: number): IndexEntry[] {
  const page: IndexEntry[] = []
  let bytes = 0
  for (const entry of entries) {
    const parsed = indexEntry(entry)
    if (page.length > 0 && bytes + parsed.bytes > bytesMax) break
    page.push(parsed)
    bytes += parsed.bytes
  }
  return page
}
