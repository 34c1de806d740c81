/**
 * The log of another thread of the same process, over a message port: so that stages can run on several cores while one
 * thread owns the folder. Records travel as blocks, which move between threads without being copied.
 */
import type { MessagePort } from 'node:worker_threads'
import { type ErrorCode, type ErrorPlace, invariant, MillraceError } from '../errors.ts'
import type { Commit, Fetched, FetchLimits, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import { encodeBlock, readBlock } from './block.ts'

/** How a record that leaves its log time to the log (NaN) travels: a block holds whole milliseconds only. */
const noLogTime = -(2 ** 51)

type Part = { readonly topic: string; readonly partition: number; readonly block: Uint8Array }

type Call =
  | { readonly call: 'createTopics'; readonly topics: readonly TopicSpec[] }
  | { readonly call: 'topics' }
  | { readonly call: 'ends'; readonly topic: string; readonly partition: number }
  | {
      readonly call: 'fetch'
      readonly topic: string
      readonly partition: number
      readonly offset: number
      readonly limits: FetchLimits
    }
  | { readonly call: 'arrival'; readonly topic: string; readonly partition: number; readonly offset: number }
  | { readonly call: 'cancel'; readonly arrival: number }
  | { readonly call: 'append'; readonly parts: readonly Part[] }
  | { readonly call: 'writer'; readonly writer: string }
  | { readonly call: 'commit'; readonly handle: number; readonly parts: readonly Part[] }
  | { readonly call: 'closeWriter'; readonly handle: number }

type Request = Call & { readonly id: number }

type Failure = { readonly code: ErrorCode | null; readonly message: string; readonly place: ErrorPlace }
type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly failure: Failure }

/** Answers the calls of a RemoteLog at the other end of the port, until the port closes. */
export function serveLog(log: Log, port: MessagePort): void {
  const writers = new Map<number, TaskWriter>()
  const arrivals = new Map<number, AbortController>()
  let handles = 0

  const perform = async (request: Request): Promise<unknown> => {
    switch (request.call) {
      case 'createTopics':
        return log.createTopics(request.topics)
      case 'topics':
        return log.topics()
      case 'ends':
        return log.ends(request.topic, request.partition)
      case 'fetch': {
        const { records, nextOffset } = await log.fetch(
          request.topic,
          request.partition,
          request.offset,
          request.limits,
        )
        return { block: records.length > 0 ? encodeBlock(records, 0) : null, nextOffset }
      }
      case 'arrival': {
        const controller = new AbortController()
        arrivals.set(request.id, controller)
        await log.arrival(request.topic, request.partition, request.offset, controller.signal)
        arrivals.delete(request.id)
        return null
      }
      case 'cancel':
        arrivals.get(request.arrival)?.abort()
        return null
      case 'append':
        return log.append(request.parts.flatMap(recordsOf))
      case 'writer': {
        writers.set(++handles, await log.writer(request.writer))
        return handles
      }
      case 'commit': {
        const writer = writers.get(request.handle)
        invariant(writer, 'a writer is opened before it is used')
        return writer.commit({ outputs: request.parts.flatMap(recordsOf) })
      }
      case 'closeWriter': {
        await writers.get(request.handle)?.close()
        writers.delete(request.handle)
        return null
      }
    }
  }

  port.on('message', (request: Request) => {
    perform(request).then(
      (value) => reply(port, { id: request.id, value }),
      (error: unknown) => reply(port, { id: request.id, failure: failureOf(error) }),
    )
  })
}

