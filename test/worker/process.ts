/**
 * A worker as a process of its own, over Kafka and RocksDB. Arguments: brokers, topic prefix, state folder, standbys.
 * Says on its output what happens to it, a JSON object a line; ends at SIGTERM, keeping its place.
 */
import { defaultAssignment } from '../../runtime/assignment.ts'
import { systemClock } from '../../runtime/clock.ts'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { takeStateFolder } from '../../runtime/stores/identity.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { Worker } from '../../runtime/worker.ts'
import { sessionTimeoutMs, topology } from './relay.ts'

export type Said = { readonly atMs: number } & (
  | { readonly said: 'started'; readonly process: string }
  | { readonly said: 'assigned'; readonly stage: string; readonly active: number; readonly tookMs: number }
  | { readonly said: 'ready'; readonly running: number }
  | { readonly said: 'restored'; readonly task: string; readonly records: number }
  | { readonly said: 'fault'; readonly task: string; readonly code: string }
  | { readonly said: 'failed'; readonly message: string }
  | { readonly said: 'stopped'; readonly clean: boolean }
)

type Unsaid<Of> = Of extends unknown ? Omit<Of, 'atMs'> : never
const say = (said: Unsaid<Said>): void => {
  process.stdout.write(`${JSON.stringify({ atMs: Date.now(), ...said })}\n`)
}

const [brokers, prefix, folder, standbys] = process.argv.slice(2) as [string, string, string, string]
const log = await KafkaLog.open({ brokers: brokers.split(','), prefix })
const identity = await takeStateFolder(folder)
say({ said: 'started', process: identity.process })
const worker = await Worker.start({
  topology,
  stages: topology.stages.map(({ name }) => name),
  app: prefix,
  process: identity.process,
  endpoint: '',
  version: '1',
  log,
  coordinator: new KafkaCoordinator(log.connection, prefix),
  clock: systemClock,
  stores: new RocksStores(folder),
  codec: new Codec(fixedSchemaIds()),
  definitions: { resolve: () => Promise.reject(new Error('there are no definitions')) },
  limits: defaultLimits,
  assignment: { ...defaultAssignment, standbys: Number(standbys), acceptableLag: 100 },
  membership: { sessionTimeoutMs, heartbeatMs: 300, rebalanceTimeoutMs: 15_000 },
  tombstones: { ms: 24 * 3600 * 1000, nowMs: Date.now },
  idleStoreMs: 24 * 3600 * 1000,
  stuckMs: 15_000,
  observer: {
    assigned: (stage, { own, tookMs }) => say({ said: 'assigned', stage, active: own.active.length, tookMs }),
    restored: (task, { records }) => say({ said: 'restored', task, records }),
    fault: (task, error) =>
      say({ said: 'fault', task, code: error instanceof MillraceError ? error.code : `${error}` }),
  },
  failed: (error) => say({ said: 'failed', message: String(error) }),
})

let before = -1
setInterval(() => {
  const running = worker.tasks.filter((task) => task.running).length
  if (!worker.health().ready || running === before) return
  before = running
  say({ said: 'ready', running })
}, 20)

process.once('SIGTERM', async () => {
  const clean = await worker.stop({ keepPlace: true, budgetMs: 5000 })
  await log.close()
  await identity.close()
  say({ said: 'stopped', clean })
  process.exit(0)
})
