/** Records of a topic as people and machines read them. */
import { sdkJsonOf } from '../operators/validate/sdk-json.ts'
import { tsvOf } from '../operators/validate/tsv.ts'
import type { Codec } from '../runtime/codec.ts'
import type { Log } from '../runtime/log.ts'
import type { StoredRecord } from '../runtime/record.ts'
import type { Event } from '../schemas/avro/types.ts'
import { partitionsOf } from './data.ts'
import { batchesOf } from './topics.ts'

export type DumpOptions = {
  /** From this offset on, in each partition. */
  readonly from?: number
  /** So many records, over all partitions. */
  readonly max?: number
  readonly partition?: number
}

export type DumpedRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly kind: string
  readonly key: string
  /** Log time, ISO 8601. */
  readonly timestamp: string
  /** Decoded; bytes within as base64. Null is a tombstone. */
  readonly value: unknown
}

/** The records of a topic, partition after partition. TOPIC_UNKNOWN when there is none of the name. */
export async function* dump(log: Log, codec: Codec, topic: string, options: DumpOptions): AsyncGenerator<DumpedRecord> {
  let dumped = 0
  for await (const { partition, record } of placed(log, topic, options)) {
    if (dumped++ >= (options.max ?? Number.POSITIVE_INFINITY)) return
    yield dumpedRecord(topic, partition, record, codec)
  }
}

/** How an event is written by itself: as enriched TSV, or as the JSON of Snowplow's Analytics SDKs. */
export const eventFormats = { tsv: tsvOf, 'sdk-json': sdkJsonOf } as const satisfies Record<
  string,
  (event: Event) => string
>
export type EventFormat = keyof typeof eventFormats

/** The events of a topic, each once, a line each; other records are left out. TOPIC_UNKNOWN when there is none of the name. */
export async function* dumpEvents(
  log: Log,
  codec: Codec,
  topic: string,
  format: EventFormat,
  options: DumpOptions,
): AsyncGenerator<string> {
  let dumped = 0
  for await (const { record } of placed(log, topic, options)) {
    const event = record.value && eventIn(record.value, codec)
    if (!event) continue
    if (dumped++ >= (options.max ?? Number.POSITIVE_INFINITY)) return
    yield eventFormats[format](event)
  }
}

async function* placed(
  log: Log,
  topic: string,
  { from, partition: only }: DumpOptions,
): AsyncGenerator<{ readonly partition: number; readonly record: StoredRecord }> {
  const partitions = await partitionsOf(log, topic)
  for (let partition = 0; partition < partitions; partition++) {
    if (only !== undefined && partition !== only) continue
    for await (const batch of batchesOf(log, topic, partition, from)) {
      for (const record of batch) yield { partition, record }
    }
  }
}

function eventIn(value: Buffer, codec: Codec): Event | null {
  if (!isAvro(value)) return null
  const name = codec.nameOf(value)
  if (name === 'Event') return codec.decode(name, value)
  if (name !== 'IdentifiedEvent') return null
  const { event, hops } = codec.decode(name, value)
  // one that was passed on to another profile has been there before
  return hops === 0 ? event : null
}

function dumpedRecord(topic: string, partition: number, record: StoredRecord, codec: Codec): DumpedRecord {
  const { offset, kind, key, value, timestampMs } = record
  const timestamp = new Date(timestampMs).toISOString()
  return { topic, partition, offset, kind, key, timestamp, value: value && plain(decoded(value, codec)) }
}

/** Avro in Confluent framing, or JSON, or else the bytes. */
function decoded(value: Buffer, codec: Codec): unknown {
  if (isAvro(value)) return codec.decode(codec.nameOf(value), value)
  try {
    return JSON.parse(value.toString('utf8'))
  } catch {
    return value
  }
}

/** In Confluent framing. */
const isAvro = (value: Buffer): boolean => value[0] === 0 && value.length >= 5

/** Plain objects, lists and texts all the way down; bytes as base64. */
export function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
  }
  return value
}
