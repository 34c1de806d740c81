/** Events a second through the whole topology: two processes, a real broker, all on this machine. */
import { join } from 'node:path'
import { openCluster } from '../../cli/cluster/cluster.ts'
import { topicOf } from '../../runtime/topology.ts'
import { addressed } from '../feeder.ts'
import { writeTraffic } from '../traffic-file.ts'
import { brokerPid, cpuSeconds, type Deployment, lagOf, Program, pause, Stages } from './processes.ts'

export type ThroughputFigures = {
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** Of both processes and the broker; the feeder's not. */
  readonly cpuMicrosPerEvent: number
  readonly brokerCpuMicrosPerEvent: number
}

const dayMs = 24 * 3600 * 1000
const lagMax = 20_000
const prefix = 'throughput.'
const partitions = 'identify=4,graph=2,profile=4'
const tasks = 10

/** The traffic of thirty days, which ends yesterday: Kafka refuses times to come, and topics drop what is older than their retention. */
export async function benchThroughput(
  deployment: Deployment,
  { events, visitors }: { readonly events: number; readonly visitors: number },
): Promise<ThroughputFigures> {
  const { folder, brokers, registryUrl } = deployment
  const traffic = join(folder, 'traffic')
  await writeTraffic(traffic, { events, visitors, startMs: Date.now() - 31 * dayMs })
  await new Program(deployment, prefix, ['topics', 'apply', '--partitions', partitions]).ended()
  const processes = ['a', 'b'].map((name) => new Stages(deployment, prefix, join(folder, name), ['--standbys', '0']))
  const cluster = await openCluster({ kind: 'cluster', kafka: { brokers }, registryUrl, prefix })
  try {
    while ((await lagOf(processes)).running < tasks) await pause(100)
    const pids = processes.map(({ child }) => child.pid!)
    const broker = brokerPid(folder)
    const cpuBefore = pids.map(cpuSeconds)
    const brokerBefore = cpuSeconds(broker)
    const startedAt = performance.now()
    const { log, codec, registry, topology } = cluster
    const rawEventId = registry.idOf('RawEvent')
    let sent = 0
    for await (const chunk of addressed(traffic, codec, topicOf(topology, 'events.raw').partitions, 2000, 'history')) {
      // The file has the schema ids of a registry that is none.
      for (const { kind, value } of chunk.records) if (kind === 'event') value?.writeInt32BE(rawEventId, 1)
      await log.append(chunk.records)
      sent += chunk.events
      while ((await lagOf(processes)).records > lagMax) await pause(20)
    }
    for (let quiet = 0; quiet < 3; ) {
      const { running, records } = await lagOf(processes)
      quiet = running === tasks && records === 0 ? quiet + 1 : 0
      await pause(20)
    }
    const seconds = (performance.now() - startedAt) / 1000
    const cpu = pids.reduce((sum, pid, i) => sum + cpuSeconds(pid) - cpuBefore[i]!, 0)
    const brokerCpu = cpuSeconds(broker) - brokerBefore
    return {
      events: sent,
      seconds: Math.round(seconds * 10) / 10,
      eventsPerSecond: Math.round(sent / seconds),
      cpuMicrosPerEvent: Math.round(((cpu + brokerCpu) * 1e6) / sent),
      brokerCpuMicrosPerEvent: Math.round((brokerCpu * 1e6) / sent),
    }
  } finally {
    await cluster.close()
    for (const each of processes) await each.end('SIGTERM')
  }
}
