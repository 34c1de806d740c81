/**
 * One history, loaded twice: by one process that runs the tasks itself, and on a simulated cluster, whose tasks run side by
 * side, each in batches of its own, and are killed as the load is. Whatever the one wrote the other has to write.
 */
import { createHash } from 'node:crypto'
import { TasksElsewhere } from '../../cli/cluster/tasks-elsewhere.ts'
import { type FeedItem, type FeedTurns, feed, noTurns } from '../../cli/feed.ts'
import { exampleWorkspace } from '../../cli/package.ts'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { applyDefinitions, DefinitionReader } from '../../runtime/definitions.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { MemoryLog } from '../../runtime/memory/log.ts'
import { Random } from '../../runtime/random.ts'
import { controlKinds } from '../../runtime/record.ts'
import { Runner } from '../../runtime/runner.ts'
import { stageOf } from '../../runtime/stage.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { defaultLimits, Task, type TaskParts } from '../../runtime/task.ts'
import { allTopics, inboxOf, type Topology, taskName } from '../../runtime/topology.ts'
import { Turns, tasksHere } from '../../runtime/turns.ts'
import type { MembershipTransition } from '../../schemas/avro/types.ts'
import { generateTraffic } from '../../sources/traffic/traffic.ts'
import { customerData } from '../../topologies/customer-data.ts'
import { manifestOf } from '../../workspace/manifest.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { tangle } from './tangle.ts'
import { assembleDefinitions } from './topology.ts'

const dayMs = 24 * 3600 * 1000
const startMs = Date.UTC(2026, 0, 5)
const quietMs = 400 * dayMs
const tenants = ['north', 'south']

/** What a load has written, in order: of the inboxes by partition, turns left out, and of each member by segment and profile. */
export type Loaded = {
  readonly inboxes: ReadonlyMap<string, readonly string[]>
  readonly memberships: ReadonlyMap<string, readonly string[]>
  readonly merges: number
  readonly refused: number
  /** Tasks and loads that were killed. */
  readonly kills: number
}

/** `free`: on the cluster, and the tasks do not wait for turns. */
export type Manner = 'here' | 'cluster' | 'free'

export async function loadHistory(seed: number, manner: Manner): Promise<Loaded> {
  const random = new Random('history', seed)
  const partitions = { identify: random.between(2, 4), graph: random.between(1, 2), profile: random.between(2, 3) }
  const items = itemsOf(seed, random)
  const workspace = await loadWorkspace(exampleWorkspace)
  const topology = customerData(
    workspace.destinations.map(({ id }) => id),
    partitions,
  )
  const codec = new Codec(fixedSchemaIds())
  const world = new World(topology, codec, new Random('world', seed), manner)
  await world.log.createTopics(allTopics(topology))
  const reader = new DefinitionReader(world.log, codec, assembleDefinitions)
  for (const tenant of tenants) {
    const { records } = manifestOf({ ...workspace, tenant })
    await applyDefinitions({ topology, log: world.log, codec, reader, records, logTimeMs: startMs })
  }
  const load = (turns: FeedTurns, onAppend: () => void) =>
    feed(
      { log: world.log, codec, topology, turns },
      { id: 'history', items, endMs: (lastMs) => lastMs + quietMs, onAppend },
    )
  if (manner === 'here') await world.loadHere(reader, load)
  else await world.loadOnCluster(reader, load)
  return world.loaded()
}

type Load = (turns: FeedTurns, onAppend: () => void) => Promise<unknown>

class World {
  readonly log: MemoryLog
  readonly #topology: Topology
  readonly #codec: Codec
  readonly #random: Random
  readonly #manner: Manner
  #counters: (readonly ReadonlyMap<string, number>[])[] = []
  #kills = 0

