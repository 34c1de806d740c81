/** Runs all tasks of a topology in one process: side by side for live work, or one step at a time for repeatable work. */
import type { Codec } from './codec.ts'
import { MillraceError } from './errors.ts'
import type { Log } from './log.ts'
import { controlKinds } from './record.ts'
import { stageOf } from './stage.ts'
import type { Stores } from './store.ts'
import { type DefinitionSource, Task, type TaskLimits, type TaskObserver } from './task.ts'
import { inboxOf, type Topology, taskName } from './topology.ts'

export type RunnerParts = {
  readonly topology: Topology
  readonly log: Log
  readonly stores: Stores
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly limits: TaskLimits
  readonly observer: TaskObserver
  /** The stages to run here, all of them if not said; others run elsewhere. */
  readonly stages?: readonly string[]
}

type Seat = { readonly stage: string; readonly partition: number; task: Task }

/**
 * The tasks of a topology, in the order of its stages.
 *
 * `drain` runs one step at a time, always of the first task that has something to read. What comes next thus depends
 * on nothing but committed state, so a run that was killed and taken up again commits the very same steps.
 */
export class Runner {
  readonly #parts: RunnerParts
  readonly #seats: Seat[]
  readonly #stop = new AbortController()
  #loops: Promise<void>[] = []
  #ticker: NodeJS.Timeout | undefined

  private constructor(parts: RunnerParts, seats: Seat[]) {
    this.#parts = parts
    this.#seats = seats
  }

  static async start(parts: RunnerParts): Promise<Runner> {
    const seats: Seat[] = []
    for (const { name } of parts.topology.stages) {
      if (parts.stages && !parts.stages.includes(name)) continue
      const { partitions } = stageOf(parts.topology, name).inbox
      for (let partition = 0; partition < partitions; partition++) {
        seats.push({ stage: name, partition, task: await startTask(parts, name, partition) })
      }
    }
    return new Runner(parts, seats)
  }

  get tasks(): readonly Task[] {
    return this.#seats.map(({ task }) => task)
  }

  /** Sums over all tasks of what they counted. */
  counters(): Map<string, number> {
    const sums = new Map<string, number>()
    for (const { task } of this.#seats)
      for (const [name, counted] of task.counters) sums.set(name, (sums.get(name) ?? 0) + counted)
    return sums
  }

  /** Steps until no task has anything to read. Repeatable: the same log gives the same steps. */
  async drain(): Promise<void> {
    for (let i = 0; i < this.#seats.length; ) {
      const stepped = await this.#seats[i]!.task.step()
      i = stepped > 0 ? 0 : i + 1
    }
  }

  /** Runs all tasks side by side until `stop`. A task that fails for a passing reason starts anew; `onFatal` hears of others. */
  run(onFatal: (error: unknown) => void): void {
    this.#loops = this.#seats.map((seat) => this.#loop(seat).catch(onFatal))
  }

  /** Each second the log's own time goes into every partition of the source inboxes: a quiet log still moves on. */
  tick(everyMs = 1000): void {
    const sources = this.#parts.topology.stages
      .map((stage) => inboxOf(this.#parts.topology, stage))
      .filter(({ source }) => source)
    const records = sources.flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => {
        const value = this.#parts.codec.encode('Tick', { writer: 'source', clockMs: 0 })
        return { topic: name, partition, kind: controlKinds.tick, key: 'source', value, timestampMs: Number.NaN }
      }),
    )
    this.#ticker = setInterval(() => void this.#parts.log.append(records).catch(() => undefined), everyMs)
  }

  /** Stops after the batches that are under way. What is left in the inboxes waits in the log. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker)
    this.#stop.abort()
    await Promise.all(this.#loops)
    for (const { task } of this.#seats) await task.close()
  }

  async #loop(seat: Seat): Promise<void> {
    const inbox = stageOf(this.#parts.topology, seat.stage).inbox.name
    let failures = 0
    while (!this.#stop.signal.aborted) {
      try {
        if (failures > 0) seat.task = await startTask(this.#parts, seat.stage, seat.partition)
        failures = 0
        const stepped = await seat.task.step()
        if (stepped === 0)
          await this.#parts.log.arrival(inbox, seat.partition, seat.task.inputOffset, this.#stop.signal)
      } catch (error) {
        if (!(error instanceof MillraceError && error.retryable)) throw error
        await seat.task.close()
        await pause(Math.min(10_000, 100 * 2 ** failures++), this.#stop.signal)
      }
    }
  }
}

async function startTask(parts: RunnerParts, stage: string, partition: number): Promise<Task> {
  const store = await parts.stores.open(taskName(stage, partition).replace('/', '-'))
  return Task.start({ ...parts, stage: stageOf(parts.topology, stage), partition, store })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
