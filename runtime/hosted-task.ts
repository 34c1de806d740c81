/**
 * A task as this process has it: running, or a copy of its state kept near, or neither. It goes where the plan wants it.
 *
 *      ┌──────────────────── the plan changed · pause is over ────────────────────┐
 *      ▼                                                                          │
 *   opening ─┬─ standby, warm-up ─► following ────────────────────────────────────┤
 *    ▲  ▲    └─ active ─► restoring ─────────► running ───────────────────────────┤
 *    │  │                     │                   │                               │
 *    │  │                     ├──── FENCED ───────┴─► fenced: until the next plan ┤
 *    │  └── plan ── closed    └─ (all) what passes ─► paused ─────────────────────┘
 *    │                ▲
 *    └── not wanted ──┴── closing              (all) what does not pass ─► failed ─► closing
 *
 * The store stays open and warm for as long as the plan wants the task here in whatever role, so a promotion or a
 * rebalance reopens nothing. What has been closed for long is removed from the disk.
 */
import type { Held, Role } from './assignment.ts'
import type { Clock } from './clock.ts'
import { invariant, MillraceError } from './errors.ts'
import { controlKinds } from './record.ts'
import { changelogOffsetOf, idleSinceOf, idleWrites, lagAt, Restore } from './restore.ts'
import type { Store, Stores } from './store.ts'
import { Task, type TaskParts } from './task.ts'
import { taskName } from './topology.ts'

export type Phase =
  | 'closed'
  | 'opening'
  | 'following'
  | 'restoring'
  | 'running'
  | 'paused'
  | 'fenced'
  | 'failed'
  | 'closing'

const transitions: Readonly<Record<Phase, readonly Phase[]>> = {
  closed: ['opening'],
  opening: ['following', 'restoring', 'paused', 'failed', 'closing'],
  following: ['opening', 'paused', 'failed', 'closing'],
  restoring: ['running', 'opening', 'paused', 'fenced', 'failed', 'closing'],
  running: ['opening', 'paused', 'fenced', 'failed', 'closing'],
  paused: ['opening', 'closing'],
  fenced: ['opening', 'closing'],
  failed: ['closing'],
  closing: ['closed'],
}

export type HostObserver = {
  moved?(task: string, phase: Phase): void
  /** What ended a turn: FENCED, COMMIT_UNKNOWN, an outage; told before it is dealt with. */
  fault?(task: string, error: unknown): void
}

export type HostedTaskParts = Omit<TaskParts, 'store'> & {
  readonly stores: Stores
  readonly clock: Clock
  readonly host: HostObserver
  /** Fails when this process has lost its place: then it must not fence who has the task now. */
  prove(): Promise<void>
  /** A follower has all that is committed; called each time it has. */
  caughtUp(): void
  /** Another process has taken the task, which the plan gave to us. */
  fenced(): void
  /** What no waiting mends. */
  failed(error: unknown): void
}

const tickMs = 1000
/** Without an arrival a task looks for itself, so a reader that died is not taken for a quiet inbox. */
const quietMs = 5000
const pauseMaxMs = 10_000
/** From one small commit to the next at least: a transaction costs the broker the same with one record as with fifty. */
const commitIntervalMs = 40

export class HostedTask {
  readonly name: string
  readonly #parts: HostedTaskParts
  #phase: Phase = 'closed'
  /** What the plan wants, and the generation that said so; null: not here. */
  #wanted: { readonly role: Role; readonly generation: number } | null = null
  /** Ends what goes on in the phase, to look at the plan again. */
  #turn = new AbortController()
  #driving: Promise<void> | undefined
  #store: Store | undefined
  #task: Task | undefined
  /** Where the store stood when it was last looked at; undefined: there is none. */
  #offset: number | undefined
  /** Since when there is a store that the plans do not want; undefined while they do, and where there is none. */
  #idleSinceMs: number | undefined
  /** Has been running under the present plan: its state is all there. */
  #hasRun = false
  #failures = 0
  #polledMs = 0

