/** What an event costs in each stage: log records and processor time, one step at a time so that each is its stage's own. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openEngine } from '../cli/engine.ts'
import { boundHeap } from '../cli/heap.ts'
import { topicOf } from '../runtime/topology.ts'
import { addressed } from './feeder.ts'
import { startMs } from './traffic-file.ts'

export type Budget = {
  readonly events: number
  readonly stages: readonly {
    readonly stage: string
    readonly logRecords: number
    readonly topics: string
    readonly micros: number
  }[]
  readonly logRecords: number
  readonly micros: number
  /** Events that went through GRAPH, of all that were accepted. */
  readonly graphShare: number
}

/** Not counted: V8 compiles all the while, some five seconds of processor time, however long a run is. */
const warmUpEvents = 30_000
const retail = fileURLToPath(new URL('../../examples/retail', import.meta.url))

async function budget(traffic: string, folder: string, eventsMax: number): Promise<Budget> {
  const written = new Map<string, Map<string, number>>()
  const engine = await openEngine({
    dataFolder: folder,
    workspaceFolder: retail,
    tenantKey: createHash('sha256').update('bench').digest(),
    logTimeMs: startMs,
    log: { sync: false, now: () => startMs },
    observer: {
      committed(task, { outputs, changelog }) {
        const stage = task.slice(0, task.indexOf('/'))
        const topics = written.get(stage) ?? new Map<string, number>()
        written.set(stage, topics)
        for (const { topic, kind } of outputs) {
          const name = kind === 'tick' ? 'ticks' : topic.startsWith('connect.') ? 'connect.*' : topic
          topics.set(name, (topics.get(name) ?? 0) + 1)
        }
        topics.set('changelog', (topics.get('changelog') ?? 0) + changelog)
      },
    },
  })
  const { log, codec, runner, topology } = engine
  const micros = new Map<string, number>()
  const timed = async <Value>(stage: string, work: () => Promise<Value>): Promise<Value> => {
    const before = process.cpuUsage()
    const value = await work()
    const { user, system } = process.cpuUsage(before)
    micros.set(stage, (micros.get(stage) ?? 0) + user + system)
    return value
  }
  let events = 0
  let before = { accepted: 0 }
  let warm = false
  for await (const chunk of addressed(traffic, codec, topicOf(topology, 'events.raw').partitions, 1000)) {
    if (!warm && events >= warmUpEvents) {
      warm = true
      events = 0
      written.clear()
      micros.clear()
      before = { accepted: acceptedBy(runner.counters()) }
    }
    events += chunk.events
    await timed('source', () => log.append(chunk.records))
    const tasks = runner.local
    for (let i = 0; i < tasks.length; ) {
      const task = tasks[i]!
      const stepped = await timed(task.name.slice(0, task.name.indexOf('/')), () => task.step())
      i = stepped > 0 ? 0 : i + 1
    }
    if (warm && events >= eventsMax) break
  }
  written.set('source', new Map([['events.raw', events]]))
  const counters = runner.counters()
  await engine.close()

  const stages = ['source', ...topology.stages.map(({ name }) => name)].map((stage) => {
    const topics = [...(written.get(stage) ?? [])].sort(([, a], [, b]) => b - a)
    return {
      stage,
      logRecords: perEvent(
        topics.reduce((sum, [, count]) => sum + count, 0),
        events,
      ),
      topics: topics.map(([topic, count]) => `${topic} ${perEvent(count, events)}`).join(', '),
      micros: Math.round((micros.get(stage) ?? 0) / events),
    }
  })
  return {
    events,
    stages,
    logRecords: perEvent(
      stages.reduce((sum, { logRecords }) => sum + logRecords * events, 0),
      events,
    ),
    micros: stages.reduce((sum, stage) => sum + stage.micros, 0),
    graphShare: perEvent(written.get('graph')?.get('events.identified') ?? 0, acceptedBy(counters) - before.accepted),
  }
}

function acceptedBy(counters: ReadonlyMap<string, number>): number {
  return counters.get('accepted') ?? 0
}

function perEvent(count: number, events: number): number {
  return Math.round((100 * count) / events) / 100
}

boundHeap()
const [traffic, folder, events] = process.argv.slice(2)
console.log(JSON.stringify(await budget(traffic!, folder!, Number(events))))
process.exit(0)
