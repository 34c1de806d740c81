/** The two requests that carry records, in encodings of our own. */
import { ByteReader, ByteWriter } from './bytes.ts'
import type { OwnRequest } from './channel.ts'
import type { Aborted } from './record-batch.ts'

export type PartitionPlace = { readonly topic: string; readonly partition: number }

/** Places by topic, in the order in which the topics come first. */
function byTopic<Place extends PartitionPlace>(places: readonly Place[]): Map<string, Place[]> {
  const topics = new Map<string, Place[]>()
  for (const place of places) {
    const known = topics.get(place.topic)
    if (known) known.push(place)
    else topics.set(place.topic, [place])
  }
  return topics
}

function writePlaces<Place extends PartitionPlace>(
  out: ByteWriter,
  places: readonly Place[],
  write: (place: Place) => void,
): void {
  const topics = byTopic(places)
  out.int32(topics.size)
  for (const [topic, partitions] of topics) {
    out.text(topic)
    out.int32(partitions.length)
    for (const place of partitions) {
      out.int32(place.partition)
      write(place)
    }
  }
}

/** What was answered for each place, in the order of the places. */
function readPlaces<Answer>(
  reader: ByteReader,
  places: readonly PartitionPlace[],
  read: (reader: ByteReader) => Answer,
): (Answer | undefined)[] {
  const answers = new Map<string, Answer>()
  reader.array(() => {
    const topic = reader.text()
    reader.array(() => {
      const partition = reader.int32()
      answers.set(`${topic}/${partition}`, read(reader))
    })
  })
  return places.map(({ topic, partition }) => answers.get(`${topic}/${partition}`))
}

export type ProduceAnswer = { readonly errorCode: number; readonly baseOffset: number }
export type EncodedBatch = PartitionPlace & { readonly batch: Buffer }

/** Produce 7, acknowledged by all in-sync replicas; no partition twice. */
export function produceRequest(
  batches: readonly EncodedBatch[],
  transactionalId: string | null,
  timeoutMs: number,
): OwnRequest<(ProduceAnswer | undefined)[]> {
  const bytes = batches.reduce((sum, { batch }) => sum + batch.length, 0)
  const out = new ByteWriter(bytes + 1024)
  out.text(transactionalId)
  out.int16(-1)
  out.int32(timeoutMs)
  writePlaces(out, batches, ({ batch }) => {
    out.int32(batch.length)
    out.bytes(batch)
  })
  const decode = (answer: Buffer) =>
    readPlaces(new ByteReader(answer), batches, (reader) => {
      const errorCode = reader.int16()
      const baseOffset = reader.int64()
      reader.skip(16)
      return { errorCode, baseOffset }
    })
  return { apiKey: 0, apiVersion: 7, apiName: 'Produce', body: out.written, decode }
}

export type FetchPlace = PartitionPlace & { readonly offset: number }
export type FetchAnswer = {
  readonly errorCode: number
  /** The last stable offset. */
  readonly stable: number
  readonly aborted: readonly Aborted[]
  /** Whole batches, and perhaps a part of one more. */
  readonly batches: Buffer
}

/** Fetch 11, of committed records, without a session; no partition twice. */
export function fetchRequest(
  places: readonly FetchPlace[],
  { maxWaitMs, maxBytes, partitionMaxBytes }: { maxWaitMs: number; maxBytes: number; partitionMaxBytes: number },
): OwnRequest<(FetchAnswer | undefined)[]> {
  const out = new ByteWriter(1024)
  out.int32(-1)
  out.int32(maxWaitMs)
  out.int32(1)
  out.int32(maxBytes)
  out.int8(1)
  out.int32(0)
  out.int32(-1)
  writePlaces(out, places, ({ offset }) => {
    out.int32(-1)
    out.int64(offset)
    out.int64(-1)
    out.int32(partitionMaxBytes)
  })
  out.int32(0)
  out.text('')
  const decode = (answer: Buffer) => {
    const reader = new ByteReader(answer)
    reader.skip(10)
    return readPlaces(reader, places, () => {
      const errorCode = reader.int16()
      reader.skip(8)
      const stable = reader.int64()
      reader.skip(8)
      const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
      reader.skip(4)
      const batches = reader.slice(Math.max(0, reader.int32()))!
      return { errorCode, stable, aborted, batches }
    })
  }
  return { apiKey: 1, apiVersion: 11, apiName: 'Fetch', body: out.written, decode }
}
