/**
 * Runs a whole topology in memory under one seed: records arrive across partitions in random order, tasks take batches
 * of random size and are killed at every point of their loop and while they restore, answers to commits get lost, store
 * folders are stale or gone. Then everything is let finish, and every output and every store is compared with a plain
 * fold of the inboxes, and with what the same inboxes give in batches of 1, 7 and 1,000.
 */
import type { Codec } from '../codec.ts'
import { type Assemble, DefinitionReader } from '../definitions.ts'
import { MillraceError } from '../errors.ts'
import { MemoryLog, type Passage } from '../memory/log.ts'
import type { DefinitionsHead } from '../operator.ts'
import { Random } from '../random.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import { type Stage, stageOf } from '../stage.ts'
import { MemoryStores, type StoreSnapshot } from '../stores/memory.ts'
import { defaultLimits, Task, type TaskLimits } from '../task.ts'
import { allTopics, changelogOf, type Topology, taskName } from '../topology.ts'
import {
  byPlace,
  compareOutputs,
  compareRows,
  differ,
  lastByKey,
  printAddressed,
  rowsOfChangelog,
  rowsOfStore,
} from './compare.ts'
import { type Folded, fold } from './fold.ts'
import { replay } from './replay.ts'

export type SimulationParts = {
  readonly seed: number
  readonly topology: Topology
  readonly codec: Codec
  readonly assemble: Assemble
  /** Brings definitions into force before anything else; called once with the simulated log. */
  readonly prepare: (log: MemoryLog, reader: DefinitionReader) => Promise<void>
  /** In the order in which each partition receives them. */
  readonly input: readonly AddressedRecord[]
  readonly faults: FaultRates
}

export type FaultRates = {
  /** Per point of the task loop. */
  readonly kill: number
  /** Per commit: the answer is lost, before or after it took effect. */
  readonly lostAnswer: number
  /** Per restart: the store is an older one, or empty. */
  readonly staleStore: number
}

export const someFaults: FaultRates = { kill: 0.02, lostAnswer: 0.02, staleStore: 0.3 }

/** How often each rare branch was taken. */
export type Marks = Record<
  'kill' | 'lostBefore' | 'lostAfter' | 'killInRestore' | 'staleStore' | 'lostStore' | 'repaired' | 'sweep',
  number
>

export type Simulation = {
  readonly log: MemoryLog
  readonly counters: ReadonlyMap<string, number>
  readonly marks: Marks
  /** Each says where the run and its oracle differ; empty when all is well. */
  readonly differences: readonly string[]
}

class Kill extends Error {}

type Seat = {
  readonly stage: Stage
  readonly partition: number
  readonly name: string
  task: Task | undefined
  snapshots: StoreSnapshot[]
}

const limits: TaskLimits = {
  ...defaultLimits,
  cachedBytesMax: 16 * 1024,
  timersPerSlice: 5,
  deadPerMinuteMax: Number.MAX_SAFE_INTEGER,
}

