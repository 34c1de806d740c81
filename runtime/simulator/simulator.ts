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
import { decodeRow } from '../row.ts'
import { rowKey } from '../rows.ts'
import { type Stage, stageOf } from '../stage.ts'
import { MemoryStores, type StoreSnapshot } from '../stores/memory.ts'
import { defaultLimits, Task, type TaskLimits } from '../task.ts'
import { allTopics, changelogOf, deadOf, type Topology, taskName, topicOf } from '../topology.ts'
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
    differences.push(...compareOutputs(seat, topology, log, folded))
    differences.push(...(await compareStore(seat, log, stores, codec, folded)))
    differences.push(...compareCounters(seat, folded))
    differences.push(...(await compareBatches(seat, inbox, codec, definitions)))
  }
  return { log, counters, marks, differences }
}

/** Append-only topics hold exactly what the fold emits, in its order; compacted ones end at the same values. */
function compareOutputs(seat: Seat, topology: Topology, log: MemoryLog, folded: Folded): string[] {
  const differences: string[] = []
  const names = new Set([
    ...seat.stage.topics.keys(),
    seat.stage.inbox.name,
    deadOf(seat.stage.name),
    ...seat.stage.downstream.map(({ name }) => name),
  ])
  for (const name of names) {
    const dead = name === deadOf(seat.stage.name)
    const { partitions, cleanup } = dead
      ? { partitions: seat.stage.inbox.partitions, cleanup: 'delete' }
      : topicOf(topology, name)
    for (let partition = 0; partition < partitions; partition++) {
      const actual = log.records(name, partition).filter(({ writer }) => writer === seat.name)
      const expected = folded.outputs.filter((output) => output.topic === name && output.partition === partition)
      const where = `${seat.name} → ${name}/${partition}`
      const difference =
        cleanup === 'compact'
          ? differ(where, lastByKey(actual).map(printRecord), lastByKey(expected).map(printRecord))
          : differ(where, actual.map(dead ? printPlace : printRecord), expected.map(dead ? printPlace : printRecord))
      if (difference) differences.push(difference)
    }
  }
  return differences
}

/** The store, and the fold of the changelog, hold exactly the rows of the fold. */
async function compareStore(
  seat: Seat,
  log: MemoryLog,
  stores: MemoryStores,
  codec: Codec,
  folded: Folded,
): Promise<string[]> {
  const expected = [...folded.rows].map(([key, row]) => {
    const timers = [...row.timers].map(([id, atMs]) => `${id}@${atMs}`).sort()
    const states = seat.stage.stateful.map(({ name, state }) =>
      row.states.has(name) ? codec.encode(state, row.states.get(name) as never).toString('base64') : '',
    )
    return `${key} ${row.clockMs} ${row.indexedAtMs} ${timers} ${states}`
  })
  const print = (key: string, bytes: Buffer): string => {
    const row = decodeRow(bytes, seat.stage.stateful, codec)
    const timers = row.timers.map(({ id, atMs }) => `${id}@${atMs}`).sort()
    const states = seat.stage.stateful.map(
      ({ state }, place) => row.sections[place]?.bytes(codec, state).toString('base64') ?? '',
    )
    return `${key} ${row.clockMs} ${row.indexedAtMs} ${timers} ${states}`
  }
  const stored = [...stores.snapshot(seat.name.replace('/', '-'))]
    .filter(([key]) => key.startsWith(rowKey('')))
    .map(([key, bytes]) => print(key.slice(1), bytes))
  const changelog = lastByKey(log.records(changelogOf(seat.stage.name), seat.partition)).flatMap(
    ({ kind, key, value }) => (kind === 'row' && value ? [print(key, value)] : []),
  )
  return [
    differ(`${seat.name}: store`, stored.sort(), expected.sort()),
    differ(`${seat.name}: changelog`, changelog.sort(), expected),
  ].filter((difference) => difference !== undefined)
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

/** Order counts within a partition only. */
function byPlace(printed: readonly string[]): string[] {
  const place = (text: string): string => text.slice(0, text.indexOf(' '))
  return printed
    .map((text, i) => ({ text, i }))
    .sort((a, b) => (place(a.text) === place(b.text) ? a.i - b.i : place(a.text) < place(b.text) ? -1 : 1))
    .map(({ text }) => text)
}

function lastByKey<Of extends { readonly key: string; readonly kind: string }>(records: readonly Of[]): Of[] {
  const last = new Map<string, Of>()
  for (const record of records) last.set(`${record.kind}|${record.key}`, record)
  return [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
}

const printRecord = ({ kind, key, value, timestampMs }: Omit<StoredRecord, 'offset'>): string =>
  `${kind} ${key} @${timestampMs} ${value?.toString('base64') ?? 'null'}`
const printPlace = ({ kind, key, timestampMs }: Omit<StoredRecord, 'offset'>): string =>
  `${kind} ${key} @${timestampMs}`
const printAddressed = (record: AddressedRecord): string => `${record.topic}/${record.partition} ${printRecord(record)}`

/** Says where two lists first differ; undefined when they are the same. */
function differ(where: string, actual: readonly string[], expected: readonly string[]): string | undefined {
  const at = actual.findIndex((line, i) => line !== expected[i])
  if (at < 0 && actual.length === expected.length) return undefined
  const place = at < 0 ? actual.length : at
  return `${where}: ${actual.length} against ${expected.length} expected; at ${place}: ${shorten(actual[place])} against ${shorten(expected[place])}`
}

function shorten(line: string | undefined): string {
  if (line === undefined) return 'nothing'
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}
