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
import { embeddedPartitions } from '../../topologies/customer-data.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { millrace } from '../cli/millrace.ts'
import { type Audit, audit } from './audit.ts'
import { Deployment } from './deployment.ts'
import type { Fault } from './faults.ts'
import { feedHistory, feedLive, inputOf } from './source.ts'

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
}

export type Scene = {
  readonly deployment: Deployment
  readonly kafka: LocalKafka
  readonly log: Awaited<ReturnType<typeof openCluster>>['log']
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
}

const historyShare = 0.4

export async function integrity(options: IntegrityOptions): Promise<Outcome> {
  const { kafka, registryUrl, events, seed, liveMs, tell = () => {} } = options
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
      const posted = await feedLive(input.live, { flags, overMs: liveMs, signal })
      tell(`${input.live.length} live events are in, of which ${posted.resent} were posted again`)
      return posted
    })().finally(() => {
      fed = true
    })
    const striking = options.faults({ deployment, kafka, log: cluster.log, prefix, random, isFed: () => fed })
    const [posted, faults] = await Promise.all([feeding, striking])
    await deployment.whole()
    await deployment.drained()
    const seconds = Math.round((performance.now() - startMs) / 100) / 10
    tell(`all has come through after ${seconds} s`)
    await deployment.end()

    const folders = new Map(
      Object.keys(embeddedPartitions).map((stage) => [stage, deployment.of(stage).map((process) => process.folder)]),
    )
    const found = await audit({
      cluster,
      definitions: definitions.reader,
      brokers: kafka.brokers,
      prefix,
      folders,
      input,
      posted,
    })
    const { differences, records, rows, counters } = found
    return { differences, records, rows, counters, faults, turnsLost: turnsLost(deployment), ...posted, seconds }
  } finally {
    over.abort(new Error('the run is over'))
    await deployment.retire()
    await cluster.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function turnsLost({ processes }: Deployment): Record<string, number> {
  const lost: Record<string, number> = {}
  for (const code of processes.flatMap(({ faults }) => faults)) lost[code] = (lost[code] ?? 0) + 1
  return lost
}
