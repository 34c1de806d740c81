/**
 * The log in memory, for tests and the simulator: deterministic, without timers, and as awkward as Kafka where it can be.
 *
 *   initProducer ─► epoch ─► produce, open ─► endTransaction ─► committed ─┐
 *        └── fences, aborts what is open ─────────────────────► aborted ───┴─► a marker in each partition
 *
 * Records are in the partition from the moment they are produced: an open transaction, and one whose marker has not come,
 * hold the stable end back, and readers pass over what was aborted.
 */
import { Arrivals } from '../arrivals.ts'
import { invariant, MillraceError } from '../errors.ts'
import type { Commit, Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import { requireInRange, requireSamePartitions, unknownPartition } from '../log-checks.ts'
import { Portion } from '../portion.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'

/**
 * What becomes of a request to end a transaction. lost: it never arrives. unanswered: it takes effect, the answer is
 * lost. late: the answer is lost at once, and the request arrives all the same, whatever has happened since. slow: it
 * takes its time, and is answered. Whoever has no answer learns COMMIT_UNKNOWN.
 */
export type Passage =
  | { readonly kind: 'lost' | 'unanswered' }
  | { readonly kind: 'late' | 'slow'; readonly arrives: Promise<void> }

export type LogFaults = {
  /** Asked for each commit; undefined: nothing befalls it. */
  end?(writerId: string, epoch: number): Passage | undefined
  /** Asked for each partition of a transaction that has ended: when its marker gets there; undefined: at once. */
  marker?(writerId: string): Promise<void> | undefined
}

export type LogObserver = {
  /** refused: a request of an older epoch came to end what is not its own. */
  ended?(writerId: string, epoch: number, outcome: 'committed' | 'aborted' | 'refused'): void
}

export type MemoryLogOptions = {
  /** The broker's clock: log time of records that say none. */
  readonly now?: () => number
  readonly faults?: LogFaults
  readonly observer?: LogObserver
  /** Each commit and abort takes one more offset of every partition it touched, as Kafka's markers do. */
  readonly markers?: boolean
}

/** A record, and the id of the task writer that wrote it; empty for one that was appended outside of any task. */
export type WrittenRecord = StoredRecord & { readonly writer: string }

export class MemoryLog implements Log {
  readonly #now: () => number
  readonly #faults: LogFaults
  readonly #observer: LogObserver
  readonly #markers: boolean
  readonly #topics = new Map<string, { readonly spec: TopicSpec; readonly partitions: readonly Partition[] }>()
  readonly #producers = new Map<string, Producer>()

  constructor(options: MemoryLogOptions = {}) {
    this.#now = options.now ?? (() => 0)
    this.#faults = options.faults ?? {}
    this.#observer = options.observer ?? {}
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
    return { start: found.start, stable: stableEnd(found), end: found.next }
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    const found = this.#partition(topic, partition)
    const stable = stableEnd(found)
    requireInRange(topic, partition, offset, { start: found.start, stable })
    const portion = new Portion(limits)
    for (let i = firstAtOrAfter(found.entries, offset); i < found.entries.length; i++) {
      const { stored, transaction } = found.entries[i]!
      if (stored.offset >= stable) break
      if (transaction?.state === 'aborted') continue
      if (!portion.take(stored)) return { records: portion.records, nextOffset: portion.records.at(-1)!.offset + 1 }
    }
    return { records: portion.records, nextOffset: stable }
  }

  async arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    const found = this.#partition(topic, partition)
    if (offset >= stableEnd(found)) await found.arrivals.wait(offset, signal)
  }

  async append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    const places = records.map(({ topic, partition }) => this.#partition(topic, partition))
    const offsets = records.map((record, i) => this.#write(places[i]!, record, '', undefined))
    for (const place of new Set(places)) place.arrivals.wake(stableEnd(place))
    return offsets
  }

  async writer(id: string): Promise<TaskWriter> {
    const epoch = await this.initProducer(id)
    let usable = true
    return {
      commit: async ({ outputs }: Commit) => {
        this.#requireEpoch(id, epoch)
        invariant(usable, `a writer of ${id} that failed or was closed is dropped`)
        if (outputs.length === 0) return []
        usable = false
        const offsets = await this.produce(id, epoch, outputs)
        await this.#sendEnd(id, epoch)
        usable = true
        return offsets
      },
      close: async () => {
        usable = false
      },
    }
  }

  async close(): Promise<void> {}

  /** Answers the new epoch, once what the one before left open is aborted and marked. */
  async initProducer(id: string): Promise<number> {
    const producer = this.#producer(id)
    while (producer.ending) await producer.ending
    const epoch = ++producer.epoch
    this.#end(id, 'aborted')
    await producer.ending
    return epoch
  }

  /** Adds to the open transaction, or begins one. Waits for the markers of the one before. */
  async produce(id: string, epoch: number, outputs: readonly AddressedRecord[]): Promise<readonly number[]> {
    const producer = this.#producer(id)
    while (producer.ending) await producer.ending
    this.#requireEpoch(id, epoch)
    const places = outputs.map(({ topic, partition }) => this.#partition(topic, partition))
    const transaction: Transaction = producer.transaction ?? { epoch, state: 'open', partitions: new Set() }
    producer.transaction = transaction
    for (const place of places) {
      transaction.partitions.add(place)
      if (!place.open.has(transaction)) place.open.set(transaction, place.next)
    }
    return outputs.map((record, i) => this.#write(places[i]!, record, id, transaction))
  }

  /** Commits whatever the producer has open: it is known by its epoch alone. FENCED when that is over. */
  endTransaction(id: string, epoch: number): void {
    if (this.#producer(id).epoch !== epoch) this.#observer.ended?.(id, epoch, 'refused')
    this.#requireEpoch(id, epoch)
    this.#end(id, 'committed')
  }

  /** Ids of the writers with a transaction that is open, or has markers on their way. */
  openTransactions(): string[] {
    return [...this.#producers].filter(([, { transaction, ending }]) => transaction || ending).map(([id]) => id)
  }

  /** What readers can see of a partition now, and who wrote it. */
  records(topic: string, partition: number): readonly WrittenRecord[] {
    const found = this.#partition(topic, partition)
    return visible(found.entries, stableEnd(found))
  }

  /** What readers could ever see of it: compaction and retention have taken nothing. */
  history(topic: string, partition: number): readonly WrittenRecord[] {
    const found = this.#partition(topic, partition)
    return visible(found.all, stableEnd(found))
  }

  /**
   * Keeps the last stable record of each key, and its offset. A tombstone goes once a compaction has met it `tombstoneMs`
   * ago (KIP-534). Answers how many of those went.
   */
  compact(topic: string, partition: number, tombstoneMs = Number.POSITIVE_INFINITY): number {
    const found = this.#partition(topic, partition)
    const stable = stableEnd(found)
    const nowMs = this.#now()
    const isKept = ({ stored, transaction }: Entry): boolean =>
      stored.offset >= stable || transaction?.state !== 'aborted'
    const kept = found.entries.filter(isKept)
    const last = new Map<string, number>()
    for (const { stored } of kept) if (stored.offset < stable) last.set(stored.key, stored.offset)
    let expired = 0
    found.entries = kept.filter((entry) => {
      const { key, offset, value } = entry.stored
      if (offset >= stable) return true
      if (last.get(key) !== offset) return false
      if (value !== null) return true
      entry.metMs ??= nowMs
      if (nowMs - entry.metMs < tombstoneMs) return true
      expired++
      return false
    })
    return expired
  }

  /** Drops what stands before an offset, as retention does. */
  truncate(topic: string, partition: number, before: number): void {
    const found = this.#partition(topic, partition)
    found.start = Math.max(found.start, Math.min(before, stableEnd(found)))
    found.entries = found.entries.filter(({ stored }) => stored.offset >= found.start)
  }

  /** The request that ends a transaction, on its way through what may befall it. */
  async #sendEnd(id: string, epoch: number): Promise<void> {
    const passage = this.#faults.end?.(id, epoch)
    const arrive = async (): Promise<void> => this.endTransaction(id, epoch)
    if (!passage) return arrive()
    if (passage.kind === 'slow') return passage.arrives.then(arrive)
    if (passage.kind === 'unanswered') await arrive()
    // Nobody is there any more to hear that it was refused.
    if (passage.kind === 'late') void passage.arrives.then(arrive).catch(() => undefined)
    throw new MillraceError('COMMIT_UNKNOWN', `${id}: the answer to a commit was lost`, { place: { task: id } })
  }

  #end(id: string, outcome: 'committed' | 'aborted'): void {
    const producer = this.#producer(id)
    const { transaction } = producer
    if (!transaction) return
    producer.transaction = undefined
    transaction.state = outcome
    const coming: Promise<void>[] = []
    for (const partition of transaction.partitions) {
      const arrives = this.#faults.marker?.(id)
      if (arrives) coming.push(arrives.then(() => this.#mark(partition, transaction)))
      else this.#mark(partition, transaction)
    }
    if (coming.length > 0) {
      producer.ending = Promise.all(coming).then(() => {
        producer.ending = undefined
      })
    }
    this.#observer.ended?.(id, transaction.epoch, outcome)
  }

  #mark(partition: Partition, transaction: Transaction): void {
    partition.open.delete(transaction)
    if (this.#markers) partition.next++
    partition.arrivals.wake(stableEnd(partition))
  }

  #write(
    partition: Partition,
    { kind, key, value, timestampMs }: AddressedRecord,
    writer: string,
    transaction: Transaction | undefined,
  ): number {
    const offset = partition.next++
    const logTimeMs = Number.isNaN(timestampMs) ? this.#now() : timestampMs
    const stored = { offset, kind, key, value, timestampMs: logTimeMs }
    const entry: Entry = { stored, written: { ...stored, writer }, transaction, metMs: undefined }
    partition.entries.push(entry)
    partition.all.push(entry)
    return offset
  }

  #requireEpoch(id: string, epoch: number): void {
    if (this.#producer(id).epoch === epoch) return
    throw new MillraceError('FENCED', `a newer writer of ${id} has been opened`, { place: { task: id } })
  }

  #producer(id: string): Producer {
    const found = this.#producers.get(id)
    if (found) return found
    const made: Producer = { epoch: 0, transaction: undefined, ending: undefined }
    this.#producers.set(id, made)
    return made
  }

  #partition(topic: string, partition: number): Partition {
    const found = this.#topics.get(topic)?.partitions[partition]
    if (!found) throw unknownPartition(topic, partition)
    return found
  }
}

type Producer = {
  epoch: number
  transaction: Transaction | undefined
  /** While markers are on their way. */
  ending: Promise<void> | undefined
}

type Transaction = {
  readonly epoch: number
  state: 'open' | 'committed' | 'aborted'
  readonly partitions: Set<Partition>
}

type Entry = {
  readonly stored: StoredRecord
  readonly written: WrittenRecord
  readonly transaction: Transaction | undefined
  /** Of a tombstone: when a compaction first met it. */
  metMs: number | undefined
}

type Partition = {
  start: number
  /** The offset of the next record written, committed or not. */
  next: number
  /** In order of offset; compacted ones leave holes. */
  entries: Entry[]
  /** All there ever were. */
  readonly all: Entry[]
  /** The first offset of each transaction that has no marker here yet. */
  readonly open: Map<Transaction, number>
  readonly arrivals: Arrivals
}

function newPartition(): Partition {
  return { start: 0, next: 0, entries: [], all: [], open: new Map(), arrivals: new Arrivals() }
}

function stableEnd({ next, open }: Partition): number {
  let stable = next
  for (const first of open.values()) stable = Math.min(stable, first)
  return stable
}

function visible(entries: readonly Entry[], stable: number): readonly WrittenRecord[] {
  return entries
    .filter(({ stored, transaction }) => stored.offset < stable && transaction?.state !== 'aborted')
    .map(({ written }) => written)
}

function firstAtOrAfter(entries: readonly Entry[], offset: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (entries[middle]!.stored.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
