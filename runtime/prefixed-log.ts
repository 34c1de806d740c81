/** A log within another: there the names of its topics, and the ids of its writers, begin with a prefix. */
import type { AddressedRecord, Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from './log.ts'

export class PrefixedLog implements Log {
  readonly #log: Log
  readonly #prefix: string

  constructor(log: Log, prefix: string) {
    this.#log = log
    this.#prefix = prefix
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#log.createTopics(topics.map((topic) => ({ ...topic, name: this.#prefix + topic.name })))
  }

  async topics(): Promise<readonly TopicSpec[]> {
    const own = (await this.#log.topics()).filter(({ name }) => name.startsWith(this.#prefix))
    return own.map((topic) => ({ ...topic, name: topic.name.slice(this.#prefix.length) }))
  }

  ends(topic: string, partition: number): Promise<PartitionEnds> {
    return this.#log.ends(this.#prefix + topic, partition)
  }

  fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    return this.#log.fetch(this.#prefix + topic, partition, offset, limits)
  }

  arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    return this.#log.arrival(this.#prefix + topic, partition, offset, signal)
  }

  append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    return this.#log.append(this.#addressed(records))
  }

  async writer(id: string): Promise<TaskWriter> {
    const writer = await this.#log.writer(this.#prefix + id)
    return {
      commit: ({ outputs }) => writer.commit({ outputs: this.#addressed(outputs) }),
      close: () => writer.close(),
    }
  }

  /** The other log stays open: it is not ours to close. */
  async close(): Promise<void> {}

  #addressed(records: readonly AddressedRecord[]): AddressedRecord[] {
    return records.map((record) => ({ ...record, topic: this.#prefix + record.topic }))
  }
}
