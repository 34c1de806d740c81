/** Tasks of other processes, as a load of a history sees them: their checkpoints tell how far they are. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { logClock } from '../../runtime/progress.ts'
import { inboxOf, type Topology, taskName } from '../../runtime/topology.ts'
import type { TurnTakers } from '../../runtime/turns.ts'
import { ChangelogTail } from '../changelog-tail.ts'

/** From one look at a task that is awaited to the next, at first and at most. */
const lookMs = { first: 2, max: 20 }
/** A task may be taking a long turn, or have no process. */
const toldAfterMs = 5000

/** Of a task that has never run. */
const noCheckpoint = { inputOffset: 0, held: false, sweeping: false }

export class TasksElsewhere implements TurnTakers {
  /** Those that keep the log's own time. */
  readonly #sources = new Set<string>()
  readonly #tails = new Map<string, ChangelogTail>()

  readonly #waiting: (task: string) => void

  /** `waiting` hears of a task that is waited for, again and again while it is. */
  constructor(
    { log, codec, topology }: { readonly log: Log; readonly codec: Codec; readonly topology: Topology },
    waiting: (task: string) => void,
  ) {
    this.#waiting = waiting
    for (const stage of topology.stages) {
      const { partitions, source } = inboxOf(topology, stage)
      for (let partition = 0; partition < partitions; partition++) {
        const task = taskName(stage.name, partition)
        this.#tails.set(task, new ChangelogTail(log, codec, stage.name, partition))
        if (source) this.#sources.add(task)
      }
    }
  }

  /** Whether log time goes by the wall clock: something has happened, and no history is being loaded. */
  async areLive(): Promise<boolean> {
    let live = false
    for (const [task, tail] of this.#tails) {
      const checkpoint = await tail.checkpoint()
      if (checkpoint?.held) return false
      const time = this.#sources.has(task) ? checkpoint?.clocks[logClock] : undefined
      live ||= time !== undefined && time > 0 && !checkpoint!.history
    }
    return live
  }

  async progress(task: string): Promise<{ inputOffset: number; held: boolean }> {
    return (await this.#tails.get(task)!.checkpoint()) ?? noCheckpoint
  }

  /** However long it takes: a task that has no process has one again some time. */
  async past(task: string, offset: number): Promise<void> {
    const tail = this.#tails.get(task)!
    let tellMs = Date.now() + toldAfterMs
    for (let pauseMs = lookMs.first; ; pauseMs = Math.min(2 * pauseMs, lookMs.max)) {
      const { inputOffset, sweeping } = (await tail.checkpoint()) ?? noCheckpoint
      if (inputOffset > offset && !sweeping) return
      if (Date.now() > tellMs) {
        this.#waiting(task)
        tellMs = Date.now() + 2 * toldAfterMs
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}
