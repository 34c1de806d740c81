/**
 * Runs processes of a scaled-out topology in memory under one seed: several workers over one log, one coordinator and one
 * clock that is moved by hand. In the first phase whatever may happen does: processes are killed, stopped and continued
 * at any of their awaits, answers get lost or come late, disks go stale, the log is compacted, the coordinator moves. All
 * the while what is committed must be the beginning of what a plain fold of the inboxes gives. Then all heals, and within
 * a bounded time everything must be caught up, and equal.
 */
import { createHash } from 'node:crypto'
import { type AssignmentSettings, defaultAssignment } from '../assignment.ts'
import type { Codec } from '../codec.ts'
import { MillraceError } from '../errors.ts'
import { HandClock } from '../memory/clock.ts'
import { MemoryCoordinator } from '../memory/coordinator.ts'
import { MemoryLog, type Passage, type WrittenRecord } from '../memory/log.ts'
import { Random } from '../random.ts'
import type { AddressedRecord } from '../record.ts'
import { type Stage, stageOf } from '../stage.ts'
import { MemoryStores, type StoreSnapshot } from '../stores/memory.ts'
import { defaultLimits, type TaskLimits } from '../task.ts'
import { allTopics, changelogOf, type Topology, taskName } from '../topology.ts'
import { compareOutputs, compareRows, compareTimers, rowsOfChangelog, rowsOfStore } from './compare.ts'
import { type Folded, fold } from './fold.ts'
import { SimulatedHost } from './host.ts'
import { FleetMarks, type Mark } from './marks.ts'
import { drawFaults, type Faults } from './swarm.ts'

export type FleetParts = {
  readonly seed: number
  readonly topology: Topology
  readonly codec: Codec
  /** The next record of the input, but for log time, which is the log's own. */
  input(random: Random): AddressedRecord
  /** Lets all that can run do so, until everything waits. */
  settle(): Promise<void>
}

export type FleetRun = {
  /** What was committed and should not have been, or is not there: empty when all is well. */
  readonly safety: readonly string[]
  /** What had not caught up in time after all had healed. */
  readonly liveness: readonly string[]
  readonly marks: Readonly<Record<Mark, number>>
  /** Of everything that happened, in order: equal for equal seeds. */
  readonly trace: string
}

const steps = 40
const healMs = 60_000
const sessionTimeoutMs = 3000
const pauseMaxMs = 12_000
const tombstoneMs = 8000
const idleStoreMs = 6000
/** The inboxes keep what a process that was paused may yet ask for. */
const inboxRetentionMs = 2 * pauseMaxMs
const snapshotsMax = 4

const limits: TaskLimits = {
  ...defaultLimits,
  recordsMax: 20,
  cachedBytesMax: 16 * 1024,
  timersPerSlice: 5,
  deadPerMinuteMax: Number.MAX_SAFE_INTEGER,
}

export async function simulateFleet(parts: FleetParts): Promise<FleetRun> {
  const fleet = new SimulatedFleet(parts)
  return fleet.run()
}

type Disk = { stores: MemoryStores; snapshots: ReadonlyMap<string, StoreSnapshot>[] }

class SimulatedFleet {
  readonly #parts: FleetParts
  readonly #random: Random
  readonly #faults: Faults
  readonly #clock: HandClock
  readonly #log: MemoryLog
  readonly #coordinator: MemoryCoordinator
  readonly #stages: readonly Stage[]
  readonly #assignment: AssignmentSettings
  readonly #names: readonly string[]
  readonly #disks = new Map<string, Disk>()
  readonly #marks = new FleetMarks()
  readonly #trace = createHash('sha256')
  /** By name, those that were started last under it; one that was replaced may live on beside it. */
  readonly #hosts = new Map<string, SimulatedHost>()
  readonly #safety: string[] = []
  /** Transactions, by writer and epoch, whose writer does not know how they ended. */
  readonly #unknown = new Map<string, 'late' | 'other'>()
  #faulty = true
  /** Names of processes that do not reach the log. */
  readonly #cut = new Set<string>()
  #registryIsUp = true

