/**
 * The log on a Kafka cluster: topics are topics, a commit is a transaction, readers see what is committed.
 *
 * Log time is the timestamp that a record is written with (CreateTime). Kafka's retention goes by it too: a history that
 * is older than a topic's retention is dropped soon after it was written.
 */
import type { Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import type { AddressedRecord } from '../record.ts'
import { Appender } from './appender.ts'
import { KafkaConnection, type KafkaOptions } from './connection.ts'
import { Fetcher } from './fetch.ts'
import { createTopics, deleteTopics, listTopics } from './topics.ts'
import { KafkaWriter } from './writer.ts'

export type KafkaLogOptions = KafkaOptions & {
  /** Begins the name of every topic and transactional id, so that several deployments share a cluster: 'shop.' say. */
  readonly prefix?: string
  /** Of the topics it creates. */
  readonly replicationFactor?: number
  /** Log time of appended records that say none: the clock of who appends, as topics keep the time they are given. */
  readonly now?: () => number
}

export class KafkaLog implements Log {
  /** Shared with group membership. */
  readonly connection: KafkaConnection
  readonly #prefix: string
  readonly #replicationFactor: number
  readonly #now: () => number
  readonly #fetcher: Fetcher
  readonly #appender: Appender

  private constructor(connection: KafkaConnection, { prefix, replicationFactor, now }: KafkaLogOptions) {
    this.connection = connection
    this.#prefix = prefix ?? ''
    this.#replicationFactor = replicationFactor ?? 1
    this.#now = now ?? Date.now
    this.#fetcher = new Fetcher(connection, this.#prefix)
    this.#appender = new Appender({ connection, prefix: this.#prefix, now: this.#now })
  }

  static async open(options: KafkaLogOptions): Promise<KafkaLog> {
    return new KafkaLog(await KafkaConnection.open(options), options)
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return createTopics(this.connection, this.#prefix, topics, this.#replicationFactor)
  }

  /** With all that is in them; those that are not there are deleted already. */
  deleteTopics(names: readonly string[]): Promise<void> {
    return deleteTopics(this.connection, this.#prefix, names)
  }

  topics(): Promise<readonly TopicSpec[]> {
    return listTopics(this.connection, this.#prefix)
  }

  ends(topic: string, partition: number): Promise<PartitionEnds> {
    return this.#fetcher.ends(topic, partition)
  }

  fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    return this.#fetcher.fetch(topic, partition, offset, limits)
  }

  arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    return this.#fetcher.arrival(topic, partition, offset, signal)
  }

  append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    return this.#appender.append(records)
  }

  writer(id: string): Promise<TaskWriter> {
    const committed = (topic: string, partition: number, nextOffset: number) =>
      this.#fetcher.committed(topic, partition, nextOffset)
    const { connection } = this
    return KafkaWriter.open({ connection, prefix: this.#prefix, now: this.#now, committed }, id)
  }

  async close(): Promise<void> {
    this.#fetcher.close()
    await this.connection.close()
  }
}
