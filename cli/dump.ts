/** Records of a topic as people and machines read them. */
import type { Codec } from '../runtime/codec.ts'
import type { Log } from '../runtime/log.ts'
import type { StoredRecord } from '../runtime/record.ts'
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
export async function* dump(
  log: Log,
  codec: Codec,
  topic: string,
  { from, max = Number.POSITIVE_INFINITY, partition: only }: DumpOptions,
): AsyncGenerator<DumpedRecord> {
  const partitions = await partitionsOf(log, topic)
  let dumped = 0
  for (let partition = 0; partition < partitions; partition++) {
    if (only !== undefined && partition !== only) continue
    for await (const batch of batchesOf(log, topic, partition, from)) {
      for (const record of batch) {
        if (dumped++ >= max) return
        yield dumpedRecord(topic, partition, record, codec)
      }
    }
  }
}

function dumpedRecord(topic: string, partition: number, record: StoredRecord, codec: Codec): DumpedRecord {
  const { offset, kind, key, value, timestampMs } = record
  const timestamp = new Date(timestampMs).toISOString()
  return { topic, partition, offset, kind, key, timestamp, value: value && plain(decoded(value, codec)) }
}

/** Avro in Confluent framing, or JSON, or else the bytes. */
function decoded(value: Buffer, codec: Codec): unknown {
  if (value[0] === 0 && value.length >= 5) return codec.decode(codec.nameOf(value), value)
  try {
    return JSON.parse(value.toString('utf8'))
  } catch {
    return value
  }
}

/** Plain objects, lists and texts all the way down; bytes as base64. */
export function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
  }
  return value
}
