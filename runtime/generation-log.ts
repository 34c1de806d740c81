/** A log as one generation sees it: topics that each generation has of its own stand under a prefix in the log beneath. */
import type { AddressedRecord, Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from './log.ts'

/** All other topics, and the ids of writers, are those of the log beneath: so the tasks of a generation fence those before. */
export class GenerationLog implements Log {
  readonly #log: Log
  readonly #prefix: string
  readonly #own: ReadonlySet<string>

  /** `own`: the names, without the prefix, of the topics that each generation has of its own. */
  constructor(log: Log, prefix: string, own: ReadonlySet<string>) {
    this.#log = log
    this.#prefix = prefix
    this.#own = own
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#log.createTopics(topics.map((topic) => ({ ...topic, name: this.#beneath(topic.name) })))
  }

  /** Those of the first generation, which have no prefix, are not among them. */
  async topics(): Promise<readonly TopicSpec[]> {
    const others = (await this.#log.topics()).filter(({ name }) => !this.#own.has(name))
    return others.map((topic) => {
      const name = topic.name.startsWith(this.#prefix) ? topic.name.slice(this.#prefix.length) : ''
      return this.#own.has(name) ? { ...topic, name } : topic
    })
  }

  ends(topic: string, partition: number): Promise<PartitionEnds> {
    return this.#log.ends(this.#beneath(topic), partition)
  }

  fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    return this.#log.fetch(this.#beneath(topic), partition, offset, limits)
  }

  arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    return this.#log.arrival(this.#beneath(topic), partition, offset, signal)
  }

  append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    return this.#log.append(this.#addressed(records))
  }

  async writer(id: string): Promise<TaskWriter> {
    const writer = await this.#log.writer(id)
    return {
      commit: ({ outputs }) => writer.commit({ outputs: this.#addressed(outputs) }),
      close: () => writer.close(),
    }
  }

  /** The log beneath stays open: it is not ours to close. */
  async close(): Promise<void> {}

  #beneath(topic: string): string {
    return this.#own.has(topic) ? this.#prefix + topic : topic
  }

  #addressed(records: readonly AddressedRecord[]): AddressedRecord[] {
    return records.map((record) => ({ ...record, topic: this.#beneath(record.topic) }))
  }
}