  constructor(topology: Topology, codec: Codec, random: Random, manner: Manner) {
    this.#topology = topology
    this.#codec = codec
    this.#random = random
    this.#manner = manner
    this.log = new MemoryLog(
      manner === 'here' ? {} : { markers: true, faults: { marker: () => this.#a(0.3, () => pause(random.below(6))) } },
    )
  }

  async loadHere(definitions: DefinitionReader, load: Load): Promise<void> {
    const { log } = this
    const [topology, codec] = [this.#topology, this.#codec]
    const parts = { topology, log, codec, definitions, limits: defaultLimits, observer: {} }
    const runner = await Runner.start({ ...parts, stores: new MemoryStores() })
    await load(new Turns({ log, codec, topology, tasks: tasksHere(runner.tasks) }), () => {})
    this.#counters.push(runner.tasks.map(({ counters }) => counters))
  }

  async loadOnCluster(definitions: DefinitionReader, load: Load): Promise<void> {
    const { log } = this
    const [topology, codec, random] = [this.#topology, this.#codec, this.#random]
    const over = new AbortController()
    const running = topology.stages.flatMap(({ name }) =>
      Array.from({ length: stageOf(topology, name).inbox.partitions }, (_, partition) =>
        this.#run(name, partition, definitions, over.signal),
      ),
    )
    for (let killed = true; killed; ) {
      const tasks = new TasksElsewhere({ log, codec, topology }, () => {})
      const turns = new Turns({
        log,
        codec,
        topology,
        tasks: {
          progress: (task) => tasks.progress(task),
          past: async (task, offset) => {
            this.#perhapsKill(0.02)
            await tasks.past(task, offset)
          },
        },
      })
      killed = false
      await load(this.#manner === 'free' ? noTurns : turns, () => this.#perhapsKill(0.1)).catch((error) => {
        if (!(error instanceof Killed)) throw error
        killed = true
      })
    }
    for (const { stage, partition } of this.#places())
      while (await this.#hasUnread(stage, partition)) await pause(random.between(1, 5))
    over.abort()
    this.#counters.push(await Promise.all(running))
  }

  /** A task, as its process runs it: in batches of any size, killed now and then, and taken up from what is committed. */
  async #run(
    name: string,
    partition: number,
    definitions: DefinitionReader,
    over: AbortSignal,
  ): Promise<ReadonlyMap<string, number>> {
    const random = this.#random
    const stores = new MemoryStores()
    let open = true
    const parts: Omit<TaskParts, 'store'> = {
      stage: stageOf(this.#topology, name),
      partition,
      log: this.log,
      codec: this.#codec,
      definitions,
      limits: defaultLimits,
      observer: { at: () => (open ? this.#perhapsKill(0.002) : undefined) },
    }
    const start = async () => Task.start({ ...parts, store: await stores.open(taskName(name, partition)) })
    let task = await start()
    while (!over.aborted) {
      await pause(random.between(1, 4))
      try {
        if (await task.isItsTurn()) await task.step(random.pick([1, 7, 50, 1000]))
      } catch (error) {
        if (!(error instanceof Killed) && !(error instanceof MillraceError && error.retryable)) throw error
        task = await start()
      }
    }
    open = false
    return task.counters
  }

  async #hasUnread(stage: string, partition: number): Promise<boolean> {
    const parts = { log: this.log, codec: this.#codec, topology: this.#topology }
    const { inputOffset } = await new TasksElsewhere(parts, () => {}).progress(taskName(stage, partition))
    const topic = stageOf(this.#topology, stage).inbox.name
    return inputOffset < (await this.log.ends(topic, partition)).end
  }

  loaded(): Loaded {
    const inboxes = new Map<string, readonly string[]>()
    for (const { stage, partition } of this.#places()) {
      const { name } = stageOf(this.#topology, stage).inbox
      const records = this.log.records(name, partition).filter(({ kind }) => kind !== controlKinds.turn)
      inboxes.set(
        `${name}/${partition}`,
        records.map(({ kind, key, value, timestampMs }) => `${kind} ${key} ${timestampMs} ${digest(value)}`),
      )
    }
    const memberships = new Map<string, string[]>()
    const topic = this.#topology.topics.find(({ name }) => name === 'segments.memberships')!
    for (let partition = 0; partition < topic.partitions; partition++) {
      for (const { key, value } of this.log.records(topic.name, partition)) {
        const { segmentId } = this.#codec.decode('MembershipTransition', value!) as MembershipTransition
        const of = `${key} ${segmentId}`
        memberships.set(of, [...(memberships.get(of) ?? []), digest(value)])
      }
    }
    const counted = (name: string): number =>
      this.#counters.flat().reduce((sum, counters) => sum + (counters.get(name) ?? 0), 0)
    const [merges, refused] = [counted('merges'), counted('merges.refused')]
    return { inboxes, memberships: new Map([...memberships].sort()), merges, refused, kills: this.#kills }
  }

  #places(): readonly { readonly stage: string; readonly partition: number }[] {
    return this.#topology.stages.flatMap((stage) =>
      Array.from({ length: inboxOf(this.#topology, stage).partitions }, (_, partition) => ({
        stage: stage.name,
        partition,
      })),
    )
  }

  #perhapsKill(probability: number): void {
    if (!this.#random.chance(probability)) return
    this.#kills++
    throw new Killed()
  }

  #a<Made>(probability: number, make: () => Made): Made | undefined {
    return this.#random.chance(probability) ? make() : undefined
  }
}

/** Where two loads come apart, partition by partition and member by member: the first place of each. */
export function differencesOf(a: Loaded, b: Loaded): string[] {
  return (['inboxes', 'memberships'] as const).flatMap((what) =>
    [...new Set([...a[what].keys(), ...b[what].keys()])].flatMap((name) => {
      const [left, right] = [a[what].get(name) ?? [], b[what].get(name) ?? []]
      const at = Array.from({ length: Math.max(left.length, right.length) }, (_, i) => i).find(
        (i) => left[i] !== right[i],
      )
      return at === undefined ? [] : [`${name} at ${at} of ${left.length}: ${left[at]} is ${right[at]}`]
    }),
  )
}

const digest = (value: Buffer | null): string =>
  createHash('sha256')
    .update(value ?? '')
    .digest('hex')
    .slice(0, 16)

class Killed extends Error {}

/** A shop of two tenants; log-ins, second devices, shared ones. */
function itemsOf(seed: number, random: Random): readonly FeedItem[] {
  const items = tenants.flatMap((tenant, i) =>
    random.chance(0.6)
      ? tangle({ seed, tenant, startMs, events: 250, minutes: random.pick([10, 300, 60_000]) })
      : [
          ...generateTraffic({
            seed: seed * 2 + i,
            events: 600,
            visitors: random.between(5, 60),
            tenant,
            startMs,
            days: random.pick([1, 5, 40]),
          }),
        ],
  )
  return items.sort((a, b) => a.logTimeMs - b.logTimeMs)
}

async function pause(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve))
}
