/** Puts traffic from a file into events.raw, with a tick every 250 events, as a history does. */
import type { Codec } from '../runtime/codec.ts'
import { partitionOf } from '../runtime/partitioner.ts'
import { type AddressedRecord, controlKinds } from '../runtime/record.ts'
import { readTraffic } from './traffic-file.ts'

const topic = 'events.raw'
const eventsPerTick = 250

/** Chunks of records ready to append, at most `chunkEvents` events each. */
export async function* addressed(
  file: string,
  codec: Codec,
  partitions: number,
  chunkEvents: number,
  /** `history` keeps the wall clock of tasks elsewhere out. */
  writer: 'source' | 'history' = 'source',
): AsyncGenerator<{ records: AddressedRecord[]; events: number }> {
  let chunk: AddressedRecord[] = []
  let events = 0
  let sinceTick = 0
  for await (const records of readTraffic(file)) {
    for (const { key, logTimeMs, value } of records) {
      chunk.push({ topic, partition: partitionOf(key, partitions), kind: 'event', key, value, timestampMs: logTimeMs })
      events++
      if (++sinceTick === eventsPerTick) {
        sinceTick = 0
        chunk.push(...ticks(codec, partitions, logTimeMs, writer))
      }
      if (events < chunkEvents) continue
      yield { records: chunk, events }
      chunk = []
      events = 0
    }
  }
  if (events > 0) yield { records: chunk, events }
}

function ticks(codec: Codec, partitions: number, clockMs: number, writer: 'source' | 'history'): AddressedRecord[] {
  const value = codec.encode('Tick', { writer, clockMs })
  return Array.from({ length: partitions }, (_, partition) => ({
    topic,
    partition,
    kind: controlKinds.tick,
    key: 'source',
    value,
    timestampMs: clockMs,
  }))
}
