/** Which records of a topic a replay reads: a range of offsets in each partition. */
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { controlKinds, type StoredRecord } from '../../runtime/record.ts'
import { batchesOf } from '../topics.ts'

/** From the first offset on, up to the second, which is not in it. */
export type Range = { readonly from: number; readonly to: number }

/** A place in every partition: where log time reaches an instant, or offsets; what is not named is where it would be without. */
export type Bound = { readonly atMs: number } | { readonly offsets: ReadonlyMap<number, number> }

export type Bounds = { readonly from?: Bound; readonly to?: Bound }

/** INPUT_INVALID for what is neither an instant nor offsets such as 0:1500,1:1400. */
export function boundOf(text: string): Bound {
  const offsets = text.split(',').map((entry) => /^(\d{1,6}):(\d{1,15})$/.exec(entry.trim()))
  if (offsets.every((match) => match !== null))
    return { offsets: new Map(offsets.map(([, partition, offset]) => [Number(partition), Number(offset)])) }
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(atMs))
    throw new MillraceError(
      'INPUT_INVALID',
      `${text} is neither an instant such as 2026-11-23T08:00:00Z nor offsets by partition such as 0:1500,1:1400`,
    )
  return { atMs }
}

/** Of what is there and committed now. Ranges may be empty. */
export async function rangesOf(
  log: Log,
  topic: { readonly name: string; readonly partitions: number },
  { from, to }: Bounds,
): Promise<readonly Range[]> {
  const ranges: Range[] = []
  for (let partition = 0; partition < topic.partitions; partition++) {
    const ends = await log.ends(topic.name, partition)
    const placeOf = async (bound: Bound | undefined, otherwise: number): Promise<number> => {
      if (!bound) return otherwise
      const place =
        'atMs' in bound
          ? await firstAtOrAfter(log, topic.name, partition, bound.atMs)
          : (bound.offsets.get(partition) ?? otherwise)
      return Math.min(Math.max(place, ends.start), ends.stable)
    }
    const first = await placeOf(from, ends.start)
    ranges.push({ from: first, to: Math.max(first, await placeOf(to, ends.stable)) })
  }
  return ranges
}

export const sizeOf = (ranges: readonly Range[]): number => ranges.reduce((sum, { from, to }) => sum + to - from, 0)

/** The committed records of a range. */
export async function* recordsIn(
  log: Log,
  topic: string,
  partition: number,
  { from, to }: Range,
): AsyncGenerator<StoredRecord> {
  if (from === to) return
  for await (const batch of batchesOf(log, topic, partition, from)) {
    for (const record of batch) {
      if (record.offset >= to) return
      yield record
    }
  }
}

/** By halves: within a partition log time rises, but for clocks that disagree a little. */
async function firstAtOrAfter(log: Log, topic: string, partition: number, atMs: number): Promise<number> {
  const { start, stable } = await log.ends(topic, partition)
  let [low, high] = [start, stable]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const record = await firstFrom(log, topic, partition, middle)
    if (!record || record.offset >= high || record.timestampMs >= atMs) high = middle
    else low = record.offset + 1
  }
  return low
}

/** The first record at an offset or after it, leaving out markers and turns, whose time is not the log's; undefined when there is none. */
export async function firstFrom(
  log: Log,
  topic: string,
  partition: number,
  offset: number,
): Promise<StoredRecord | undefined> {
  for await (const batch of batchesOf(log, topic, partition, offset)) {
    const first = batch.find(({ kind }) => kind !== controlKinds.marker && kind !== controlKinds.turn)
    if (first) return first
  }
  return undefined
}
