/** Appends outside of any task: one idempotent producer for all partitions, so that what is sent again is there once. */
import type { AddressedRecord } from '../record.ts'
import type { KafkaConnection } from './connection.ts'
import { batchBytesMax, type Draft, draftsOf, offsetsOf } from './drafts.ts'
import { requireNoFault } from './faults.ts'
import { BatchSender } from './produce.ts'
import { encodeBatch, type Producer } from './record-batch.ts'

export type AppenderParts = {
  readonly connection: KafkaConnection
  readonly prefix: string
  readonly now: () => number
}

/** Appends wait while so much is under way. */
const bytesMax = 32 << 20

type Session = { readonly producer: Producer; readonly sequences: Map<string, number> }

export class Appender {
  readonly #parts: AppenderParts
  readonly #sender = new BatchSender(null)
  /** By partition: one batch of each is under way at a time, or an error would leave a gap. */
  readonly #lines = new Map<string, Line>()
  #session: Promise<Session> | undefined
  #bytes = 0
  #waiting: (() => void)[] = []

  constructor(parts: AppenderParts) {
    this.#parts = parts
  }

  async append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    const drafts = draftsOf(records)
    for (const { topic, partition } of drafts) await this.#requirePartition(topic, partition)
    const bytes = drafts.reduce((sum, draft) => sum + draft.bytes, 0)
    while (this.#bytes > 0 && this.#bytes + bytes > bytesMax)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#bytes += bytes
    try {
      return offsetsOf(drafts, await Promise.all(drafts.map((draft) => this.#line(draft).add(draft))))
    } finally {
      this.#bytes -= bytes
      for (const resolve of this.#waiting.splice(0)) resolve()
    }
  }

  async #requirePartition(topic: string, partition: number): Promise<void> {
    const { connection, prefix } = this.#parts
    await connection.retrying(`cannot append to ${topic}/${partition}`, { topic, partition }, () =>
      connection.leaderOf(prefix + topic, partition, lane),
    )
  }

  #line({ topic, partition }: Draft): Line {
    const name = `${topic}/${partition}`
    let line = this.#lines.get(name)
    if (!line) {
      line = new Line((records) => this.#write(topic, partition, records))
      this.#lines.set(name, line)
    }
    return line
  }

  /** Writes one batch, and again until it is there: the broker knows by its sequence what it already has. */
  async #write(topic: string, partition: number, records: readonly AddressedRecord[]): Promise<number> {
    const { connection, prefix, now } = this.#parts
    const name = `${topic}/${partition}`
    const what = `cannot append to ${name}`
    const { producer, sequences } = await this.#open(what)
    const sequence = sequences.get(name) ?? 0
    const batch = { topic: prefix + topic, partition, batch: encodeBatch(records, producer, sequence, now()) }
    try {
      const offset = await connection.retrying(what, { topic, partition }, async () =>
        this.#sender.send(await connection.leaderOf(prefix + topic, partition, lane), batch),
      )
      sequences.set(name, (sequence + records.length) % 2 ** 31)
      return offset
    } catch (error) {
      // The broker may have it or not: the next batch must not pass for this one.
      this.#session = undefined
      throw error
    }
  }

  #open(what: string): Promise<Session> {
    const { connection } = this.#parts
    this.#session ??= connection
      .retrying(what, {}, async () => {
        const request = { transactionalId: null, transactionTimeout: 0 }
        const answer = await (await connection.controller()).send('InitProducerId', request)
        requireNoFault('InitProducerId', answer.errorCode)
        const producer = { id: Number(answer.producerId), epoch: answer.producerEpoch, transactional: false }
        return { producer, sequences: new Map<string, number>() }
      })
      .catch((error) => {
        this.#session = undefined
        throw error
      })
    return this.#session
  }
}

const lane = 'append'

type Waiting = {
  readonly draft: Draft
  readonly resolve: (offset: number) => void
  readonly reject: (e: unknown) => void
}

/** The appends to one partition: what comes while a batch is under way goes into the next. */
class Line {
  readonly #write: (records: readonly AddressedRecord[]) => Promise<number>
  #waiting: Waiting[] = []
  #busy = false

  constructor(write: (records: readonly AddressedRecord[]) => Promise<number>) {
    this.#write = write
  }

  /** The offset of the draft's first record. */
  add(draft: Draft): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ draft, resolve, reject })
      if (!this.#busy) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      const batch = this.#next()
      try {
        let offset = await this.#write(batch.flatMap(({ draft }) => draft.records))
        for (const { draft, resolve } of batch) {
          resolve(offset)
          offset += draft.records.length
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#busy = false
  }

  #next(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { draft } of this.#waiting) {
      bytes += draft.bytes
      if (count > 0 && bytes > batchBytesMax) break
      count++
    }
    return this.#waiting.splice(0, count)
  }
}
