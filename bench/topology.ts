/** The whole topology on the embedded log: each figure is taken in a process of its own, over a folder of its own. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Budget } from './budget.ts'
import type { LatencyFigures } from './latency.ts'
import type { ThroughputFigures } from './throughput.ts'
import { writeTraffic } from './traffic-file.ts'

export type TopologyFigures = {
  readonly eventsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly rssMiB: number
  readonly cpuSeconds: number
  readonly throughput: ThroughputFigures
  readonly latency: LatencyFigures
  readonly budget: Budget
}

export async function benchTopology(options: {
  readonly events: number
  readonly visitors: number
  readonly seconds: number
  readonly threads: string
}): Promise<TopologyFigures> {
  const { events, visitors, seconds, threads } = options
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  try {
    const traffic = join(folder, 'traffic')
    await writeTraffic(traffic, { events, visitors })
    const throughput = await inProcess<ThroughputFigures>('throughput', [traffic, join(folder, 'throughput'), threads])
    const budget = await inProcess<Budget>('budget', [
      traffic,
      join(folder, 'budget'),
      String(Math.min(events, 50_000)),
    ])
    const latency = await inProcess<LatencyFigures>('latency', [join(folder, 'latency'), String(seconds), threads])
    const { eventsPerSecond, rssMiB, cpuSeconds } = throughput
    return {
      eventsPerSecond,
      p50Ms: latency.p50Ms,
      p99Ms: latency.p99Ms,
      rssMiB,
      cpuSeconds,
      throughput,
      latency,
      budget,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs a module of this folder as a program, with room for young objects as bin/millrace has; reads its one JSON line. */
function inProcess<Figures>(module: string, args: readonly string[]): Promise<Figures> {
  const file = fileURLToPath(new URL(`./${module}.js`, import.meta.url))
  const child = spawn(process.execPath, ['--max-semi-space-size=32', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk
    })
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`bench ${module} ended with code ${code}`)),
    )
  })
}

export function printTopology({ throughput, latency, budget, rssMiB }: TopologyFigures): string {
  const lines = [
    `throughput  ${throughput.eventsPerSecond} events/s: ${throughput.events} events in ${throughput.seconds} s, ${throughput.cpuMicrosPerEvent} µs of processor time an event, peak RSS ${rssMiB} MiB`,
    `latency     p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms, collector to connector at ${latency.eventsPerSecond} events/s (${latency.deliveries} deliveries)`,
    '',
    'budget of an event, one step at a time:',
    '',
    '| stage | log records | of them | µs |',
    '| --- | ---: | --- | ---: |',
    ...budget.stages.map(
      ({ stage, logRecords, topics, micros }) => `| ${stage} | ${logRecords} | ${topics} | ${micros} |`,
    ),
    `| **all** | **${budget.logRecords}** | share of events through GRAPH: ${Math.round(100 * budget.graphShare)} % | **${budget.micros}** |`,
  ]
  return lines.join('\n')
}