  constructor(parts: HostedTaskParts) {
    this.#parts = parts
    this.name = taskName(parts.stage.name, parts.partition)
  }

  /** Looks what an earlier life has left on disk. */
  async inspect(): Promise<void> {
    if (!(await this.#parts.stores.has(this.name))) return
    const store = await this.#parts.stores.open(this.name)
    this.#offset = await changelogOffsetOf(store)
    this.#idleSinceMs = await idleSinceOf(store)
    if (this.#idleSinceMs === undefined) await this.#markIdle(store)
    await store.close()
  }

  /** Removes a store that no plan has wanted for so long. It can be restored; none that is in use is touched. */
  async removeIdle(afterMs: number): Promise<void> {
    const { stores, clock } = this.#parts
    if (this.#driving || this.#idleSinceMs === undefined || clock.nowMs() - this.#idleSinceMs < afterMs) return
    this.#offset = undefined
    this.#idleSinceMs = undefined
    // A plan that wants it meanwhile waits for this.
    this.#driving = stores.remove(this.name).finally(() => this.#driveOn())
    await this.#driving
  }

  get phase(): Phase {
    return this.#phase
  }

  get role(): Role | undefined {
    return this.#wanted?.role
  }

  /** While it runs: counters and position, in committed work. */
  get task(): Task | undefined {
    return this.#task
  }

  /** When a running task last had an answer of its inbox, committing what there was; stuck ones fall behind the clock. */
  get polledMs(): number {
    return this.#polledMs
  }

  /** Goes where a plan wants it; null: not here. Returns at once. */
  assign(role: Role | null, generation: number): void {
    const before = this.#wanted
    this.#wanted = role && { role, generation }
    const same = before !== null && role !== null && (before.role === 'active') === (role === 'active')
    if (same && this.#phase !== 'fenced') return
    if (role !== 'active') this.#hasRun = false
    this.#turn.abort()
    if (role) this.#driving ??= this.#drive().catch(this.#parts.failed)
  }

  /** Ends after the batch that is under way, and closes the store. */
  async close(): Promise<void> {
    this.assign(null, -1)
    await this.#driving
  }

  /** What this process has of the task, for the next plan; undefined: nothing. */
  async held(): Promise<Held | undefined> {
    const { log, stage, partition } = this.#parts
    const active = this.#wanted?.role === 'active'
    if (active && this.#hasRun) return { partition, role: 'active', lag: 0 }
    if (this.#store) this.#offset = (await changelogOffsetOf(this.#store)) ?? this.#offset
    // Without any state yet it is as far as a warm-up that begins.
    if (this.#offset === undefined && !this.#wanted) return undefined
    const lag = await lagAt(log, stage.name, partition, this.#offset ?? -1)
    const role = this.#phase === 'fenced' ? 'idle' : active ? 'warmup' : (this.#wanted?.role ?? 'idle')
    return { partition, role, lag }
  }

  async #drive(): Promise<void> {
    while (this.#wanted) {
      this.#move('opening')
      this.#turn = new AbortController()
      const { signal } = this.#turn
      try {
        this.#store ??= await this.#parts.stores.open(this.name)
        if (this.#idleSinceMs !== undefined) await this.#store.write(idleWrites(undefined))
        this.#idleSinceMs = undefined
        if (this.#wanted?.role === 'active') await this.#run(this.#store, signal)
        else if (this.#wanted) await this.#follow(this.#store, signal)
      } catch (error) {
        if (error !== signal.reason) await this.#fault(error, signal)
      }
    }
    this.#move('closing')
    await this.#closeStore()
    this.#move('closed')
    this.#driveOn()
  }

  #driveOn(): void {
    this.#driving = this.#wanted ? this.#drive().catch(this.#parts.failed) : undefined
  }

  async #follow(store: Store, signal: AbortSignal): Promise<void> {
    this.#move('following')
    const restore = await Restore.open({ ...this.#parts, store })
    await restore.follow(() => {
      this.#failures = 0
      this.#parts.caughtUp()
    }, signal)
  }

  async #run(store: Store, signal: AbortSignal): Promise<void> {
    const { log, stage, partition, limits, clock, prove } = this.#parts
    this.#move('restoring')
    await prove()
    signal.throwIfAborted()
    const task = await Task.start({ ...this.#parts, store }, signal)
    const stopTicks = new AbortController()
    try {
      this.#task = task
      this.#hasRun = true
      this.#polledMs = clock.nowMs()
      this.#move('running')
      if (stage.inbox.source) void this.#tick(task, stopTicks.signal)
      while (!signal.aborted) {
        const beganMs = clock.nowMs()
        const stepped = (await task.isItsTurn()) ? await task.step() : 0
        this.#polledMs = clock.nowMs()
        this.#failures = 0
        if (stepped === 0)
          await this.#arrival(log.arrival.bind(log, stage.inbox.name, partition, task.awaitedOffset), signal)
        // While tasks take turns everybody waits for this one.
        else if (stepped < limits.recordsMax / 4 && !task.held)
          await clock.sleep(Math.max(0, beganMs + commitIntervalMs - this.#polledMs), signal)
      }
    } finally {
      stopTicks.abort()
      this.#task = undefined
      await task.release()
    }
  }

  async #arrival(wait: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const quiet = new AbortController()
    const either = AbortSignal.any([signal, quiet.signal])
    void this.#parts.clock.sleep(quietMs, either).then(() => quiet.abort())
    await wait(either)
    quiet.abort()
  }

  /**
   * The log's own time goes into the task's inbox each second: a quiet log still moves on. A tick that is lost is missed by
   * nobody. A log in which nothing has happened has no time yet; the first task to which something does ticks for all.
   */
  async #tick(task: Task, signal: AbortSignal): Promise<void> {
    const { log, stage, partition, codec, clock } = this.#parts
    const { name: topic, partitions } = stage.inbox
    const value = codec.encode('Tick', { writer: 'source', clockMs: 0 })
    const tick = { topic, kind: controlKinds.tick, key: 'source', value, timestampMs: Number.NaN }
    const all = Array.from({ length: partitions }, (_, each) => ({ ...tick, partition: each }))
    let begun = false
    for (;;) {
      await clock.sleep(tickMs, signal)
      if (signal.aborted) return
      if (!task.ticksByWallClock) continue
      await log.append(begun ? [{ ...tick, partition }] : all).then(
        () => {
          begun = true
        },
        () => {},
      )
    }
  }

  async #fault(error: unknown, signal: AbortSignal): Promise<void> {
    const { host, clock, fenced, failed } = this.#parts
    host.fault?.(this.name, error)
    if (error instanceof MillraceError && error.code === 'FENCED') {
      // Never taken up again under this plan: two owners would fence each other for ever.
      this.#hasRun = false
      this.#move('fenced')
      fenced()
      await aborted(signal)
    } else if (this.#passes(error)) {
      this.#move('paused')
      await clock.sleep(Math.min(pauseMaxMs, 100 * 2 ** this.#failures++), signal)
    } else {
      this.#move('failed')
      failed(error)
      this.#wanted = null
    }
  }

  #passes(error: unknown): boolean {
    if (!(error instanceof MillraceError)) return false
    if (error.retryable || error.code === 'DATA_LOCKED') return true
    // The changelog moved on meanwhile: looking at it anew wipes the store. An inbox that did so has lost records.
    return error.code === 'OFFSET_OUT_OF_RANGE' && this.#phase !== 'running'
  }

  async #markIdle(store: Store): Promise<void> {
    this.#idleSinceMs = this.#parts.clock.nowMs()
    await store.write(idleWrites(this.#idleSinceMs))
  }

  async #closeStore(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    this.#hasRun = false
    if (!store) return
    this.#offset = await changelogOffsetOf(store)
    await this.#markIdle(store)
    await store.close()
  }

  #move(to: Phase): void {
    invariant(transitions[this.#phase].includes(to), `a hosted task goes from ${this.#phase} to ${to}`)
    this.#phase = to
    this.#parts.host.moved?.(this.name, to)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
