/** Bad rows back into the log, mended by flows. */
import { readFile } from 'node:fs/promises'
import type { Codec } from '../runtime/codec.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { AddressedRecord, Log } from '../runtime/log.ts'
import { partitionOf } from '../runtime/partitioner.ts'
import type { StoredRecord } from '../runtime/record.ts'
import { type Flows, flowsOf } from '../sources/recovery/flow.ts'
import { recover } from '../sources/recovery/recover.ts'
import { partitionsOf } from './data.ts'
import { packageVersion } from './package.ts'
import { batchesOf } from './topics.ts'

export type RecoverOptions = {
  readonly flows: Flows
  /** Counts, and changes nothing. */
  readonly dryRun: boolean
  /** Called with the records that are read, of all there are. */
  readonly onProgress: (done: number, total: number) => void
}

/** rows = recovered + done + unmatched + unrecoverable + failed. */
export type Recovered = {
  /** Bad rows. */
  readonly rows: number
  /** Rows whose events went back. */
  readonly recovered: number
  /** Raw events written: of a payload there may be several. */
  readonly events: number
  /** Rows that an earlier run has dealt with. */
  readonly done: number
  /** No flow is for them. */
  readonly unmatched: number
  /** Too little of an event is in them. */
  readonly unrecoverable: number
  /** A flow was for them, and did not fit; a recovery_error says so. */
  readonly failed: number
  /** Why, the commonest first. */
  readonly errors: readonly { readonly error: string; readonly rows: number }[]
}

const badTopic = 'events.bad'
const rawTopic = 'events.raw'
const batchRecords = 1_000
const batchBytes = 4 << 20
const errorsMax = 20

/** CONFIG_INVALID with the path of what is wrong; INPUT_INVALID when the file cannot be read. */
export async function readFlows(path: string): Promise<Flows> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new MillraceError('INPUT_INVALID', `cannot read ${path}: ${(cause as Error).message}`, { cause })
  }
  return flowsOf(text, path)
}

/**
 * Goes through the bad rows there are at the time of the call. The events of a row are written to `events.raw` in the
 * commit that marks it, so each row goes back once, however often this is run and wherever it is interrupted. A row whose
 * flow does not fit is marked too, and a recovery_error stands for it: another flow may mend that. Of two at a time the
 * first ends in FENCED.
 */
export async function recoverRows(log: Log, codec: Codec, options: RecoverOptions): Promise<Recovered> {
  const { flows, dryRun, onProgress } = options
  // before anything is read: an earlier run commits nothing behind our back
  const writer = dryRun ? null : await log.writer('bad.recover')
  try {
    const partitions = await partitionsOf(log, badTopic)
    const rawPartitions = await partitionsOf(log, rawTopic)
    const ends = await Promise.all(Array.from({ length: partitions }, (_, partition) => log.ends(badTopic, partition)))
    const total = ends.reduce((sum, { start, stable }) => sum + stable - start, 0)
    const counts = { rows: 0, recovered: 0, events: 0, done: 0, unmatched: 0, unrecoverable: 0, failed: 0 }
    const errors = new Map<string, number>()
    let outputs: AddressedRecord[] = []
    let bytes = 0
    let read = 0
    const commit = async (): Promise<void> => {
      if (outputs.length > 0) await writer?.commit({ outputs })
      outputs = []
      bytes = 0
    }
    const put = (
      topic: string,
      partition: number,
      kind: string,
      key: string,
      value: Buffer,
      timestampMs: number,
    ): void => {
      outputs.push({ topic, partition, kind, key, value, timestampMs })
      bytes += value.length
    }
    const mark = (partition: number, { key, offset, timestampMs }: StoredRecord): void =>
      put(badTopic, partition, 'recovered', key, codec.encode('Replayed', { letterOffset: offset }), timestampMs)

    for (let partition = 0; partition < partitions; partition++) {
      const marked = await markedOffsets(log, codec, partition)
      for await (const batch of batchesOf(log, badTopic, partition)) {
        for (const record of batch) {
          if (record.kind !== 'bad' || !record.value) continue
          counts.rows++
          if (marked.has(record.offset)) {
            counts.done++
            continue
          }
          const bad = codec.decode('BadRow', record.value)
          const recovery = recover(bad, flows, processor)
          counts[recovery.outcome]++
          if (recovery.outcome === 'recovered') {
            counts.events += recovery.events.length
            for (const { key, raw } of recovery.events)
              put(rawTopic, partitionOf(key, rawPartitions), 'event', key, codec.encode('RawEvent', raw), Number.NaN)
            mark(partition, record)
          } else if (recovery.outcome === 'failed') {
            const { error, row } = recovery
            if (errors.has(error) || errors.size < errorsMax) errors.set(error, (errors.get(error) ?? 0) + 1)
            if (row) {
              put(badTopic, partition, 'bad', record.key, codec.encode('BadRow', row), Number.NaN)
              mark(partition, record)
            }
          }
          if (outputs.length >= batchRecords || bytes >= batchBytes) await commit()
        }
        read += batch.length
        onProgress(read, total)
      }
    }
    await commit()
    const why = [...errors].map(([error, rows]) => ({ error, rows })).sort((a, b) => b.rows - a.rows)
    return { ...counts, errors: why }
  } finally {
    await writer?.close()
  }
}

const processor = { artifact: 'millrace-recover', version: packageVersion }

async function markedOffsets(log: Log, codec: Codec, partition: number): Promise<ReadonlySet<number>> {
  const offsets = new Set<number>()
  for await (const batch of batchesOf(log, badTopic, partition)) {
    for (const { kind, value } of batch)
      if (kind === 'recovered' && value) offsets.add(codec.decode('Replayed', value).letterOffset)
  }
  return offsets
}
