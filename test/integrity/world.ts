/** What a deployment leaves behind, made in memory: the production topology, fed and drained, with a standby of each store. */
import { feed } from '../../cli/feed.ts'
import { exampleWorkspace } from '../../cli/package.ts'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { applyDefinitions, DefinitionReader } from '../../runtime/definitions.ts'
import { MemoryLog, type WrittenRecord } from '../../runtime/memory/log.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import { controlKinds } from '../../runtime/record.ts'
import { Restore } from '../../runtime/restore.ts'
import { Runner } from '../../runtime/runner.ts'
import { stageOf } from '../../runtime/stage.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { type DefinitionSource, defaultLimits } from '../../runtime/task.ts'
import { allTopics, type Topology, taskName } from '../../runtime/topology.ts'
import { Turns, tasksHere } from '../../runtime/turns.ts'
import { generateTraffic } from '../../sources/traffic/traffic.ts'
import { customerData, embeddedPartitions } from '../../topologies/customer-data.ts'
import { definitionsFrom, manifestOf } from '../../workspace/manifest.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import type { AuditParts } from './audit.ts'
import { type Copy, copyOf } from './copies.ts'
import { type Input, poison } from './source.ts'

/** All of it as values, to be changed in a copy. */
export type World = {
  readonly topology: Topology
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly input: Input
  /** By `topic/partition`. */
  readonly records: ReadonlyMap<string, readonly WrittenRecord[]>
  readonly stableEnds: ReadonlyMap<string, number>
  /** By task: the copy that ran, and its standby. */
  readonly copies: ReadonlyMap<string, readonly Copy[]>
}

const startMs = Date.UTC(2026, 0, 5)
const eventsPerPayload = 10
const tenantKey = new Uint8Array(32).fill(7)

/** A seed gives the same world. The first part of the events is a history, in its own log time, as in `inputOf`. */
export async function worldOf({ seed, events }: { readonly seed: number; readonly events: number }): Promise<World> {
  const workspace = await loadWorkspace(exampleWorkspace)
  const { tenant, destinations } = workspace
  const topology = customerData(destinations.map(({ id }) => id))
  const codec = new Codec(fixedSchemaIds())
  const log = new MemoryLog({ markers: true })
  const stores = new MemoryStores()
  await log.createTopics(allTopics(topology))
  const definitions = new DefinitionReader(log, codec, (manifest, bodies) =>
    definitionsFrom([manifest, ...bodies], tenantKey),
  )
  const { records } = manifestOf(workspace)
  await applyDefinitions({ topology, log, codec, reader: definitions, records, logTimeMs: startMs })
  // Small batches, so that many commits are there to be damaged.
  const limits = { ...defaultLimits, recordsMax: 7 }
  const runner = await Runner.start({ topology, log, stores, codec, definitions, limits, observer: {} })

  const visitors = Math.ceil(events / 12)
  const items = [...generateTraffic({ seed, events, visitors, tenant, startMs, days: 4 })]
  const cut = Math.round(events * 0.4)
  const history = items.slice(0, cut).map((item, i) => ({
    ...item,
    raw: { ...item.raw, source: 'ingest', payloadId: `history:${i + 1}` },
  }))
  const turns = new Turns({ log, codec, topology, tasks: tasksHere(runner.tasks) })
  await feed({ log, codec, topology, turns }, { id: 'history', items: history, endMs: (lastMs) => lastMs })
  const live = items.slice(cut)
  for (let i = 0; i < live.length; i += eventsPerPayload) {
    const payload = live.slice(i, i + eventsPerPayload)
    const timestampMs = payload.at(-1)!.logTimeMs
    await log.append(
      payload.map(({ raw, key }) => ({
        topic: 'events.raw',
        partition: partitionOf(key, embeddedPartitions.identify),
        kind: 'event',
        key,
        value: codec.encode('RawEvent', raw),
        timestampMs,
      })),
    )
    await log.append([{ ...poison(i), timestampMs }, ...ticksAt(timestampMs, codec)])
    await runner.drain()
  }

  const copies = new Map<string, readonly Copy[]>()
  const standbys = new MemoryStores()
  for (const { name } of topology.stages) {
    const stage = stageOf(topology, name)
    for (let partition = 0; partition < stage.inbox.partitions; partition++) {
      const task = taskName(name, partition)
      const store = await standbys.open(task)
      const restore = await Restore.open({ stage, partition, log, store, codec, observer: {} })
      await restore.toStableEnd(new AbortController().signal)
      copies.set(task, [
        await copyOf(`a/${task}`, await stores.open(task.replace('/', '-'))),
        await copyOf(`b/${task}`, store),
      ])
    }
  }
  const places = allTopics(topology).flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ name, partition, place: `${name}/${partition}` })),
  )
  const ends = await Promise.all(
    places.map(async ({ name, partition, place }) => [place, (await log.ends(name, partition)).stable] as const),
  )
  const bodiesOf = (some: readonly (typeof items)[number][]) => some.map(({ raw }) => raw.body)
  return {
    topology,
    codec,
    definitions,
    input: { history: bodiesOf(history), live: bodiesOf(live) },
    records: new Map(places.map(({ name, partition, place }) => [place, log.records(name, partition)])),
    stableEnds: new Map(ends),
    copies,
  }
}

/** The world as the audit reads it. */
export function auditPartsOf(world: World): AuditParts {
  const { records, stableEnds, copies } = world
  return {
    ...world,
    posted: { resent: 0 },
    remains: {
      async *read(topic, partition) {
        yield* records.get(`${topic}/${partition}`)!
      },
      stableEnd: async (topic, partition) => stableEnds.get(`${topic}/${partition}`)!,
      copies: async (stage, partition) => copies.get(taskName(stage, partition))!,
    },
  }
}

function ticksAt(clockMs: number, codec: Codec) {
  const value = codec.encode('Tick', { writer: 'source', clockMs })
  return Array.from({ length: embeddedPartitions.identify }, (_, partition) => ({
    topic: 'events.raw',
    partition,
    kind: controlKinds.tick,
    key: 'source',
    value,
    timestampMs: clockMs,
  }))
}
