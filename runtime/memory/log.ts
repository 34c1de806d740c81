/**
 * The log in memory, for tests and the simulator: deterministic, without timers, and as awkward as Kafka where it can
 * be: a transaction whose commit got lost stays open and holds the stable end back until its writer is opened anew.
 */
import { Arrivals } from '../arrivals.ts'
import { invariant, MillraceError } from '../errors.ts'
import type { Commit, Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import { requireInRange, requireSamePartitions, unknownPartition } from '../log-checks.ts'
import { Portion } from '../portion.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'

/** Where a commit may be made to fail, by throwing. The writer is then unusable, whatever was thrown. */
export type CommitFaults = {
  /** All is sent, nothing is committed: the transaction stays open until the writer's id is opened again, which aborts it. */
  beforeCommit?(writerId: string): void
  /** All is committed, the answer is lost. */
  afterCommit?(writerId: string): void
}

export type MemoryLogOptions = {
  /** The broker's clock: log time of records that say none. */
  readonly now?: () => number
  readonly faults?: CommitFaults
  /** Each commit and abort takes one more offset of every partition it touched, as Kafka's markers do. */
  readonly markers?: boolean
}

/** A record, and the id of the task writer that wrote it; empty for one that was appended outside of any task. */
export type WrittenRecord = StoredRecord & { readonly writer: string }

export class MemoryLog implements Log {
  readonly #now: () => number
  readonly #faults: CommitFaults
  readonly #markers: boolean
  readonly #topics = new Map<string, { readonly spec: TopicSpec; readonly partitions: readonly Partition[] }>()
  readonly #epochs = new Map<string, number>()

  constructor(options: MemoryLogOptions = {}) {
    this.#now = options.now ?? (() => 0)
    this.#faults = options.faults ?? {}
    this.#markers = options.markers ?? false
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const { name, partitions, cleanup, retentionMs } of topics) {
      const spec = { name, partitions, cleanup, retentionMs }
      const existing = this.#topics.get(spec.name)
      if (!existing)
        this.#topics.set(spec.name, { spec, partitions: Array.from({ length: spec.partitions }, newPartition) })
      else requireSamePartitions(existing.spec, spec)
    }
  }

  async topics(): Promise<readonly TopicSpec[]> {
    return [...this.#topics.values()].map(({ spec }) => spec)
  }

  async ends(topic: string, partition: number): Promise<PartitionEnds> {
    const found = this.#partition(topic, partition)
    return { start: found.start, stable: stableEnd(found) }
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    const found = this.#partition(topic, partition)
    const stable = stableEnd(found)
    requireInRange(topic, partition, offset, { start: found.start, stable })
    const portion = new Portion(limits)
    for (let i = firstAtOrAfter(found.records, offset); i < found.records.length; i++) {
      const { writer: _, ...record } = found.records[i]!
      if (record.offset >= stable) break
      if (!portion.take(record)) return { records: portion.records, nextOffset: portion.records.at(-1)!.offset + 1 }
    }
    return { records: portion.records, nextOffset: stable }
  }

  async arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    const found = this.#partition(topic, partition)
    if (offset >= stableEnd(found)) await found.arrivals.wait(offset, signal)
  }

  async append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    const places = records.map(({ topic, partition }) => this.#partition(topic, partition))
    const offsets = records.map((record, i) => this.#write(places[i]!, record, ''))
    for (const place of new Set(places)) place.arrivals.wake(stableEnd(place))
    return offsets
  }

  async writer(id: string): Promise<TaskWriter> {
    const epoch = (this.#epochs.get(id) ?? 0) + 1
    this.#epochs.set(id, epoch)
    this.#abort(id)
    let usable = true
    return {
      commit: async (commit) => {
        if (this.#epochs.get(id) !== epoch)
          throw new MillraceError('FENCED', `a newer writer of ${id} has been opened`, { place: { task: id } })
        invariant(usable, `a writer of ${id} that failed or was closed is dropped`)
        usable = false
        const offsets = this.#commit(id, commit)
        usable = true
        return offsets
      },
      close: async () => {
        usable = false
      },
    }
  }

  async close(): Promise<void> {}

  /** What readers can see of a partition now, and who wrote it. */
  records(topic: string, partition: number): readonly WrittenRecord[] {
    const found = this.#partition(topic, partition)
    const stable = stableEnd(found)
    return found.records.filter(({ offset }) => offset < stable)
  }

  /** Keeps the last stable record of each key, and its offset; with `dropTombstones`, none for a key that was erased. */
  compact(topic: string, partition: number, options: { readonly dropTombstones?: boolean } = {}): void {
    const found = this.#partition(topic, partition)
    const stable = stableEnd(found)
    const last = new Map<string, number>()
    for (const { key, offset } of found.records) if (offset < stable) last.set(key, offset)
    found.records = found.records.filter(
      ({ key, offset, value }) =>
        offset >= stable || (last.get(key) === offset && !(value === null && options.dropTombstones === true)),
    )
  }

  /** Drops what stands before an offset, as retention does. */
  truncate(topic: string, partition: number, before: number): void {
    const found = this.#partition(topic, partition)
    found.start = Math.max(found.start, Math.min(before, stableEnd(found)))
    found.records = found.records.filter(({ offset }) => offset >= found.start)
  }

  #commit(id: string, { outputs }: Commit): readonly number[] {
    const places = outputs.map(({ topic, partition }) => this.#partition(topic, partition))
    for (const place of new Set(places)) place.open.set(id, place.next)
    const offsets = outputs.map((record, i) => this.#write(places[i]!, record, id))
    this.#faults.beforeCommit?.(id)
    for (const place of new Set(places)) this.#end(place, id)
    this.#faults.afterCommit?.(id)
    return offsets
  }

  /** Takes back what an earlier writer of the id left open. */
  #abort(id: string): void {
    for (const { partitions } of this.#topics.values()) {
      for (const partition of partitions) {
        const first = partition.open.get(id)
        if (first === undefined) continue
        partition.records = partition.records.filter(({ writer, offset }) => writer !== id || offset < first)
        this.#end(partition, id)
      }
    }
  }

  #end(partition: Partition, id: string): void {
    partition.open.delete(id)
    if (this.#markers) partition.next++
    partition.arrivals.wake(stableEnd(partition))
  }

  #write(partition: Partition, { kind, key, value, timestampMs }: AddressedRecord, writer: string): number {
    const offset = partition.next++
    const logTimeMs = Number.isNaN(timestampMs) ? this.#now() : timestampMs
    partition.records.push({ offset, kind, key, value, timestampMs: logTimeMs, writer })
    return offset
  }

  #partition(topic: string, partition: number): Partition {
    const found = this.#topics.get(topic)?.partitions[partition]
    if (!found) throw unknownPartition(topic, partition)
    return found
  }
}

type Partition = {
  start: number
  /** The offset of the next record written, committed or not. */
  next: number
  /** In order of offset; aborted and compacted ones leave holes. */
  records: WrittenRecord[]
  /** The first offset of each open transaction, by writer id. */
  readonly open: Map<string, number>
  readonly arrivals: Arrivals
}

function newPartition(): Partition {
  return { start: 0, next: 0, records: [], open: new Map(), arrivals: new Arrivals() }
}

function stableEnd({ next, open }: Partition): number {
  let stable = next
  for (const first of open.values()) stable = Math.min(stable, first)
  return stable
}

function firstAtOrAfter(records: readonly StoredRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
