/** How fast the embedded log takes and gives records: batches of 500 records of 600 bytes over four partitions. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedLog } from '../runtime/embedded/log.ts'
import type { AddressedRecord } from '../runtime/record.ts'

const topic = 'events'
const partitions = 4
const batchRecords = 500
const recordBytes = 600

export type LogFigures = {
  readonly appendedPerSecond: number
  readonly appendP50Ms: number
  readonly appendP99Ms: number
  readonly fetchedFromDiskPerSecond: number
  readonly fetchedFromMemoryPerSecond: number
  readonly processorMicrosPerAppend: number
}

/** Four writers append `batches` batches each; then all is read, from a disk that the page cache knows, and from the tail. */
export async function benchLog(batches = 500): Promise<LogFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  const log = await EmbeddedLog.open(folder, { tailBytesMax: 8 * 1024 ** 2, diskBytesMax: 64 * 1024 ** 3 })
  try {
    await log.createTopics([{ name: topic, partitions, cleanup: 'delete', retentionMs: 3_600_000 }])
    const batch = sampleBatch()
    const total = partitions * batches * batchRecords

    const waits: number[] = []
    const processor = process.cpuUsage()
    const appending = await seconds(() =>
      Promise.all(
        Array.from({ length: partitions }, async (_, partition) => {
          const writer = await log.writer(`bench/${partition}`)
          const outputs = batch.map((record) => ({ ...record, partition }))
          for (let n = 0; n < batches; n++) waits.push((await seconds(() => writer.commit({ outputs }))) * 1000)
        }),
      ),
    )
    const { user, system } = process.cpuUsage(processor)
    waits.sort((a, b) => a - b)

    const reading = await seconds(() => read(log, 0, batches * batchRecords))
    const { stable } = await log.ends(topic, 0)
    const tail = 2000
    const tailing = await seconds(async () => {
      for (let round = 0; round < 50; round++) await read(log, stable - tail, tail)
    })
    return {
      appendedPerSecond: Math.round(total / appending),
      appendP50Ms: waits[Math.floor(waits.length * 0.5)]!,
      appendP99Ms: waits[Math.floor(waits.length * 0.99)]!,
      fetchedFromDiskPerSecond: Math.round((batches * batchRecords) / reading),
      fetchedFromMemoryPerSecond: Math.round((50 * tail) / tailing),
      processorMicrosPerAppend: (user + system) / total,
    }
  } finally {
    await log.close()
    await rm(folder, { recursive: true })
  }
}

async function read(log: EmbeddedLog, from: number, records: number): Promise<void> {
  for (let offset = from; offset < from + records; ) {
    offset = (await log.fetch(topic, 0, offset, { maxRecords: 1000, maxBytes: 1024 ** 2 })).nextOffset
  }
}

/** Values that compress about as JSON events do: half of each is random. */
function sampleBatch(): AddressedRecord[] {
  let state = 42
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state >> 8
  }
  return Array.from({ length: batchRecords }, (_, n) => {
    const value = Buffer.alloc(recordBytes, 'the same in each event ')
    for (let at = 0; at < recordBytes / 2; at++) value[at] = random()
    return { topic, partition: 0, kind: 'event', key: `tenant/client-${n}`, value, timestampMs: 1_700_000_000_000 + n }
  })
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

if (process.argv[1] && /bench[/\\]log\.[jt]s$/.test(process.argv[1])) console.table(await benchLog())
