/** How many events a second the whole topology takes: from a file through events.raw to the last delivery. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Deliveries } from '../cli/deliveries.ts'
import { openEngine } from '../cli/engine.ts'
import { boundHeap } from '../cli/heap.ts'
import { topicOf } from '../runtime/topology.ts'
import { addressed } from './feeder.ts'
import { startMs } from './traffic-file.ts'

export type ThroughputFigures = {
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** Processor time of all threads of the process, RocksDB's among them. */
  readonly cpuSeconds: number
  readonly cpuMicrosPerEvent: number
  /** Peak of the resident set. */
  readonly rssMiB: number
  readonly profiles: number
  readonly transitions: number
  readonly delivered: number
}

const retail = fileURLToPath(new URL('../../examples/retail', import.meta.url))
/** The feeder waits while this many records wait in the inboxes: no figure is won by piling up work. */
const lagMax = 20_000

async function throughput(traffic: string, folder: string, threads: 'shared' | 'apart'): Promise<ThroughputFigures> {
  const engine = await openEngine({
    dataFolder: folder,
    workspaceFolder: retail,
    tenantKey: createHash('sha256').update('bench').digest(),
    logTimeMs: startMs,
    log: { sync: false, now: () => startMs },
    threads,
  })
  const { log, codec, runner, topology } = engine
  const deliveries = await Deliveries.start(engine, { env: process.env, receiver: 'always' })
  deliveries.run()
  let peak = 0
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 100)

  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  runner.run((error) => {
    console.error(error)
    process.exit(1)
  })
  let events = 0
  for await (const chunk of addressed(traffic, codec, topicOf(topology, 'events.raw').partitions, 500)) {
    await log.append(chunk.records)
    events += chunk.events
    while ((await runner.lag()) > lagMax) await pause(2)
  }
  while ((await runner.lag()) > 0) await pause(2)
  await deliveries.drain()
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  clearInterval(sampler)

  const counters = runner.counters()
  const counted = (name: string): number => counters.get(name) ?? 0
  if (counted('raw.events') !== events)
    throw new Error(`${events} events went in, ${counted('raw.events')} were processed`)
  const { delivered } = deliveries
  await deliveries.close()
  await runner.stop(0)
  return {
    events,
    seconds: Math.round(seconds * 100) / 100,
    eventsPerSecond: Math.round(events / seconds),
    cpuSeconds: Math.round((user + system) / 10_000) / 100,
    cpuMicrosPerEvent: Math.round((user + system) / events),
    rssMiB: Math.round(peak / 1024 ** 2),
    profiles: counted('profiles.created') - counted('merges'),
    transitions: counted('entered') + counted('exited'),
    delivered,
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

boundHeap()
const [traffic, folder, threads] = process.argv.slice(2)
console.log(JSON.stringify(await throughput(traffic!, folder!, threads === 'shared' ? 'shared' : 'apart')))
process.exit(0)
