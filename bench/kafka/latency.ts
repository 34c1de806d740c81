/** From the collector to the connect topics, at 500 events a second over HTTP: two processes, a collector, a real broker. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openCluster } from '../../cli/cluster/cluster.ts'
import { Latency } from '../../cli/latency.ts'
import { topicOf } from '../../runtime/topology.ts'
import { type Deployment, lagOf, Program, pause, Stages } from './processes.ts'

export type LatencyFigures = { readonly p50Ms: number; readonly p99Ms: number; readonly activations: number }

const prefix = 'latency.'
const partitions = 'identify=4,graph=2,profile=4'
const tasks = 10
/** Until V8 has compiled what a steady service has compiled long since. */
const warmUpSeconds = 45

export async function benchLatency(
  deployment: Deployment,
  { seconds }: { readonly seconds: number },
): Promise<LatencyFigures> {
  const { folder, brokers, registryUrl } = deployment
  await new Program(deployment, prefix, ['topics', 'apply', '--partitions', partitions]).ended()
  const processes = ['c', 'd'].map((name) => new Stages(deployment, prefix, join(folder, name), ['--standbys', '0']))
  const collector = new Program(deployment, prefix, ['collect', '--port', '0'])
  const cluster = await openCluster({ kind: 'cluster', kafka: { brokers }, registryUrl, prefix })
  const stop = new AbortController()
  try {
    while ((await lagOf(processes)).running < tasks) await pause(100)
    const port = await collector.said(/http:\/\/[^:]+:(\d+)/)
    const latency = new Latency()
    let measuring = false
    let activations = 0
    const { log, codec, topology } = cluster
    const follow = async (topic: string, partition: number): Promise<void> => {
      for (let offset = 0; !stop.signal.aborted; ) {
        const { records, nextOffset } = await log.fetch(topic, partition, offset, {
          maxRecords: 1000,
          maxBytes: 1 << 20,
        })
        offset = nextOffset
        for (const { kind, value } of records) {
          if (kind !== 'activation' || !value || !measuring) continue
          const { collectorTstampMs } = codec.decode('Activation', value)
          if (collectorTstampMs === null) continue
          activations++
          latency.record(Date.now() - collectorTstampMs)
        }
        if (records.length === 0) await log.arrival(topic, partition, offset, stop.signal)
      }
    }
    const followers = topology.topics
      .filter(({ name }) => name.startsWith('connect.'))
      .flatMap(({ name }) =>
        Array.from({ length: topicOf(topology, name).partitions }, (_, partition) => follow(name, partition)),
      )
    const load = fork(fileURLToPath(new URL('../load.js', import.meta.url)), [port, String(seconds + warmUpSeconds)])
    await pause(warmUpSeconds * 1000)
    measuring = true
    await once(load, 'exit')
    await pause(1000)
    stop.abort()
    await Promise.all(followers)
    const quantiles = latency.quantiles()
    if (!quantiles) throw new Error('nothing was activated')
    return { p50Ms: quantiles.p50, p99Ms: quantiles.p99, activations }
  } finally {
    stop.abort()
    await cluster.close()
    await collector.end('SIGTERM')
    for (const each of processes) await each.end('SIGTERM')
  }
}