export async function simulate(parts: SimulationParts): Promise<Simulation> {
  const { topology, codec, input, faults } = parts
  const random = new Random('simulate', parts.seed)
  const marks: Marks = {
    kill: 0,
    lostBefore: 0,
    lostAfter: 0,
    killInRestore: 0,
    staleStore: 0,
    lostStore: 0,
    repaired: 0,
    sweep: 0,
  }
  let faulty = false
  const strikes = (mark: keyof Marks, rate: number): boolean => {
    if (!faulty || !random.chance(rate)) return false
    marks[mark]++
    return true
  }
  const kill = (mark: keyof Marks): void => {
    if (strikes(mark, faults.kill)) throw new Kill(mark)
  }
  const end = (): Passage | undefined => {
    if (strikes('lostBefore', faults.lostAnswer / 2)) return { kind: 'lost' }
    return strikes('lostAfter', faults.lostAnswer / 2) ? { kind: 'unanswered' } : undefined
  }
  let restoring = false
  const log = new MemoryLog({
    markers: random.chance(0.5),
    faults: { end },
  })
  const stores = new MemoryStores({
    faults: { beforeWrite: () => kill(restoring ? 'killInRestore' : 'kill') },
  })
  await log.createTopics(allTopics(topology))
  const definitions = new DefinitionReader(log, codec, parts.assemble)
  await parts.prepare(log, definitions)

  const seats = topology.stages.flatMap(({ name }): Seat[] => {
    const stage = stageOf(topology, name)
    return Array.from({ length: stage.inbox.partitions }, (_, partition) => ({
      stage,
      partition,
      name: taskName(name, partition),
      task: undefined,
      snapshots: [],
    }))
  })

  /** Starts the task where a kill has left it; killed in the middle of that, tries again. */
  const start = async (seat: Seat): Promise<Task> => {
    const folder = seat.name.replace('/', '-')
    for (;;) {
      if (faulty && random.chance(faults.staleStore)) {
        const stale = seat.snapshots.length > 0 && random.chance(0.7)
        marks[stale ? 'staleStore' : 'lostStore']++
        stores.replace(folder, stale ? random.pick(seat.snapshots) : new Map())
      }
      try {
        restoring = true
        const store = await stores.open(folder)
        return await Task.start({
          stage: seat.stage,
          partition: seat.partition,
          log,
          store,
          codec,
          definitions,
          limits,
          observer: { at: () => kill('kill') },
        })
      } catch (error) {
        if (!(error instanceof Kill)) throw error
      } finally {
        restoring = false
      }
    }
  }

  const step = async (seat: Seat): Promise<number> => {
    try {
      seat.task ??= await start(seat)
      const stepped = await seat.task.step(random.pick([1, 2, 7, 50]))
      if (random.chance(0.05)) {
        seat.snapshots = [...seat.snapshots.slice(-2), stores.snapshot(seat.name.replace('/', '-'))]
      }
      return stepped
    } catch (error) {
      const passing = error instanceof Kill || (error instanceof MillraceError && error.code === 'COMMIT_UNKNOWN')
      if (!passing) throw error
      seat.task = undefined
      marks.repaired++
      return 1
    }
  }

  // Safety: input and work interleave at random, under faults.
  faulty = true
  let next = 0
  while (next < input.length) {
    if (random.chance(0.3)) {
      const chunk = input.slice(next, next + random.between(1, 20))
      next += chunk.length
      await log.append(chunk)
    } else {
      await step(random.pick(seats))
    }
  }
  // Then all heals, and must catch up.
  faulty = random.chance(0.5)
  for (let idle = 0; idle < 400; ) {
    if (idle > 50) faulty = false
    idle = (await step(random.pick(seats))) > 0 ? 0 : idle + 1
  }
  faulty = false
  for (let moved = true; moved; ) {
    moved = false
    for (const seat of seats) while ((await step(seat)) > 0) moved = true
  }

  const differences: string[] = []
  const counters = new Map<string, number>()
  const resolved = new Map<string, DefinitionsHead>()
  for (const seat of seats) {
    const inbox = log.records(seat.stage.inbox.name, seat.partition)
    marks.sweep += inbox.filter(({ kind }) => kind === 'sweep').length
    for (const { kind, value } of inbox) {
      if (kind !== 'marker' || !value) continue
      const { tenant, hash } = codec.decode('Marker', value)
      resolved.set(`${tenant}/${hash}`, await definitions.resolve(tenant, hash))
    }
    const folded = fold({
      ...seat,
      inbox,
      codec,
      definitionsOf: (tenant, hash) => resolved.get(`${tenant}/${hash}`)!,
      timersPerSlice: limits.timersPerSlice,
    })
    for (const [name, by] of seat.task?.counters ?? []) counters.set(name, (counters.get(name) ?? 0) + by)
    const stored = rowsOfStore(stores.snapshot(seat.name.replace('/', '-')))
    const changelog = rowsOfChangelog(log.records(changelogOf(seat.stage.name), seat.partition))
    differences.push(...compareOutputs(seat.stage, seat.partition, log.records.bind(log), folded))
    differences.push(...compareRows(`${seat.name}: store`, seat.stage, stored, codec, folded))
    differences.push(...compareRows(`${seat.name}: changelog`, seat.stage, changelog, codec, folded))
    differences.push(...compareCounters(seat, folded))
    differences.push(...(await compareBatches(seat, inbox, codec, definitions)))
  }
  return { log, counters, marks, differences }
}

function compareCounters(seat: Seat, folded: Folded): string[] {
  const print = (counters: ReadonlyMap<string, number> | undefined): string[] =>
    [...(counters ?? [])].map(([name, by]) => `${name}=${by}`).sort()
  const difference = differ(`${seat.name}: counters`, print(seat.task?.counters), print(folded.counters))
  return difference ? [difference] : []
}

/** Reading the inbox again gives the same bytes, however it is cut into batches. */
async function compareBatches(
  seat: Seat,
  inbox: readonly StoredRecord[],
  codec: Codec,
  definitions: DefinitionReader,
): Promise<string[]> {
  const compacted = [...seat.stage.topics.values()]
    .filter(({ cleanup }) => cleanup === 'compact')
    .map(({ name }) => name)
  const runs = []
  for (const recordsMax of [1, 7, 1000]) {
    const { outputs } = await replay({ ...seat, inbox, codec, definitions, limits, recordsMax })
    const appended = outputs.filter(({ topic }) => !compacted.includes(topic)).map(printAddressed)
    const last = lastByKey(outputs.filter(({ topic }) => compacted.includes(topic))).map(printAddressed)
    runs.push([...byPlace(appended), ...last.sort()])
  }
  return [
    differ(`${seat.name}: batches of 7 and 1`, runs[1]!, runs[0]!),
    differ(`${seat.name}: batches of 1000 and 1`, runs[2]!, runs[0]!),
  ].filter((difference) => difference !== undefined)
}
