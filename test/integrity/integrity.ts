/**
 * The production topology on a real broker, in six processes, while all that can happen to processes and brokers does; then
 * everything heals, drains and ends, and is compared with what a plain fold of the inboxes expects.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClusterDefinitions, openCluster } from '../../cli/cluster/cluster.ts'
import { exampleWorkspace } from '../../cli/package.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { Random } from '../../runtime/random.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { taskName } from '../../runtime/topology.ts'
import { embeddedPartitions } from '../../topologies/customer-data.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { millrace } from '../cli/millrace.ts'
import { type Audit, audit, type Remains } from './audit.ts'
import { type Copy, copyOf } from './copies.ts'
import { Deployment } from './deployment.ts'
import type { Fault } from './faults.ts'
import { readCommitted } from './kcat.ts'
import { feedHistory, feedLive, inputOf, poison } from './source.ts'

export type IntegrityOptions = {
  readonly kafka: LocalKafka
  readonly registryUrl: string
  readonly events: number
  readonly seed: number
  /** The live events are spread over so much time. */
  readonly liveMs: number
  /** Called once all runs and input comes; when it ends nothing happens any more, but the input may go on. */
  readonly faults: (at: Scene) => Promise<readonly Fault[]>
  readonly tell?: (what: string) => void
  /** Called with the number of events that have been fed so far. */
  readonly fed?: (events: number) => void
  /** Leaves state folders and logs of the processes where they are, and tells where. */
  readonly keep?: boolean
}

export type Scene = {
  readonly deployment: Deployment
  readonly kafka: LocalKafka
  readonly log: Awaited<ReturnType<typeof openCluster>>['base']
  readonly prefix: string
  readonly random: Random
  /** While input is still to come. */
  isFed(): boolean
}

export type Outcome = Audit & {
  readonly faults: readonly Fault[]
  /** What ended turns without a commit, by code. */
  readonly turnsLost: Readonly<Record<string, number>>
  readonly resent: number
  /** From the first event to the end of the last. */
  readonly seconds: number
  readonly auditSeconds: number
}

const historyShare = 0.4

export async function integrity(options: IntegrityOptions): Promise<Outcome> {
  const { kafka, registryUrl, events, seed, liveMs, tell = () => {}, fed: progress = () => {}, keep = false } = options
  const random = new Random('integrity', seed)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-integrity-'))
  const prefix = `integrity-${randomBytes(4).toString('hex')}-`
  const place = ['--brokers', kafka.brokers, '--registry', registryUrl, '--prefix', prefix]
  const flags = [...place, '--workspace', exampleWorkspace]
  const applied = await millrace(['topics', 'apply', ...flags])
  if (applied.status !== 0) throw new Error(`topics apply: ${applied.stderr}`)

  const tenantKey = randomBytes(32)
  const cluster = await openCluster({ kind: 'cluster', kafka: { brokers: [kafka.brokers] }, registryUrl, prefix })
  const definitions = new ClusterDefinitions(cluster, await loadWorkspace(exampleWorkspace), tenantKey)
  await definitions.apply({ always: false })
  const over = new AbortController()
  const deployment = await Deployment.prepare({ folder, flags, tasks: embeddedPartitions }, tenantKey)
  try {
    for (const process of deployment.processes) process.start()
    tell(`${deployment.processes.length} processes run all tasks after ${await deployment.whole()} ms`)

    const input = inputOf({ seed, events, historyShare, nowMs: Date.now() })
    const startMs = performance.now()
    let fed = false
    const { signal } = over
    const feeding = (async () => {
      const file = join(folder, 'history.ndjson')
      const begun = await feedHistory(input.history, { file, flags, killAfterMs: random.between(1500, 3000), signal })
      tell(`${input.history.length} events of a history are in, fed by ${begun} processes in turn`)
      await cluster.log.append([poison(1), poison(2)])
      let count = input.history.length
      progress(count)
      const posted = await feedLive(input.live, {
        flags,
        overMs: liveMs,
        signal,
        posted: (events) => {
          count += events
          progress(count)
        },
      })
      await cluster.log.append([poison(3)])
      tell(`${input.live.length} live events are in, of which ${posted.resent} were posted again`)
      return posted
    })().finally(() => {
      fed = true
    })
    const striking = options.faults({ deployment, kafka, log: cluster.base, prefix, random, isFed: () => fed })
    const [posted, faults] = await Promise.all([feeding, striking])
    await deployment.whole()
    await deployment.drained()
    const seconds = secondsSince(startMs)
    tell(`all has come through after ${seconds} s`)
    await deployment.end()
    const auditMs = performance.now()

    const { topology, codec } = cluster
    const remains: Remains = {
      read: (topic, partition) => readCommitted(kafka.brokers, prefix + topic, partition),
      stableEnd: async (topic, partition) => (await cluster.log.ends(topic, partition)).stable,
      copies: (stage, partition) =>
        Promise.all(deployment.of(stage).map(({ folder }) => copyIn(folder, taskName(stage, partition)))),
    }
    const found = await audit({ topology, codec, definitions: definitions.reader, remains, input, posted })
    const { differences, records, rows, counters } = found
    const auditSeconds = secondsSince(auditMs)
    const lost = turnsLost(deployment)
    return { differences, records, rows, counters, faults, turnsLost: lost, ...posted, seconds, auditSeconds }
  } finally {
    over.abort(new Error('the run is over'))
    await deployment.retire()
    await cluster.close()
    if (keep) tell(`state and logs of the processes are in ${folder}`)
    else await rm(folder, { recursive: true, force: true })
  }
}

function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 100) / 10
}

async function copyIn(folder: string, task: string): Promise<Copy> {
  const stores = new RocksStores(folder)
  try {
    return await copyOf(join(folder, task), await stores.open(task))
  } finally {
    await stores.close()
  }
}

function turnsLost({ processes }: Deployment): Record<string, number> {
  const lost: Record<string, number> = {}
  for (const code of processes.flatMap(({ faults }) => faults)) lost[code] = (lost[code] ?? 0) + 1
  return lost
}
