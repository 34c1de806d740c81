/**
 * The transactional producer of one task. Its transactional id is the task's for ever, so opening it fences whoever had
 * it before, and ends what that left open.
 *
 *   open ─► ready ─► commit: encode all ─► add partitions ─► produce ─► end ─► ready
 *                                              └──────────┴─────────┴─► given up: the outcome, or the epoch, is another's
 *
 * A transaction begins when all its bytes are encoded, and holds nothing but sending and ending.
 */
import { invariant, MillraceError } from '../errors.ts'
import type { Commit, TaskWriter } from '../log.ts'
import type { Channel } from './channel.ts'
import { type KafkaConnection, pause } from './connection.ts'
import { type Draft, draftsOf, offsetsOf } from './drafts.ts'
import { asMillraceError, codes, KafkaFault, patienceMs, requireNoFault } from './faults.ts'
import { BatchSender } from './produce.ts'
import { encodeBatch, type Producer } from './record-batch.ts'
import type { EncodedBatch } from './requests.ts'

/** A transaction that lasts longer is ended by the coordinator; until then it holds back all readers of its partitions. */
const transactionTimeoutMs = 10_000
/** A transaction is not ended any more when it has lasted so long. */
const commitMs = 8000

export type WriterParts = {
  readonly connection: KafkaConnection
  readonly prefix: string
  readonly now: () => number
  readonly committed: (topic: string, partition: number, nextOffset: number) => void
}

export class KafkaWriter implements TaskWriter {
  readonly #parts: WriterParts
  readonly #id: string
  readonly #transactionalId: string
  readonly #producer: Producer
  readonly #sender: BatchSender
  /** How many records each partition has had from this producer. */
  readonly #sequences = new Map<string, number>()
  #usable = true

  private constructor(parts: WriterParts, id: string, producer: Producer) {
    this.#parts = parts
    this.#id = id
    this.#transactionalId = parts.prefix + id
    this.#producer = producer
    this.#sender = new BatchSender(this.#transactionalId)
  }

  static async open(parts: WriterParts, id: string): Promise<KafkaWriter> {
    const { connection, prefix } = parts
    const producer = await connection.retrying(`cannot open the writer of ${id}`, { task: id }, async () => {
      const coordinator = await connection.coordinatorOf('transaction', prefix + id)
      const request = { transactionalId: prefix + id, transactionTimeout: transactionTimeoutMs }
      const answer = await coordinator.send('InitProducerId', request)
      requireNoFault('InitProducerId', answer.errorCode)
      return { id: Number(answer.producerId), epoch: answer.producerEpoch, transactional: true }
    })
    return new KafkaWriter(parts, id, producer)
  }

  async commit({ outputs }: Commit): Promise<readonly number[]> {
    invariant(this.#usable, `a writer of ${this.#id} that failed or was closed is dropped`)
    if (outputs.length === 0) return []
    const drafts = draftsOf(outputs)
    await this.#findLeaders(drafts)
    const batches = drafts.map((draft) => this.#encode(draft))
    this.#usable = false
    const baseOffsets = await this.#transact(batches)
    this.#usable = true
    for (const [i, { topic, partition, records }] of drafts.entries())
      this.#parts.committed(topic, partition, baseOffsets[i]! + records.length)
    return offsetsOf(drafts, baseOffsets)
  }

  async close(): Promise<void> {
    this.#usable = false
  }

  /** So that a topic which is not there is refused before anything has begun. */
  async #findLeaders(drafts: readonly Draft[]): Promise<void> {
    const { connection, prefix } = this.#parts
    for (const { topic, partition } of drafts) {
      const place = { task: this.#id, topic, partition }
      await connection.retrying(`cannot write to ${topic}/${partition}`, place, () =>
        connection.leaderOf(prefix + topic, partition, this.#transactionalId),
      )
    }
  }

  #encode({ topic, partition, records }: Draft): EncodedBatch {
    const { prefix, now } = this.#parts
    const name = `${topic}/${partition}`
    const sequence = this.#sequences.get(name) ?? 0
    this.#sequences.set(name, (sequence + records.length) % 2 ** 31)
    return { topic: prefix + topic, partition, batch: encodeBatch(records, this.#producer, sequence, now()) }
  }

  /** Answers the first offset of each batch. Throws FENCED, RECORD_TOO_LARGE, KAFKA_REFUSED, else COMMIT_UNKNOWN. */
  async #transact(batches: readonly EncodedBatch[]): Promise<readonly number[]> {
    const deadlineMs = Date.now() + commitMs
    try {
      await this.#addPartitions(batches, deadlineMs)
      const baseOffsets = await Promise.all(batches.map((batch) => this.#produce(batch, deadlineMs)))
      await this.#end(deadlineMs)
      return baseOffsets
    } catch (error) {
      const known = asMillraceError(error, `${this.#id} cannot commit`, { task: this.#id })
      const indefinite = known instanceof MillraceError && (known.retryable || known.code === 'TOPIC_UNKNOWN')
      if (!indefinite) throw known
      const message = `${this.#id}: the outcome of a commit is unknown: ${known.message}`
      throw new MillraceError('COMMIT_UNKNOWN', message, { cause: error, place: { task: this.#id } })
    }
  }

  async #addPartitions(batches: readonly EncodedBatch[], deadlineMs: number): Promise<void> {
    const topics = new Map<string, Set<number>>()
    for (const { topic, partition } of batches) topics.set(topic, (topics.get(topic) ?? new Set()).add(partition))
    const request = {
      ...this.#identity(),
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions: [...partitions] })),
    }
    await this.#tell(deadlineMs, async () => {
      const answer = await (await this.#coordinator()).send('AddPartitionsToTxn', request)
      for (const { partitionErrors } of answer.errors)
        for (const { errorCode } of partitionErrors) requireNoFault('AddPartitionsToTxn', errorCode)
    })
  }

  /** Sending again is safe: the broker knows a batch by its sequence. */
  #produce(batch: EncodedBatch, deadlineMs: number): Promise<number> {
    const { connection } = this.#parts
    return this.#tell(deadlineMs, async () =>
      this.#sender.send(await connection.leaderOf(batch.topic, batch.partition, this.#transactionalId), batch),
    )
  }

  async #end(deadlineMs: number): Promise<void> {
    const request = { ...this.#identity(), transactionResult: true }
    await this.#tell(deadlineMs, async () => {
      const answer = await (await this.#coordinator()).send('EndTxn', request)
      requireNoFault('EndTxn', answer.errorCode)
    })
  }

  #identity() {
    const { id, epoch } = this.#producer
    return { transactionalId: this.#transactionalId, producerId: id, producerEpoch: epoch }
  }

  #coordinator(): Promise<Channel> {
    return this.#parts.connection.coordinatorOf('transaction', this.#transactionalId)
  }

  /**
   * Asks, and again where the broker says that it did nothing: while it writes the markers of the transaction before, is
   * starting, or no longer leads. An answer that never came is not asked for again: the request may yet arrive, and end
   * a later transaction.
   */
  async #tell<T>(deadlineMs: number, ask: () => Promise<T>): Promise<T> {
    for (let waitMs = 3; ; waitMs = Math.min(200, waitMs * 1.3)) {
      try {
        return await ask()
      } catch (error) {
        const passes = error instanceof KafkaFault && patienceMs(error) === Number.POSITIVE_INFINITY
        if (!passes || Date.now() + waitMs > deadlineMs) throw error
        if (error.code !== codes.concurrentTransactions) this.#parts.connection.forget()
        await pause(waitMs)
      }
    }
  }
}
