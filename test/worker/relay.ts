/**
 * A small topology for tests of how tasks are hosted, and a fleet of workers over one log in memory, whose processes can
 * be killed, stopped and continued. Time is moved by hand.
 *
 *   in ─► relay: counts its key ─► mid ─► total: counts the group of keys, with timers ─► out
 */
import { type AssignmentSettings, defaultAssignment } from '../../runtime/assignment.ts'
import type { Clock } from '../../runtime/clock.ts'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import type { Coordinator } from '../../runtime/coordinator.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import type { Assignment } from '../../runtime/membership.ts'
import { HandClock } from '../../runtime/memory/clock.ts'
import { MemoryCoordinator } from '../../runtime/memory/coordinator.ts'
import { type LogFaults, MemoryLog, type WrittenRecord } from '../../runtime/memory/log.ts'
import { emit, type Inbound, type Operator, put, schedule } from '../../runtime/operator.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { fold } from '../../runtime/simulator/fold.ts'
import { Gate } from '../../runtime/simulator/gate.ts'
import { stageOf } from '../../runtime/stage.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { allTopics, changelogOf, defineTopology, taskName } from '../../runtime/topology.ts'
import { Worker } from '../../runtime/worker.ts'
import type { IdentityAlias, SeenEventState } from '../../schemas/avro/types.ts'

type Said = Inbound<'event', IdentityAlias>

const relay: Operator<Said, SeenEventState, undefined> = {
  name: 'relay',
  state: 'SeenEventState',
  process({ key, value }, { state }) {
    const atMs = (state(key)?.atMs ?? 0) + 1
    const groupKey = `t/g${value.profileId.slice(-1)}`
    return [put(key, { fingerprint: '', atMs }), emit('mid', 'event', groupKey, { ...value, identitySeq: atMs })]
  },
}

const total: Operator<Said | Inbound<'timer', { id: string; atMs: number }>, SeenEventState, undefined> = {
  name: 'total',
  state: 'SeenEventState',
  process(record, { state, clockMs }) {
    const { key } = record
    const atMs = (state(key)?.atMs ?? 0) + 1
    const said = (mergedInto: string) => ({ tenant: 't', profileId: key, mergedInto, identitySeq: atMs })
    if (record.kind === 'timer') return [put(key, { fingerprint: '', atMs }), emit('out', 'event', key, said('quiet'))]
    return [
      put(key, { fingerprint: '', atMs }),
      emit('out', 'event', key, said(record.value.profileId)),
      schedule(key, 'quiet', clockMs + 3000),
    ]
  },
}

export const partitions = 6
const places = Array.from({ length: partitions }, (_, partition) => partition)
const topic = (name: string) => ({
  name,
  partitions,
  cleanup: 'delete' as const,
  retentionMs: null,
  key: 't/key',
  kinds: { event: 'IdentityAlias' } as const,
})
export const topology = defineTopology({
  name: 'relay',
  topics: [{ ...topic('in'), source: true }, topic('mid'), topic('out')],
  stages: [
    { name: 'relay', inbox: 'in', operators: [relay], emits: ['mid'] },
    { name: 'total', inbox: 'mid', operators: [total], emits: ['out'] },
  ],
})

export const sessionTimeoutMs = 6000

/** What a process has done, as its observer heard it. */
type Heard = {
  /** Records restored, by task. */
  readonly restored: Map<string, number>
  readonly wiped: string[]
  readonly faults: { readonly task: string; readonly code: string }[]
  readonly assignments: Map<string, Assignment>
  readonly failures: unknown[]
}

export class Host {
  readonly gate = new Gate()
  readonly heard: Heard = { restored: new Map(), wiped: [], faults: [], assignments: new Map(), failures: [] }
  readonly name: string
  readonly stores: MemoryStores
  worker!: Worker

  constructor(name: string, stores: MemoryStores) {
    this.name = name
    this.stores = stores
  }

  /** Partitions of a stage that run here. */
  running(stage: string): number[] {
    return this.worker.tasks.flatMap(({ task, running }) =>
      running && task.startsWith(`${stage}/`) ? [Number(task.split('/')[1])] : [],
    )
  }

  get restored(): number {
    return [...this.heard.restored.values()].reduce((sum, records) => sum + records, 0)
  }
}

export class Fleet {
  readonly clock = new HandClock({
    startMs: 1_000_000,
    settle: () => new Promise<void>((resolve) => setImmediate(resolve)),
  })
  readonly log: MemoryLog
  readonly coordinator = new MemoryCoordinator(this.clock)
  readonly codec = new Codec(fixedSchemaIds())
  readonly #assignment: AssignmentSettings
  readonly #idleStoreMs: number
  #sent = 0

  private constructor(assignment: Partial<AssignmentSettings>, faults: LogFaults, idleStoreMs: number) {
    this.#idleStoreMs = idleStoreMs
    this.#assignment = { ...defaultAssignment, standbys: 0, acceptableLag: 50, ...assignment }
    this.log = new MemoryLog({ now: () => this.clock.nowMs(), markers: true, faults })
  }

  static async open(
    assignment: Partial<AssignmentSettings> = {},
    faults: LogFaults = {},
    idleStoreMs = 24 * 3600 * 1000,
  ): Promise<Fleet> {
    const fleet = new Fleet(assignment, faults, idleStoreMs)
    await fleet.log.createTopics(allTopics(topology))
    return fleet
  }

