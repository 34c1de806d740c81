/** A month of a made-up shop, run through the whole topology in its own time, to the end. */
import { createHash } from 'node:crypto'
import { invariant } from '../runtime/errors.ts'
import { topicOf } from '../runtime/topology.ts'
import { Turns, tasksHere } from '../runtime/turns.ts'
import { generateTraffic } from '../sources/traffic/traffic.ts'
import { Deliveries } from './deliveries.ts'
import { openEngine } from './engine.ts'
import { feed, requireOnlyFeed } from './feed.ts'
import { Latency, type Quantiles } from './latency.ts'
import { profilesDigest } from './profiles-digest.ts'
import { type Totals, totalsOf } from './totals.ts'
import { longestWindowMs } from './windows.ts'

export type DemoOptions = {
  readonly events: number
  readonly visitors: number
  readonly seed: number
  readonly dataFolder: string
  readonly workspaceFolder: string
  /** Called with the number of events that are through. */
  readonly onProgress?: (events: number) => void
}

export type DemoResult = Totals & {
  /** Activations that the destinations have taken. */
  readonly delivered: number
  /** Of this process, from the first event to the last delivery. */
  readonly seconds: number
  readonly eventsPerSecond: number
  /** From the append of a chunk of events to the commit of the batch in stage `profile` that processed an event of it. */
  readonly latencyMs: Quantiles
  readonly profilesDigest: string
}

const dayMs = 24 * 3600 * 1000
const startMs = Date.UTC(2024, 0, 1)
/** Beyond the longest window: duplicates are known for seven days, and one more day is for those at the edge. */
const quietDays = 8

/**
 * Runs the demo, or goes on with one that was interrupted in the folder: same options, same counts and profiles.
 * INPUT_INVALID when the folder holds another demo.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { events, visitors, seed, dataFolder, workspaceFolder, onProgress } = options
  const latency = new Latency()
  let appendedAt = performance.now()
  const engine = await openEngine({
    dataFolder,
    workspaceFolder,
    tenantKey: createHash('sha256').update(`millrace demo ${seed}`).digest(),
    logTimeMs: startMs,
    observer: {
      committed(task, { records }) {
        if (task.startsWith('profile/')) latency.record(performance.now() - appendedAt, records)
      },
    },
    log: { sync: false, now: () => startMs },
  })
  let deliveries: Deliveries | undefined
  try {
    const { log, codec, runner, topology, workspace } = engine
    const id = `demo events=${events} visitors=${visitors} seed=${seed}`
    await requireOnlyFeed(log, codec, id)
    deliveries = await Deliveries.start(engine, { env: process.env, receiver: 'always' })
    deliveries.run()
    const windowMs = longestWindowMs(workspace)
    const startedAt = performance.now()
    const turns = new Turns({ ...engine, tasks: tasksHere(runner.local) })
    const fed = await feed(
      { ...engine, turns },
      {
        id,
        items: generateTraffic({ seed, events, visitors, tenant: workspace.tenant, startMs, days: 30 }),
        endMs: (lastMs) => lastMs + windowMs + quietDays * dayMs,
        onAppend: () => {
          appendedAt = performance.now()
        },
        ...(onProgress && { onProgress }),
      },
    )
    await deliveries.drain()
    const seconds = (performance.now() - startedAt) / 1000

    const totals = totalsOf(runner.tasks)
    invariant(totals.events === fed.items, `each of ${fed.items} events was taken once, not ${totals.events}`)
    const accepted = runner.counters().get('accepted') ?? 0
    invariant(
      totals.dead > 0 || accepted === totals.valid,
      `all ${totals.valid} valid events were accepted, not ${accepted}`,
    )
    return {
      ...totals,
      delivered: deliveries.delivered,
      seconds: rounded(seconds),
      eventsPerSecond: Math.round((fed.items - fed.resumedAt) / seconds),
      latencyMs: latency.quantiles() ?? { p50: 0, p95: 0, p99: 0 },
      profilesDigest: await profilesDigest(log, codec, topicOf(topology, 'profiles').partitions),
    }
  } finally {
    await deliveries?.close()
    await engine.close()
  }
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000
