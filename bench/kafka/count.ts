/** One stage that counts by key, in this process: input, state, an output for each record, one transaction a batch; and its restore. */
import { join } from 'node:path'
import { defaultAssignment } from '../../runtime/assignment.ts'
import { systemClock } from '../../runtime/clock.ts'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { defaultMembership } from '../../runtime/membership.ts'
import { emit, type Inbound, type Operator, put } from '../../runtime/operator.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { allTopics, defineTopology } from '../../runtime/topology.ts'
import { Worker } from '../../runtime/worker.ts'
import type { FeedPosition } from '../../schemas/avro/types.ts'
import { type Deployment, pause } from './processes.ts'

export type CountFigures = { readonly eventsPerSecond: number; readonly cpuMicrosPerEvent: number }
export type RestoreFigures = { readonly recordsPerSecond: number; readonly records: number }

const partitions = 4
const keys = 50_000
const topicOfKind = (name: string) => ({
  name,
  partitions,
  cleanup: 'delete' as const,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { count: 'FeedPosition' as const },
})

/** A count under each key; the record is passed on with it. */
const counter: Operator<Inbound<'count', FeedPosition>, FeedPosition, never> = {
  name: 'counter',
  state: 'FeedPosition',
  process({ key, value }, { state }) {
    const counted: FeedPosition = { items: (state(key)?.items ?? 0) + value.items, ended: false }
    return [put(key, counted), emit('counts', 'count', key, counted)]
  },
}

const topology = defineTopology({
  name: 'count',
  topics: [{ ...topicOfKind('events'), source: true }, topicOfKind('counts')],
  stages: [{ name: 'count', inbox: 'events', operators: [counter], emits: ['counts'] }],
})

export async function benchCount(
  deployment: Deployment,
  { events }: { readonly events: number },
): Promise<{ count: CountFigures; restore: RestoreFigures }> {
  const prefix = 'count.'
  const codec = new Codec(fixedSchemaIds())
  const log = await KafkaLog.open({ brokers: deployment.brokers, prefix })
  try {
    await log.createTopics(allTopics(topology))
    await fill(log, codec, events)
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    let counted = 0
    const worker = await start(deployment, log, codec, 'g', {
      committed: (records) => {
        counted += records
      },
    })
    while (counted < events) await pause(10)
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    await worker.stop({ keepPlace: false, budgetMs: 10_000 })

    let restored = 0
    const again = await start(deployment, log, codec, 'h', {
      restored: (records) => {
        restored += records
      },
    })
    const restoreAt = performance.now()
    while (!again.health().ready) await pause(5)
    const restoreSeconds = (performance.now() - restoreAt) / 1000
    await again.stop({ keepPlace: false, budgetMs: 10_000 })
    return {
      count: {
        eventsPerSecond: Math.round(events / seconds),
        cpuMicrosPerEvent: Math.round(((user + system) / events) * 10) / 10,
      },
      restore: { recordsPerSecond: Math.round(restored / restoreSeconds), records: restored },
    }
  } finally {
    await log.close()
  }
}

async function fill(log: KafkaLog, codec: Codec, events: number): Promise<void> {
  const value = codec.encode('FeedPosition', { items: 1, ended: false })
  const timestampMs = Date.now()
  for (let sent = 0; sent < events; ) {
    const records = Array.from({ length: Math.min(5000, events - sent) }, (_, i) => {
      const key = `bench/${((sent + i) * 7919) % keys}`
      return { topic: 'events', partition: partitionOf(key, partitions), kind: 'count', key, value, timestampMs }
    })
    await log.append(records)
    sent += records.length
  }
}

function start(
  { folder }: Deployment,
  log: KafkaLog,
  codec: Codec,
  name: string,
  told: { committed?(records: number): void; restored?(records: number): void },
): Promise<Worker> {
  return Worker.start({
    topology,
    stages: ['count'],
    app: 'count',
    process: name,
    endpoint: '',
    version: '1',
    log,
    coordinator: new KafkaCoordinator(log.connection, 'count.'),
    clock: systemClock,
    stores: new RocksStores(join(folder, name)),
    codec,
    definitions: { resolve: () => Promise.reject(new Error('there are no definitions')) },
    limits: { ...defaultLimits, recordsMax: 2000 },
    assignment: { ...defaultAssignment, standbys: 0 },
    membership: defaultMembership,
    tombstones: { ms: 24 * 3600 * 1000, nowMs: Date.now },
    idleStoreMs: 24 * 3600 * 1000,
    stuckMs: 30_000,
    observer: {
      committed: (_task, { records }) => told.committed?.(records),
      restored: (_task, { records }) => told.restored?.(records),
    },
    failed: (error) => {
      console.error(error)
      process.exit(1)
    },
  })
}
