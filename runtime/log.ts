/** The port every log adapter serves: embedded, memory, kafka. One contract suite runs over them all. */
import type { AddressedRecord, LogRecord, StoredRecord } from './record.ts'

export type TopicSpec = {
  readonly name: string
  readonly partitions: number
  /** delete: old records go when retention passes; compact: the last value of a key stays for ever. */
  readonly cleanup: 'delete' | 'compact'
  /** Only for delete; null keeps for ever. */
  readonly retentionMs: number | null
}

export type Fetched = {
  /** Committed records only, in order of offset. May be empty though the position moved. */
  readonly records: readonly StoredRecord[]
  /** The position to fetch from next. */
  readonly nextOffset: number
}

export type PartitionEnds = {
  /** The first offset still there. */
  readonly start: number
  /** One past the last committed record (the last stable offset). */
  readonly stable: number
  /** One past the last record, committed or not yet. */
  readonly end: number
}

/** A commit: everything in it becomes readable together, or nothing does. */
export type Commit = {
  readonly outputs: readonly AddressedRecord[]
}

/**
 * The one writer of a task. Opening it fences every earlier writer of the same id and resolves what that left open.
 * Methods throw FENCED when a newer writer has been opened, COMMIT_UNKNOWN when the outcome cannot be known: then the
 * writer must be dropped, and the outcome read from the changelog.
 */
export type TaskWriter = {
  /** Appends all outputs, in order per partition. Answers the offset of each, in the order given. */
  commit(commit: Commit): Promise<readonly number[]>
  close(): Promise<void>
}

export type Log = {
  /** Creates what is missing; TOPIC_MISMATCH when a topic exists with another partition count. */
  createTopics(topics: readonly TopicSpec[]): Promise<void>
  topics(): Promise<readonly TopicSpec[]>
  ends(topic: string, partition: number): Promise<PartitionEnds>
  /**
   * Committed records from an offset on, at least one if there is one, at most `maxRecords`, and about `maxBytes`.
   * Answers at once. The same offset and limits give the same records, once they are there. OFFSET_OUT_OF_RANGE when `offset` is before the start or after the stable end.
   */
  fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched>
  /** Resolves when there is something to fetch at `offset`, or when the signal aborts. */
  arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void>
  /** Appends outside of any task: what sources do. Log time is the broker's clock where a record says none (NaN). Durable once resolved. */
  append(records: readonly AddressedRecord[]): Promise<readonly number[]>
  writer(id: string): Promise<TaskWriter>
  close(): Promise<void>
}

/** A log that is no view of another. */
export type RootLog = Log & {
  /** With all that is in them; those that are not there are deleted already. */
  deleteTopics(names: readonly string[]): Promise<void>
}

export type FetchLimits = { readonly maxRecords: number; readonly maxBytes: number }

export type { AddressedRecord, LogRecord, StoredRecord }
