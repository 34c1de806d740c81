/**
 * One process of a scaled-out topology: a member of the group of each of its stages, with the tasks that the plans give it.
 *
 *   group of a stage ─► plan ─► hosted tasks ─► what they hold ─► the next plan
 */
import { type AssignmentSettings, assign, type Held, type Role } from './assignment.ts'
import { type Clock, within } from './clock.ts'
import type { Codec } from './codec.ts'
import type { Coordinator } from './coordinator.ts'
import { HostedTask, type HostObserver, type Phase } from './hosted-task.ts'
import type { Log } from './log.ts'
import { type Assignment, Membership, type MembershipSettings } from './membership.ts'
import type { TombstoneRetention } from './restore.ts'
import { stageOf } from './stage.ts'
import type { Stores } from './store.ts'
import type { DefinitionSource, Task, TaskLimits, TaskObserver } from './task.ts'
import type { Topology } from './topology.ts'

export type WorkerObserver = TaskObserver &
  HostObserver & {
    /** A plan has come into force here. */
    assigned?(stage: string, assignment: Assignment): void
  }

export type WorkerParts = {
  readonly topology: Topology
  /** Those to take part in. */
  readonly stages: readonly string[]
  /** Names the deployment; the group of a stage is `<app>.<stage>`. */
  readonly app: string
  /** The id of the state folder. */
  readonly process: string
  /** host:port where this process can be asked. */
  readonly endpoint: string
  /** The release it runs. */
  readonly version: string
  readonly log: Log
  readonly coordinator: Coordinator
  readonly clock: Clock
  readonly stores: Stores
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly limits: TaskLimits
  readonly assignment: AssignmentSettings
  readonly membership: MembershipSettings
  readonly tombstones: TombstoneRetention
  /** A store that no plan has wanted here for so long is removed: it would have to be restored anyway. */
  readonly idleStoreMs: number
  /** A running task that has no answer of its inbox for longer is stuck. */
  readonly stuckMs: number
  readonly observer: WorkerObserver
  /** What no waiting mends, of a task or of a membership: the process should end. */
  failed(error: unknown): void
}

export type TaskStatus = {
  readonly task: string
  readonly role: Role
  readonly phase: Phase
  /** While it runs. */
  readonly running: Task | undefined
  /** What is here of its state now. */
  held(): Promise<Held | undefined>
}

/** `live`: no task is stuck. `ready`: the plans are known and every task of theirs that is to run does. */
export type Health = { readonly live: boolean; readonly ready: boolean; readonly reasons: readonly string[] }

export class Worker {
  readonly #parts: WorkerParts
  readonly #groups: readonly StageGroup[]
  /** Of the stages that it takes no part in: an earlier life may have, in the same folder. */
  readonly #others: readonly StageGroup[]
  readonly #stopping = new AbortController()
  #stopped: Promise<boolean> | undefined

  private constructor(parts: WorkerParts, groups: readonly StageGroup[], others: readonly StageGroup[]) {
    this.#parts = parts
    this.#groups = groups
    this.#others = others
  }

  /** Looks at what is on disk, and joins. What follows comes from the plans. */
  static async start(parts: WorkerParts): Promise<Worker> {
    const { stages, topology } = parts
    const others = topology.stages.map(({ name }) => name).filter((name) => !stages.includes(name))
    const open = (names: readonly string[]) => Promise.all(names.map((name) => StageGroup.open(parts, name)))
    const worker = new Worker(parts, await open(stages), await open(others))
    for (const group of worker.#groups) group.join()
    void worker.#removeIdleStores()
    return worker
  }

  /** Those that the plans want here. */
  get tasks(): readonly TaskStatus[] {
    return this.#groups.flatMap(({ tasks }) =>
      tasks.flatMap((hosted) => {
        const { name, role, phase, task } = hosted
        return role ? [{ task: name, role, phase, running: task, held: () => hosted.held() }] : []
      }),
    )
  }

  health(): Health {
    const { clock, stuckMs } = this.#parts
    const stuck = this.#groups
      .flatMap(({ tasks }) => tasks)
      .filter(({ phase, polledMs }) => phase === 'running' && clock.nowMs() - polledMs > stuckMs)
      .map(({ name, polledMs }) => `${name} has made no progress for ${clock.nowMs() - polledMs} ms`)
    const failed = this.#groups.flatMap(({ faults }) => faults)
    const outside = this.#groups.filter(({ hasPlan }) => !hasPlan).map(({ stage }) => `${stage} has no plan yet`)
    const starting = this.tasks
      .filter(({ role, phase }) => role === 'active' && phase !== 'running')
      .map(({ task, phase }) => `${task} is ${phase}`)
    const dead = [...stuck, ...failed]
    const unready = [...dead, ...outside, ...starting]
    return { live: dead.length === 0, ready: unready.length === 0, reasons: unready }
  }

  /**
   * Ends all tasks after their batches, and then the memberships; once, in at most `budgetMs`. `keepPlace` is for a
   * process that comes back: its tasks wait for it, for a session. Answers whether all could be ended in time; what
   * could not is abandoned, and the log fences it.
   */
  stop(options: { readonly keepPlace: boolean; readonly budgetMs: number }): Promise<boolean> {
    this.#stopped ??= this.#stop(options)
    return this.#stopped
  }

