/**
 * How fast the Kafka log takes and gives records of 500 bytes, against a running broker (KAFKA_BROKERS):
 * `npx tsx bench/kafka-log.ts`. Processor time is of this process alone, the broker's not counted.
 */
import { randomUUID } from 'node:crypto'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { AddressedRecord } from '../../runtime/record.ts'

const topic = 'events'
const partitions = 8
const commitRecords = 400
const recordBytes = 500

export type KafkaLogFigures = {
  /** One writer, 400 records over 8 partitions a commit, one commit after the other. */
  readonly commits: Figures & { readonly p50Ms: number; readonly p99Ms: number }
  /** Eight writers at the same time, as above. */
  readonly commitsOfMany: Figures & { readonly p50Ms: number; readonly p99Ms: number }
  /** Sixteen sources that append 400 records at a time. */
  readonly appends: Figures
  /** All of it read again, 5,000 records a fetch, partition by partition, as a restore does. */
  readonly fetches: Figures
}

/** Processor time a record, ours and that of the kernel for us: sockets, mostly. */
type Figures = {
  readonly recordsPerSecond: number
  readonly userMicrosPerRecord: number
  readonly systemMicrosPerRecord: number
}

export async function benchKafkaLog(brokers: readonly string[], records = 200_000): Promise<KafkaLogFigures> {
  const log = await KafkaLog.open({ brokers, prefix: `bench-${randomUUID()}.` })
  try {
    await log.createTopics([{ name: topic, partitions, cleanup: 'delete', retentionMs: 3_600_000 }])
    await commitAll(log, 1, 20)
    const rounds = Math.ceil(records / commitRecords)
    const commits = await commitAll(log, 1, Math.ceil(rounds / 4))
    const commitsOfMany = await commitAll(log, 8, Math.ceil(rounds / 8))
    const appends = await measured(async () => {
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          const batch = sample()
          for (let n = 0; n < rounds / 16; n++) await log.append(batch)
        }),
      )
      return rounds * commitRecords
    })
    const fetches = await measured(() => readAll(log))
    return { commits, commitsOfMany, appends, fetches }
  } finally {
    await log.close()
  }
}

async function commitAll(log: KafkaLog, writers: number, rounds: number) {
  const waits: number[] = []
  const figures = await measured(async () => {
    await Promise.all(
      Array.from({ length: writers }, async (_, w) => {
        const writer = await log.writer(`bench/${w}`)
        const outputs = sample()
        for (let n = 0; n < rounds; n++) {
          const start = performance.now()
          await writer.commit({ outputs })
          waits.push(performance.now() - start)
        }
      }),
    )
    return writers * rounds * commitRecords
  })
  waits.sort((a, b) => a - b)
  return { ...figures, p50Ms: waits[Math.floor(waits.length * 0.5)]!, p99Ms: waits[Math.floor(waits.length * 0.99)]! }
}

async function readAll(log: KafkaLog): Promise<number> {
  let read = 0
  for (let partition = 0; partition < partitions; partition++) {
    const { start, stable } = await log.ends(topic, partition)
    for (let offset = start; offset < stable; ) {
      const fetched = await log.fetch(topic, partition, offset, { maxRecords: 5000, maxBytes: 8 << 20 })
      read += fetched.records.length
      offset = fetched.nextOffset
    }
  }
  return read
}

async function measured(work: () => Promise<number>): Promise<Figures> {
  const processor = process.cpuUsage()
  const start = performance.now()
  const records = await work()
  const { user, system } = process.cpuUsage(processor)
  const seconds = (performance.now() - start) / 1000
  return {
    recordsPerSecond: Math.round(records / seconds),
    userMicrosPerRecord: user / records,
    systemMicrosPerRecord: system / records,
  }
}

function sample(): AddressedRecord[] {
  return Array.from({ length: commitRecords }, (_, i) => ({
    topic,
    partition: i % partitions,
    kind: 'event',
    key: `tenant/00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
    value: Buffer.alloc(recordBytes, i),
    timestampMs: Number.NaN,
  }))
}

if (process.argv[1]?.endsWith('kafka-log.ts')) {
  const brokers = (process.env['KAFKA_BROKERS'] ?? 'localhost:29092').split(',')
  console.log(JSON.stringify(await benchKafkaLog(brokers), null, 2))
}
