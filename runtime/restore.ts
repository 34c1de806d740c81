/**
 * A task's store on its way along the changelog: to the end before the task runs, and after the end all the time in a
 * standby. By position, never by "the last record": control batches and compaction leave offsets without records.
 */
import type { Checkpoint } from '../schemas/avro/types.ts'
import type { Codec } from './codec.ts'
import { invariant } from './errors.ts'
import type { Log } from './log.ts'
import type { StoredRecord } from './record.ts'
import { rowKey } from './rows.ts'
import type { Stage } from './stage.ts'
import type { Store, StoreWrite } from './store.ts'
import { indexKey } from './timer-index.ts'
import { changelogOf, taskName } from './topology.ts'

/** How long the changelog keeps tombstones: a store that is behind by more may have missed some, and begins anew. */
export type TombstoneRetention = { readonly ms: number; nowMs(): number }

export type RestoreObserver = {
  /** A page has been applied: its records, and the offsets still to come, of those there were when it last looked. */
  restored?(task: string, page: { readonly records: number; readonly remaining: number }): void
  /** A store was of no use, being too old or of another log, and begins anew. */
  wiped?(task: string): void
}

export type RestoreParts = {
  readonly stage: Stage
  readonly partition: number
  readonly log: Log
  readonly store: Store
  readonly codec: Codec
  readonly observer: RestoreObserver
  readonly tombstones?: TombstoneRetention
}

const storedCheckpoint = 'mcheckpoint'
const changelogOffset = 'mchangelog'
/** Log time of the last record that a restore applied: while it is under way there may be no checkpoint yet. */
const restoredTime = 'mrestored'
const pageRecords = 5000
const pageBytes = 16 << 20

export class Restore {
  readonly #parts: RestoreParts
  readonly #topic: string
  #offset = 0
  #checkpoint: Buffer | undefined
  /** All that was written up to then has been read; tombstones written after it are missed once they are too old. */
  #completeMs: number

  private constructor(parts: RestoreParts) {
    this.#parts = parts
    this.#topic = changelogOf(parts.stage.name)
    this.#completeMs = this.#nowMs()
  }

  /** Takes up where the store is. A store that the changelog no longer tells all about is wiped first. */
  static async open(parts: RestoreParts): Promise<Restore> {
    const { stage, partition, log, store, codec } = parts
    const restore = new Restore(parts)
    const ends = await log.ends(changelogOf(stage.name), partition)
    const [storedOffset, storedTime, checkpoint] = await store.getMany([
      changelogOffset,
      restoredTime,
      storedCheckpoint,
    ])
    if (!storedOffset) {
      await restore.#clear(ends.start)
      return restore
    }
    const offset = int64Of(storedOffset)
    restore.#offset = offset
    restore.#checkpoint = checkpoint
    const foreign = offset < ends.start || offset > ends.stable
    // With no commit after it nothing can have been missed, however old it is.
    if (!foreign && (await hasMore(parts, offset))) {
      restore.#completeMs = Math.max(
        storedTime ? int64Of(storedTime) : 0,
        checkpoint ? latestClock(codec.decode('Checkpoint', checkpoint)) : 0,
      )
    }
    if (foreign || restore.#mayHaveMissed()) await restore.#beginAnew()
    return restore
  }