  async #removeIdleStores(): Promise<void> {
    const { clock, idleStoreMs } = this.#parts
    const { signal } = this.#stopping
    for (;;) {
      await clock.sleep(idleStoreMs / 24, signal)
      if (signal.aborted) return
      const tasks = [...this.#groups, ...this.#others].flatMap(({ tasks }) => tasks)
      // What cannot be removed now is still there the next time.
      for (const task of tasks) await task.removeIdle(idleStoreMs).catch(() => undefined)
    }
  }

  async #stop({ keepPlace, budgetMs }: { keepPlace: boolean; budgetMs: number }): Promise<boolean> {
    const { clock, stores } = this.#parts
    this.#stopping.abort()
    // Each step has a share of the budget, so that one that hangs leaves the others theirs.
    const step = async (share: number, work: Promise<unknown>): Promise<boolean> =>
      (await within(
        clock,
        share * budgetMs,
        work.then(() => true),
      )) ?? false
    const drained = await step(0.6, Promise.all([...this.#groups, ...this.#others].map((group) => group.drain())))
    const left = await step(0.2, Promise.all(this.#groups.map((group) => group.leave(keepPlace))))
    const closed = await step(0.2, stores.close())
    return drained && left && closed
  }
}

const showPositionsMs = 5000

/** The tasks of one stage, and the membership that says which of them are here. */
class StageGroup {
  readonly stage: string
  readonly tasks: readonly HostedTask[]
  readonly faults: string[] = []
  readonly #parts: WorkerParts
  readonly #topic: string
  #membership: Membership | undefined
  #generation = -1
  /** Warm-ups that have told that they caught up, in this generation. */
  readonly #announced = new Set<number>()
  readonly #draining = new AbortController()

  private constructor(parts: WorkerParts, name: string) {
    const { codec, definitions, limits, log, stores, clock, tombstones, observer } = parts
    this.#parts = parts
    this.stage = name
    const stage = stageOf(parts.topology, name)
    this.#topic = stage.inbox.name
    const shared = { stage, codec, definitions, limits, log, stores, clock, tombstones, observer, host: observer }
    this.tasks = Array.from(
      { length: stage.inbox.partitions },
      (_, partition) =>
        new HostedTask({
          ...shared,
          partition,
          prove: async () => this.#membership?.prove(),
          caughtUp: () => this.#caughtUp(partition),
          fenced: () => this.#membership?.rejoin(),
          failed: (error) => this.#failed(error),
        }),
    )
  }

  static async open(parts: WorkerParts, stage: string): Promise<StageGroup> {
    const group = new StageGroup(parts, stage)
    for (const task of group.tasks) await task.inspect()
    return group
  }

  get hasPlan(): boolean {
    return this.#generation >= 0
  }

  join(): void {
    const { app, process, endpoint, version, coordinator, clock, membership, assignment } = this.#parts
    this.#membership = Membership.join({
      group: `${app}.${this.stage}`,
      topic: this.#topic,
      process,
      coordinator,
      clock,
      settings: membership,
      describe: async () => ({ endpoint, version, held: await this.#held() }),
      plan: (members) => assign(members, this.tasks.length, assignment),
      assigned: (assigned) => this.#assigned(assigned),
      failed: (error) => this.#failed(error),
    })
    void this.#showPositions()
  }

  /** For tools that watch the lag of groups; what counts is in the changelogs. */
  async #showPositions(): Promise<void> {
    const { signal } = this.#draining
    for (;;) {
      await this.#parts.clock.sleep(showPositionsMs, signal)
      if (signal.aborted) return
      const positions = this.tasks.flatMap(({ task }, partition) =>
        task ? [[partition, task.inputOffset] as const] : [],
      )
      await this.#membership?.show(new Map(positions))
    }
  }

  async drain(): Promise<void> {
    this.#draining.abort()
    await Promise.all(this.tasks.map((task) => task.close()))
  }

  async leave(keepPlace: boolean): Promise<void> {
    await this.#membership?.leave({ keepPlace })
  }

  async #held(): Promise<Held[]> {
    const held = await Promise.all(this.tasks.map((task) => task.held()))
    return held.filter((each) => each !== undefined)
  }

  #assigned(assignment: Assignment): void {
    if (this.#draining.signal.aborted) return
    this.#generation = assignment.generation
    this.#announced.clear()
    this.#parts.observer.assigned?.(this.stage, assignment)
    const roles = new Map<number, Role>()
    for (const role of ['active', 'standby', 'warmup'] as const)
      for (const partition of assignment.own[role]) roles.set(partition, role)
    this.tasks.forEach((task, partition) => {
      task.assign(roles.get(partition) ?? null, assignment.generation)
    })
  }

  /** A warm-up that is ready asks for the plan that makes it active: no one has to look for it. */
  #caughtUp(partition: number): void {
    if (this.tasks[partition]!.role !== 'warmup' || this.#announced.has(partition)) return
    this.#announced.add(partition)
    this.#membership?.rejoin()
  }

  #failed(error: unknown): void {
    this.faults.push(`${this.stage}: ${error instanceof Error ? error.message : String(error)}`)
    this.#parts.failed(error)
  }
}
