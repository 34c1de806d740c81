/** A log in which a stage reads the live inbox, as far as a replay goes, and writes to topics of its own. */
import type { Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../../runtime/log.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import type { Range } from './ranges.ts'

export class InboxLog implements Log {
  readonly #live: Log
  readonly #shadow: Log
  readonly #inbox: string
  readonly #ranges: readonly Range[]

  /** A range for each partition of the inbox. */
  constructor(live: Log, shadow: Log, inbox: string, ranges: readonly Range[]) {
    this.#live = live
    this.#shadow = shadow
    this.#inbox = inbox
    this.#ranges = ranges
  }

  async ends(topic: string, partition: number): Promise<PartitionEnds> {
    if (topic !== this.#inbox) return this.#shadow.ends(topic, partition)
    const { from: start, to: stable } = this.#ranges[partition]!
    return { start, stable, end: stable }
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    if (topic !== this.#inbox) return this.#shadow.fetch(topic, partition, offset, limits)
    const { to } = this.#ranges[partition]!
    if (offset >= to) return { records: [], nextOffset: offset }
    const { records, nextOffset } = await this.#live.fetch(topic, partition, offset, limits)
    return { records: records.filter((record) => record.offset < to), nextOffset: Math.min(nextOffset, to) }
  }

  /** What the stage writes into its own inbox is in there already, from when it was live. */
  async writer(id: string): Promise<TaskWriter> {
    const writer = await this.#shadow.writer(id)
    return {
      commit: async ({ outputs }) => {
        const offsets = await writer.commit({ outputs: outputs.filter(({ topic }) => topic !== this.#inbox) })
        let written = 0
        return outputs.map(({ topic }) => (topic === this.#inbox ? -1 : offsets[written++]!))
      },
      close: () => writer.close(),
    }
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#shadow.createTopics(topics)
  }

  topics(): Promise<readonly TopicSpec[]> {
    return this.#shadow.topics()
  }

  arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    return this.#shadow.arrival(topic, partition, offset, signal)
  }

  append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    return this.#shadow.append(records)
  }

  async close(): Promise<void> {}
}