  /** Starts a process; on the disk of an earlier one if that is given. */
  async start(name: string, stores = new MemoryStores(), log: Log = this.log): Promise<Host> {
    const host = new Host(name, stores)
    const { heard, gate } = host
    host.worker = await Worker.start({
      topology,
      stages: ['relay', 'total'],
      app: 'test',
      process: name,
      endpoint: `${name}:80`,
      version: '1',
      log: gate.through(log),
      coordinator: gate.through<Coordinator>(this.coordinator),
      clock: gate.through<Clock>(this.clock),
      stores,
      codec: this.codec,
      definitions: { resolve: () => Promise.reject(new Error('there are no definitions')) },
      limits: { ...defaultLimits, recordsMax: 20 },
      assignment: this.#assignment,
      membership: { sessionTimeoutMs, heartbeatMs: 500, rebalanceTimeoutMs: 20_000 },
      tombstones: { ms: 24 * 3600 * 1000, nowMs: () => this.clock.nowMs() },
      idleStoreMs: this.#idleStoreMs,
      stuckMs: 15_000,
      observer: {
        restored: (task, { records }) => heard.restored.set(task, (heard.restored.get(task) ?? 0) + records),
        wiped: (task) => heard.wiped.push(task),
        fault: (task, error) => heard.faults.push({ task, code: codeOf(error) }),
        assigned: (stage, assignment) => heard.assignments.set(stage, assignment),
      },
      failed: (error) => heard.failures.push(error),
    })
    return host
  }

  async send(records: number): Promise<void> {
    const nowMs = this.clock.nowMs()
    await this.log.append(Array.from({ length: records }, () => inputOf(this.#sent++, this.codec, nowMs)))
  }

  /** Moves time while input keeps coming. */
  async run(ms: number, recordsPerSecond = 50): Promise<void> {
    for (let passed = 0; passed < ms; passed += 200) {
      await this.send(recordsPerSecond / 5)
      await this.clock.advance(Math.min(200, ms - passed))
    }
  }

  /** Moves time until it holds, input coming. */
  async until(holds: () => boolean, withinMs: number): Promise<void> {
    for (const endMs = this.clock.nowMs() + withinMs; !holds(); ) {
      if (this.clock.nowMs() > endMs) throw new Error(`not within ${withinMs} ms: ${holds}`)
      await this.run(200)
    }
  }

  /** How many records the tasks of a stage committed to a topic so far, whoever ran them. */
  written(to: string): number {
    return places.flatMap((partition) => this.log.records(to, partition).filter(({ kind }) => kind === 'event')).length
  }

  /** Says where the outputs of all tasks differ from a plain fold of their inboxes. */
  differences(): string[] {
    return differencesFrom((topic, partition) => this.log.records(topic, partition), this.codec)
  }

  /** Says where a store differs from what its changelog says. */
  storeDifferences(stores: MemoryStores, stage: string, partition: number): string[] {
    const last = new Map<string, Buffer>()
    for (const { kind, key, value } of this.log.records(changelogOf(stage), partition))
      if (kind === 'row') {
        if (value) last.set(`r${key}`, value)
        else last.delete(`r${key}`)
      }
    const stored = new Map([...stores.snapshot(taskName(stage, partition))].filter(([key]) => key.startsWith('r')))
    const keys = [...new Set([...last.keys(), ...stored.keys()])]
    return keys.filter((key) => !stored.get(key)?.equals(last.get(key) ?? Buffer.alloc(0)))
  }
}

/**
 * Says where the outputs of all tasks differ from a plain fold of their inboxes, given all records by place. Ticks after
 * the last event are left out: they go on for ever, and some are always under way.
 */
export function differencesFrom(
  read: (topic: string, partition: number) => readonly WrittenRecord[],
  codec: Codec,
): string[] {
  const differences: string[] = []
  const definitionsOf = (): never => {
    throw new Error('there are no definitions')
  }
  const print = ({ kind, key, value, timestampMs }: Omit<WrittenRecord, 'offset' | 'writer'>) =>
    `${kind} ${key} ${timestampMs} ${value?.toString('base64')}`
  for (const { name, emits } of topology.stages) {
    const stage = stageOf(topology, name)
    for (const partition of places) {
      const inbox = read(stage.inbox.name, partition)
      const { outputs } = fold({ ...defaultLimits, stage, partition, inbox, codec, definitionsOf })
      for (const topic of emits) {
        for (const at of places) {
          const task = taskName(name, partition)
          const written = toLastEvent(read(topic, at).filter(({ writer }) => writer === task)).map(print)
          const expected = toLastEvent(
            outputs.filter((output) => output.topic === topic && output.partition === at),
          ).map(print)
          const first = expected.findIndex((line, i) => line !== written[i])
          if (first < 0 && written.length === expected.length) continue
          differences.push(`${task} → ${topic}/${at}: ${written.length} for ${expected.length}, first at ${first}`)
        }
      }
    }
  }
  return differences
}

function toLastEvent<Of extends { readonly kind: string }>(records: readonly Of[]): readonly Of[] {
  return records.slice(0, records.findLastIndex(({ kind }) => kind === 'event') + 1)
}

/** The n-th record of the input. */
export function inputOf(n: number, codec: Codec, timestampMs: number): AddressedRecord {
  const key = `t/k${n % 97}`
  const value = codec.encode('IdentityAlias', { tenant: 't', profileId: `p${n}`, mergedInto: '', identitySeq: 0 })
  return { topic: 'in', partition: partitionOf(key, partitions), kind: 'event', key, value, timestampMs }
}

function codeOf(error: unknown): string {
  return error instanceof MillraceError ? error.code : String(error)
}