  /** The checkpoint that the store stands at; undefined if the task never committed. */
  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint && this.#parts.codec.decode('Checkpoint', this.#checkpoint)
  }

  /** Applies all that is committed now. Throws the signal's reason when it aborts; what was applied stays. */
  async toStableEnd(signal: AbortSignal): Promise<void> {
    const { stage, log, partition, observer } = this.#parts
    const askedMs = this.#nowMs()
    const { stable } = await log.ends(this.#topic, partition)
    while (this.#offset < stable) {
      signal.throwIfAborted()
      const limits = { maxRecords: pageRecords, maxBytes: pageBytes }
      const { records, nextOffset } = await log.fetch(this.#topic, partition, this.#offset, limits)
      invariant(nextOffset > this.#offset, 'a fetch below the stable end moves the position')
      if (this.#mayHaveMissed()) {
        await this.#beginAnew()
        continue
      }
      await this.#apply(records, nextOffset)
      const remaining = Math.max(0, stable - nextOffset)
      observer.restored?.(taskName(stage.name, partition), { records: records.length, remaining })
    }
    this.#completeMs = askedMs
  }

  /** Applies what is committed and what comes, until the signal aborts. `caughtUp` is called each time it is at the end. */
  async follow(caughtUp: () => void, signal: AbortSignal): Promise<void> {
    const { log, partition } = this.#parts
    while (!signal.aborted) {
      await this.toStableEnd(signal)
      caughtUp()
      await log.arrival(this.#topic, partition, this.#offset, signal)
    }
  }

  /** Whoever is stopped for long, in the middle of a restore or while following, comes back to a log without its tombstones. */
  #mayHaveMissed(): boolean {
    const { tombstones } = this.#parts
    return tombstones !== undefined && this.#nowMs() - this.#completeMs >= tombstones.ms
  }

  async #beginAnew(): Promise<void> {
    const { stage, partition, log, observer } = this.#parts
    observer.wiped?.(taskName(stage.name, partition))
    this.#completeMs = this.#nowMs()
    await this.#clear((await log.ends(this.#topic, partition)).start)
  }

  async #clear(start: number): Promise<void> {
    await this.#parts.store.clear()
    this.#offset = start
    this.#checkpoint = undefined
  }

  #nowMs(): number {
    return this.#parts.tombstones?.nowMs() ?? 0
  }

  async #apply(records: readonly StoredRecord[], nextOffset: number): Promise<void> {
    const rows = new Map<string, Buffer | null>()
    for (const { kind, key, value } of records) {
      if (kind === 'checkpoint') this.#checkpoint = value ?? undefined
      else rows.set(key, value)
    }
    const former = await this.#formerRows(records.length, [...rows.keys()])
    const writes: StoreWrite[] = []
    for (const [key, value] of rows) {
      const before = this.#indexedAtMs(former.get(key))
      const indexedAtMs = this.#indexedAtMs(value)
      writes.push({ key: rowKey(key), value })
      if (before !== null && before !== indexedAtMs) writes.push({ key: indexKey(before, key), value: null })
      if (indexedAtMs !== null) writes.push({ key: indexKey(indexedAtMs, key), value: Buffer.alloc(0) })
    }
    if (this.#checkpoint) writes.push({ key: storedCheckpoint, value: this.#checkpoint })
    const last = records.at(-1)
    if (last) writes.push({ key: restoredTime, value: int64(last.timestampMs) })
    writes.push({ key: changelogOffset, value: int64(nextOffset) })
    await this.#parts.store.write(writes)
    this.#offset = nextOffset
  }

  /**
   * The rows as they were, whose timer entries go: a standby would collect them for months. While catching up they are
   * not read, which costs more than all the rest; the task passes over what they leave behind.
   */
  async #formerRows(records: number, keys: readonly string[]): Promise<ReadonlyMap<string, Buffer | undefined>> {
    if (records === pageRecords) return new Map()
    const values = await this.#parts.store.getMany(keys.map(rowKey))
    return new Map(keys.map((key, i) => [key, values[i]]))
  }

  #indexedAtMs(row: Buffer | null | undefined): number | null {
    return row ? this.#parts.codec.decode('Row', row).indexedAtMs : null
  }
}

/** The place in the changelog that a store stands at; undefined for one that has nothing of it. */
export async function changelogOffsetOf(store: Store): Promise<number | undefined> {
  const [stored] = await store.getMany([changelogOffset])
  return stored && int64Of(stored)
}

/** The checkpoint that a store stands at, as it is encoded; undefined if there is none. */
export async function storedCheckpointOf(store: Store): Promise<Buffer | undefined> {
  return (await store.getMany([storedCheckpoint]))[0]
}

/** Records of the changelog after a place in it; all there are when the place is not of this log. */
export async function lagAt(log: Log, stage: string, partition: number, offset: number): Promise<number> {
  const { start, stable } = await log.ends(changelogOf(stage), partition)
  return offset < start || offset > stable ? stable - start : stable - offset
}

/** Goes into the store with what it is the checkpoint of. */
export function checkpointWrites(checkpoint: Buffer, nextOffset: number): StoreWrite[] {
  return [
    { key: storedCheckpoint, value: checkpoint },
    { key: changelogOffset, value: int64(nextOffset) },
  ]
}

const idleSince = 'midle'

/** Since when no plan has wanted the store where it is, by the clock of its machine; undefined while one does. */
export async function idleSinceOf(store: Store): Promise<number | undefined> {
  const [stored] = await store.getMany([idleSince])
  return stored && int64Of(stored)
}

export function idleWrites(sinceMs: number | undefined): StoreWrite[] {
  return [{ key: idleSince, value: sinceMs === undefined ? null : int64(sinceMs) }]
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

const int64Of = (bytes: Buffer): number => Number(bytes.readBigInt64BE(0))

/** The latest log time it knows of: no later than when it was committed. */
function latestClock({ clocks }: Checkpoint): number {
  return Math.max(0, ...Object.values(clocks))
}

/**
 * Whether anything was committed after a place: if not, nothing can have been missed, however old it is. The end alone
 * does not tell, as the marker of the last commit stands before it. Each commit has a checkpoint, and compaction leaves
 * the last one: so there is a record if there was a commit.
 */
async function hasMore({ stage, partition, log }: RestoreParts, offset: number): Promise<boolean> {
  const topic = changelogOf(stage.name)
  const { stable } = await log.ends(topic, partition)
  for (let at = offset; at < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, partition, at, { maxRecords: 1, maxBytes: 1 })
    if (records.length > 0) return true
    at = nextOffset
  }
  return false
}