/** A log at the other end of a port. */
export class RemoteLog implements Log {
  readonly #port: MessagePort
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #calls = 0

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (message: Reply) => {
      const waiting = this.#waiting.get(message.id)
      invariant(waiting, 'a reply answers a call')
      this.#waiting.delete(message.id)
      if ('failure' in message) waiting.reject(errorOf(message.failure))
      else waiting.resolve(message.value as never)
    })
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#call({ call: 'createTopics', topics: topics.map(specOf) })
  }

  topics(): Promise<readonly TopicSpec[]> {
    return this.#call({ call: 'topics' })
  }

  ends(topic: string, partition: number): Promise<PartitionEnds> {
    return this.#call({ call: 'ends', topic, partition })
  }

  async fetch(topic: string, partition: number, offset: number, limits: FetchLimits): Promise<Fetched> {
    const answer = await this.#call<{ block: Uint8Array | null; nextOffset: number }>({
      call: 'fetch',
      topic,
      partition,
      offset,
      limits,
    })
    const records: StoredRecord[] = []
    if (answer.block) {
      readBlock(bufferOf(answer.block), 0, (record) => {
        records.push(record)
        return true
      })
    }
    return { records, nextOffset: answer.nextOffset }
  }

  async arrival(topic: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const arrived = this.#call<null>({ call: 'arrival', topic, partition, offset })
    const arrival = this.#calls
    const cancel = (): void => void this.#call({ call: 'cancel', arrival })
    signal.addEventListener('abort', cancel, { once: true })
    await arrived
    signal.removeEventListener('abort', cancel)
  }

  async append(records: readonly AddressedRecord[]): Promise<readonly number[]> {
    const { parts, order } = partsOf(records)
    return inOrder(order, await this.#call({ call: 'append', parts }, buffersOf(parts)))
  }

  async writer(id: string): Promise<TaskWriter> {
    const handle = await this.#call<number>({ call: 'writer', writer: id })
    return {
      commit: async ({ outputs }: Commit) => {
        const { parts, order } = partsOf(outputs)
        return inOrder(order, await this.#call({ call: 'commit', handle, parts }, buffersOf(parts)))
      },
      close: () => this.#call({ call: 'closeWriter', handle }),
    }
  }

  /** Lets go of the port; the log itself stays open. */
  async close(): Promise<void> {
    this.#port.close()
  }

  #call<Value>(call: Call, transfer: ArrayBuffer[] = []): Promise<Value> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#port.postMessage({ ...call, id } satisfies Request, transfer)
    })
  }
}

/** Groups records by partition, a block each; `order` says which place each record has among the grouped ones. */
function partsOf(records: readonly AddressedRecord[]): { parts: Part[]; order: number[] } {
  const groups = new Map<string, { topic: string; partition: number; places: number[]; records: StoredRecord[] }>()
  for (const [place, { topic, partition, kind, key, value, timestampMs }] of records.entries()) {
    const name = `${topic}/${partition}`
    const group = groups.get(name) ?? { topic, partition, places: [], records: [] }
    groups.set(name, group)
    group.places.push(place)
    const logTimeMs = Number.isNaN(timestampMs) ? noLogTime : timestampMs
    group.records.push({ offset: group.records.length, kind, key, value, timestampMs: logTimeMs })
  }
  const order: number[] = []
  let grouped = 0
  for (const { places } of groups.values()) for (const place of places) order[place] = grouped++
  const parts = [...groups.values()].map(({ topic, partition, records }) => ({
    topic,
    partition,
    block: encodeBlock(records, 0),
  }))
  return { parts, order }
}

function inOrder(order: readonly number[], offsets: readonly number[]): readonly number[] {
  return order.map((place) => offsets[place]!)
}

function recordsOf({ topic, partition, block }: Part): AddressedRecord[] {
  const records: AddressedRecord[] = []
  readBlock(bufferOf(block), 0, ({ kind, key, value, timestampMs }) => {
    const logTimeMs = timestampMs === noLogTime ? Number.NaN : timestampMs
    records.push({ topic, partition, kind, key, value, timestampMs: logTimeMs })
    return true
  })
  return records
}

function reply(port: MessagePort, message: Reply): void {
  const block = 'value' in message && (message.value as { block?: Uint8Array } | null)?.block
  port.postMessage(message, block ? movable(block) : [])
}

function buffersOf(parts: readonly Part[]): ArrayBuffer[] {
  return parts.flatMap(({ block }) => movable(block))
}

/** The memory of a block, if it is its own: small ones share a pool, and are copied. */
function movable({ buffer }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize ? [buffer] : []
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function specOf({ name, partitions, cleanup, retentionMs }: TopicSpec): TopicSpec {
  return { name, partitions, cleanup, retentionMs }
}

function failureOf(error: unknown): Failure {
  if (error instanceof MillraceError) return { code: error.code, message: error.message, place: error.place }
  return { code: null, message: error instanceof Error ? error.message : String(error), place: {} }
}

function errorOf({ code, message, place }: Failure): Error {
  return code === null ? new Error(message) : new MillraceError(code, message, { place })
}
