/** How long an event takes from the collector to a connector, at 500 events a second over HTTP. */
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openEngine } from '../cli/engine.ts'
import { boundHeap } from '../cli/heap.ts'
import { Latency } from '../cli/latency.ts'
import { ConnectorRunner } from '../connectors/runner.ts'
import { topicOf } from '../runtime/topology.ts'
import { createCollector } from '../sources/collector/collector.ts'
import { connectTopic } from '../topologies/customer-data.ts'

export type LatencyFigures = {
  readonly eventsPerSecond: number
  /** From the receipt of the request to the call of the connector with the activation it caused. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly deliveries: number
}

const retail = fileURLToPath(new URL('../../examples/retail', import.meta.url))
export const eventsPerSecond = 500
const warmUpSeconds = 8

async function latencyOf(folder: string, seconds: number, threads: 'shared' | 'apart'): Promise<LatencyFigures> {
  const engine = await openEngine({
    dataFolder: folder,
    workspaceFolder: retail,
    tenantKey: createHash('sha256').update('bench').digest(),
    logTimeMs: Date.now(),
    threads,
  })
  const { log, codec, runner, topology, workspace } = engine
  const latency = new Latency()
  let measuring = false
  let deliveries = 0
  const connectors = await Promise.all(
    workspace.destinations.map(({ id }) =>
      ConnectorRunner.start({
        log,
        codec,
        topic: topicOf(topology, connectTopic(id)),
        connector: {
          id,
          batchMax: 100,
          async deliver(batch) {
            for (const { activation } of batch) {
              if (!measuring || activation.collectorTstampMs === null) continue
              deliveries++
              latency.record(Date.now() - activation.collectorTstampMs)
            }
          },
          async close() {},
        },
      }),
    ),
  )
  for (const connector of connectors) connector.run()
  const { partitions } = topicOf(topology, 'events.raw')
  const collector = createCollector({ target: () => ({ log, codec, partitions }), tenantOf: () => workspace.tenant })
  const port = await collector.listen(0)
  runner.run((error) => {
    console.error(error)
    process.exit(1)
  })
  runner.tick()
  const load = fork(fileURLToPath(new URL('./load.js', import.meta.url)), [
    String(port),
    String(seconds + warmUpSeconds),
  ])
  await new Promise((resolve) => setTimeout(resolve, warmUpSeconds * 1000))
  measuring = true
  await new Promise((resolve) => load.on('exit', resolve))
  await new Promise((resolve) => setTimeout(resolve, 500))
  const quantiles = latency.quantiles()
  if (!quantiles) throw new Error('nothing was delivered')
  const { p50, p95, p99 } = quantiles
  return { eventsPerSecond, p50Ms: p50, p95Ms: p95, p99Ms: p99, deliveries }
}

boundHeap()
const [folder, seconds, threads] = process.argv.slice(2)
console.log(JSON.stringify(await latencyOf(folder!, Number(seconds), threads === 'shared' ? 'shared' : 'apart')))
process.exit(0)
