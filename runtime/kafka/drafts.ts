/** Records on their way out: by partition, cut into what one batch may hold. */
import type { AddressedRecord } from '../record.ts'
import { recordBytesAbout } from './record-batch.ts'

/** Records of one partition in order, each with its place among the records that were given. */
export type Draft = {
  readonly topic: string
  readonly partition: number
  readonly records: AddressedRecord[]
  readonly places: number[]
  bytes: number
}

/** Below `max.message.bytes` as brokers have it by default, 1 MiB, with the largest record and its header besides. */
export const batchBytesMax = 512 * 1024

export function draftsOf(records: readonly AddressedRecord[]): Draft[] {
  const drafts: Draft[] = []
  const open = new Map<string, Draft[]>()
  for (const [place, record] of records.entries()) {
    const { topic, partition } = record
    const ofTopic = open.get(topic) ?? []
    if (ofTopic.length === 0) open.set(topic, ofTopic)
    const bytes = recordBytesAbout(record)
    let draft = ofTopic[partition]
    if (!draft || draft.bytes + bytes > batchBytesMax) {
      draft = { topic, partition, records: [], places: [], bytes: 0 }
      ofTopic[partition] = draft
      drafts.push(draft)
    }
    draft.records.push(record)
    draft.places.push(place)
    draft.bytes += bytes
  }
  return drafts
}

/** The offset of each record in the order given, from the offset of each draft's first. */
export function offsetsOf(drafts: readonly Draft[], baseOffsets: readonly number[]): number[] {
  const offsets: number[] = []
  for (const [d, { places }] of drafts.entries())
    for (const [i, place] of places.entries()) offsets[place] = baseOffsets[d]! + i
  return offsets
}