  constructor(parts: FleetParts) {
    this.#parts = parts
    const random = new Random('fleet', parts.seed)
    this.#random = random
    this.#faults = drawFaults(random)
    this.#clock = new HandClock({ startMs: 1_000_000, settle: parts.settle })
    this.#coordinator = new MemoryCoordinator(this.#clock)
    this.#log = new MemoryLog({
      now: () => this.#clock.nowMs(),
      markers: true,
      faults: { end: (id, epoch) => this.#passage(id, epoch), marker: () => this.#markerDelay() },
      observer: { ended: (id, epoch, outcome) => this.#ended(id, epoch, outcome) },
    })
    this.#stages = parts.topology.stages.map(({ name }) => stageOf(parts.topology, name))
    this.#names = ['a', 'b', 'c', 'd'].slice(0, random.between(2, 4))
    this.#assignment = {
      ...defaultAssignment,
      standbys: random.between(0, 2),
      warmupsMax: random.between(1, 3),
      acceptableLag: random.pick([0, 20, 200]),
    }
  }

  async run(): Promise<FleetRun> {
    await this.#log.createTopics(allTopics(this.#parts.topology))
    for (const name of this.#names) this.#disks.set(name, { stores: new MemoryStores(), snapshots: [] })
    for (let step = 0; step < steps; step++) {
      await this.#step()
      await this.#clock.advance(this.#random.pick([20, 100, 300, 1000, 3000]))
    }
    this.#check({ soFar: true })
    const liveness = await this.#heal()
    this.#check({ soFar: liveness.length > 0 })
    for (const stage of this.#stages)
      for (const name of [stage.inbox.name, ...stage.topics.keys()]) this.#traceTopic(name)
    return { safety: this.#safety, liveness, marks: this.#marks.counts, trace: this.#trace.digest('hex') }
  }

  // --- what happens ---

  async #step(): Promise<void> {
    const random = this.#random
    if (random.chance(0.7))
      await this.#log.append(Array.from({ length: random.between(1, 15) }, () => this.#parts.input(random)))
    const name = random.pick(this.#names)
    const host = this.#hosts.get(name)
    if (!host || host.state === 'ended') {
      if (random.chance(0.4)) this.#start(name)
      return
    }
    const { restart, leave, twin, logOutage, registryOutage, coordinatorOutage, coordinatorMove } = this.#faults
    const { compaction, retention } = this.#faults
    if (random.chance(0.2)) await this.#keepSnapshot(host)
    if (random.chance(restart)) this.#stop(host, true)
    if (random.chance(leave)) this.#stop(host, false)
    if (host.state === 'paused' && random.chance(10 * twin)) this.#startTwin(host)
    if (random.chance(logOutage)) this.#cutOff(random.chance(0.3) ? this.#names : [name])
    if (random.chance(registryOutage)) this.#takeRegistryAway()
    if (random.chance(coordinatorOutage)) this.#takeCoordinatorAway()
    if (random.chance(coordinatorMove)) this.#moveCoordinator()
    if (random.chance(compaction)) this.#compact()
    if (random.chance(retention)) this.#retain()
  }

  #start(name: string): void {
    this.#say(`${name} starts`)
    const { topology } = this.#parts
    const host = SimulatedHost.start({
      topology,
      stages: topology.stages.map((stage) => stage.name),
      app: 'fleet',
      process: name,
      endpoint: `${name}:80`,
      version: '1',
      log: this.#log,
      coordinator: this.#coordinator,
      clock: this.#clock,
      stores: this.#diskFor(name),
      definitions: { resolve: () => Promise.reject(new Error('there are no definitions')) },
      limits,
      assignment: this.#assignment,
      membership: { sessionTimeoutMs, heartbeatMs: 500, rebalanceTimeoutMs: 10_000 },
      tombstones: { ms: tombstoneMs, nowMs: () => this.#clock.nowMs() },
      idleStoreMs,
      stuckMs: 15_000,
      marks: this.#marks,
      registryIsUp: () => this.#registryIsUp,
      said: (what) => this.#say(`${name}: ${what}`),
      befalls: (befallen, port, call) => this.#befalls(befallen, port, call),
      failed: (failed, error) => this.#failed(failed, error),
    })
    this.#hosts.set(name, host)
  }

  /** A call of a process, or the answer to one: the process may be stopped there, for good or for a while. */
  async #befalls(host: SimulatedHost, port: string, call: string): Promise<void> {
    if (port === 'log' && this.#cut.has(host.name)) throw new MillraceError('KAFKA_UNAVAILABLE', 'the log is away')
    if (!this.#faulty || host.state === 'ended') return
    const { kill, pause, slowCall } = this.#faults
    if (this.#random.chance(kill)) {
      this.#marks.add('killed')
      this.#say(`${host.name} killed at ${port} ${call}`)
      host.kill()
    } else if (host.state === 'up' && this.#random.chance(pause)) {
      this.#marks.add('paused')
      this.#say(`${host.name} paused at ${port} ${call}`)
      host.pause()
      void this.#after(this.#random.between(100, pauseMaxMs)).then(() => host.continue())
    } else if (call !== 'sleep' && this.#random.chance(slowCall)) {
      await this.#after(this.#random.between(1, 400))
    }
  }

  #stop(host: SimulatedHost, keepPlace: boolean): void {
    if (host.state !== 'up' || !host.worker) return
    host.state = 'stopping'
    this.#say(`${host.name} stops, keepPlace ${keepPlace}`)
    void host.worker.stop({ keepPlace, budgetMs: 3000 }).then(() => {
      this.#marks.add(keepPlace ? 'restarted' : 'left')
      this.#say(`${host.name} stopped`)
      host.kill()
    })
  }

  /** The process is taken for dead, and started anew elsewhere under its name, while it sleeps. */
  #startTwin(host: SimulatedHost): void {
    this.#disks.get(host.name)!.stores = new MemoryStores()
    this.#start(host.name)
  }

  #failed(host: SimulatedHost, error: unknown): void {
    this.#say(`${host.name} failed`)
    host.kill()
    if (error instanceof MillraceError && error.code === 'PROCESS_REPLACED') this.#marks.add('replaced')
    else this.#safety.push(`${host.name} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }

  #cutOff(names: readonly string[]): void {
    this.#marks.add('logAway')
    this.#say(`the log is away for ${names}`)
    for (const name of names) this.#cut.add(name)
    void this.#after(this.#random.between(100, 8000)).then(() => {
      for (const name of names) this.#cut.delete(name)
    })
  }

  #takeRegistryAway(): void {
    this.#registryIsUp = false
    void this.#after(this.#random.between(100, 8000)).then(() => {
      this.#registryIsUp = true
    })
  }

  #takeCoordinatorAway(): void {
    this.#marks.add('coordinatorAway')
    this.#coordinator.away = true
    void this.#after(this.#random.between(100, 8000)).then(() => {
      this.#coordinator.away = false
    })
  }

  #moveCoordinator(): void {
    this.#marks.add('coordinatorMoved')
    this.#say('the coordinator moves')
    this.#coordinator.move()
  }

  #compact(): void {
    for (const { name, partitions, cleanup } of allTopics(this.#parts.topology)) {
      if (cleanup !== 'compact') continue
      for (let partition = 0; partition < partitions; partition++) {
        this.#marks.add('tombstoneExpired', this.#log.compact(name, partition, tombstoneMs))
        if (!this.#random.chance(0.02)) continue
        const [first] = this.#log.records(name, partition)
        if (!first) continue
        this.#marks.add('changelogStartMoved')
        this.#log.truncate(name, partition, first.offset)
      }
    }
  }

  /** Inboxes lose what is old, and processed. */
  #retain(): void {
    const { name, inbox } = this.#random.pick(this.#stages)
    const partition = this.#random.below(inbox.partitions)
    const last = this.#log.records(changelogOf(name), partition).findLast(({ kind }) => kind === 'checkpoint')
    if (!last) return
    const { inputOffset } = this.#parts.codec.decode('Checkpoint', last.value!)
    const youngestMs = this.#clock.nowMs() - inboxRetentionMs
    const kept = this.#log
      .records(inbox.name, partition)
      .find(({ offset, timestampMs }) => offset >= inputOffset || timestampMs >= youngestMs)
    if (!kept) return
    this.#marks.add('inboxStartMoved')
    this.#log.truncate(inbox.name, partition, kept.offset)
  }

  // --- disks ---

  /** The disk of a process that starts: as it was left, or an older copy of it, or a new one. */
  #diskFor(name: string): MemoryStores {
    const disk = this.#disks.get(name)!
    const { staleDisk, lostDisk } = this.#faults
    if (this.#faulty && this.#random.chance(lostDisk)) {
      this.#marks.add('lostDisk')
      disk.stores = new MemoryStores()
    } else if (this.#faulty && disk.snapshots.length > 0 && this.#random.chance(staleDisk)) {
      this.#marks.add('staleDisk')
      for (const [task, snapshot] of this.#random.pick(disk.snapshots)) disk.stores.replace(task, snapshot)
    }
    return disk.stores
  }

  async #keepSnapshot({ name, stores }: SimulatedHost): Promise<void> {
    const snapshot = new Map<string, StoreSnapshot>()
    for (const task of this.#tasks())
      if (await stores.has(task.name)) snapshot.set(task.name, stores.snapshot(task.name))
    const disk = this.#disks.get(name)!
    disk.snapshots = [...disk.snapshots.slice(1 - snapshotsMax), snapshot]
  }

  // --- what befalls commits ---

  #passage(id: string, epoch: number): Passage | undefined {
    if (!this.#faulty) return undefined
    const { lostEnd, unansweredEnd, lateEnd, slowEnd } = this.#faults
    const random = this.#random
    const unknown = (how: 'late' | 'other'): void => {
      this.#unknown.set(`${id} ${epoch}`, how)
    }
    if (random.chance(lostEnd)) {
      unknown('other')
      return { kind: 'lost' }
    }
    if (random.chance(unansweredEnd)) {
      unknown('other')
      return { kind: 'unanswered' }
    }
    if (random.chance(lateEnd)) {
      unknown('late')
      return { kind: 'late', arrives: this.#after(random.between(1, 3000)) }
    }
    return random.chance(slowEnd) ? { kind: 'slow', arrives: this.#after(random.between(1, 3000)) } : undefined
  }

  #markerDelay(): Promise<void> | undefined {
    if (!this.#faulty || !this.#random.chance(this.#faults.slowMarker)) return undefined
    this.#marks.add('markerPending')
    return this.#after(this.#random.between(1, 1000))
  }

  #ended(id: string, epoch: number, outcome: 'committed' | 'aborted' | 'refused'): void {
    this.#say(`${id} ${epoch} ${outcome}`)
    const unknown = this.#unknown.get(`${id} ${epoch}`)
    if (outcome === 'refused') this.#marks.add(unknown === 'late' ? 'lateEndRefused' : 'slowEndRefused')
    else if (unknown === 'late' && outcome === 'committed') this.#marks.add('lateEndTook')
    else if (unknown) this.#marks.add(outcome === 'committed' ? 'unknownCommitted' : 'unknownAborted')
  }

  // --- heal and converge ---

  /** Ends all faults; answers what has not caught up in time. */
  async #heal(): Promise<string[]> {
    this.#say('heal')
    this.#faulty = false
    this.#cut.clear()
    this.#registryIsUp = true
    this.#coordinator.away = false
    let behind: string[] = []
    for (let healedMs = 0; healedMs < healMs; healedMs += 500) {
      for (const name of this.#names) {
        const host = this.#hosts.get(name)
        host?.continue()
        if (!host || host.state === 'ended') this.#start(name)
      }
      await this.#clock.advance(500)
      behind = await this.#behind()
      if (behind.length === 0) return []
    }
    return behind
  }

  async #behind(): Promise<string[]> {
    const behind = this.#log.openTransactions().map((id) => `${id} has an open transaction`)
    for (const { name, worker } of this.#hosts.values()) {
      const { ready, reasons } = worker?.health() ?? { ready: false, reasons: ['it has not started'] }
      if (!ready) behind.push(`${name} is not ready: ${reasons}`)
      for (const { task, role, phase } of worker?.tasks ?? [])
        if (role !== 'active' && phase !== 'following') behind.push(`${task} in ${name}, a ${role}, is ${phase}`)
    }
    for (const task of this.#tasks()) {
      const running = [...this.#hosts.values()].flatMap(
        ({ worker }) =>
          worker?.tasks.flatMap((status) => (status.task === task.name ? (status.running ?? []) : [])) ?? [],
      )
      if (running.length !== 1) behind.push(`${task.name} runs in ${running.length} processes`)
      const { stable } = await this.#log.ends(task.stage.inbox.name, task.partition)
      for (const { inputOffset } of running)
        if (inputOffset < stable) behind.push(`${task.name} is at ${inputOffset} of ${stable}`)
    }
    return behind
  }

  // --- the oracle ---

  /** What has been committed against a fold of the inboxes; unless `soFar`, all of it, and all stores. */
  #check({ soFar }: { readonly soFar: boolean }): void {
    const histories = new Map<string, readonly WrittenRecord[]>()
    const read = (topic: string, partition: number): readonly WrittenRecord[] => {
      const place = `${topic}/${partition}`
      const history = histories.get(place) ?? this.#log.history(topic, partition)
      histories.set(place, history)
      return history
    }
    for (const { name, stage, partition } of this.#tasks()) {
      const inbox = read(stage.inbox.name, partition)
      const folded = fold({ ...limits, stage, partition, inbox, codec: this.#parts.codec, definitionsOf })
      this.#safety.push(
        ...compareOutputs(stage, partition, read, folded, { soFar }),
        ...this.#checkpoints(stage, partition),
      )
      if (soFar) continue
      this.#marks.add('buried', folded.counters.get('dead') ?? 0)
      this.#marks.add('swept', inbox.filter(({ kind }) => kind === 'sweep').length)
      this.#safety.push(...this.#compareState(name, stage, partition, folded))
    }
  }

  #compareState(task: string, stage: Stage, partition: number, folded: Folded): string[] {
    const { codec } = this.#parts
    const changelog = rowsOfChangelog(this.#log.records(changelogOf(stage.name), partition))
    const differences = compareRows(`${task}: changelog`, stage, changelog, codec, folded)
    for (const { name, worker, stores } of this.#hosts.values()) {
      if (!worker?.tasks.some((status) => status.task === task)) continue
      const where = `${task} in ${name}`
      const snapshot = stores.snapshot(task)
      differences.push(...compareRows(where, stage, rowsOfStore(snapshot), codec, folded))
      differences.push(...compareTimers(where, snapshot, folded))
    }
    return differences
  }

  /** Each commit follows the one before: nobody else's work came between, none was done twice, none goes back. */
  #checkpoints(stage: Stage, partition: number): string[] {
    const differences: string[] = []
    let before = { commits: 0, inputOffset: 0 }
    for (const { kind, value, offset } of this.#log.history(changelogOf(stage.name), partition)) {
      if (kind !== 'checkpoint') continue
      const { commits, inputOffset } = this.#parts.codec.decode('Checkpoint', value!)
      if (commits !== before.commits + 1 || inputOffset < before.inputOffset)
        differences.push(
          `${taskName(stage.name, partition)}: at ${offset} of its changelog commit ${commits} at ${inputOffset} follows ${before.commits} at ${before.inputOffset}`,
        )
      before = { commits, inputOffset }
    }
    return differences
  }

  // --- helpers ---

  #tasks(): { name: string; stage: Stage; partition: number }[] {
    return this.#stages.flatMap((stage) =>
      Array.from({ length: stage.inbox.partitions }, (_, partition) => ({
        name: taskName(stage.name, partition),
        stage,
        partition,
      })),
    )
  }

  #after(ms: number): Promise<void> {
    return this.#clock.sleep(ms, new AbortController().signal)
  }

  #say(what: string): void {
    this.#trace.update(`${this.#clock.nowMs()} ${what}\n`)
  }

  #traceTopic(name: string): void {
    const { partitions } = allTopics(this.#parts.topology).find((topic) => topic.name === name)!
    for (let partition = 0; partition < partitions; partition++)
      for (const { offset, key, value } of this.#log.history(name, partition))
        this.#trace.update(`${name} ${partition} ${offset} ${key} ${value?.toString('base64')}\n`)
  }
}

function definitionsOf(): never {
  throw new Error('there are no definitions')
}
