/** How far a task is: the part of its memory that the checkpoint records. */
import type { Checkpoint } from '../schemas/avro/types.ts'

/** Who ticks in a source inbox while a history is loaded; its last tick is `source`'s again. */
export const historyWriter = 'history'

/** The one clock of a source stage. */
export const logClock = 'log'

export class Progress {
  inputOffset = 0
  commits = 0
  emitted = 0
  sweeping = false
  /** Of a source stage: log time is that of a history that is being loaded. */
  history = false
  generation = 0
  /** The task takes turns: it waits for the next one. */
  held = false
  readonly clocks = new Map<string, number>()
  /** Per tenant, the hash of the definitions in force. */
  readonly definitions = new Map<string, string>()
  readonly counters = new Map<string, number>()

  static of(checkpoint: Checkpoint): Progress {
    const progress = new Progress()
    progress.inputOffset = checkpoint.inputOffset
    progress.commits = checkpoint.commits
    progress.emitted = checkpoint.emitted
    progress.sweeping = checkpoint.sweeping
    progress.history = checkpoint.history
    progress.generation = checkpoint.generation
    progress.held = checkpoint.held
    for (const [writer, clockMs] of Object.entries(checkpoint.clocks)) progress.clocks.set(writer, clockMs)
    for (const [tenant, hash] of Object.entries(checkpoint.definitions)) progress.definitions.set(tenant, hash)
    for (const [name, counted] of Object.entries(checkpoint.counters)) progress.counters.set(name, counted)
    return progress
  }

  checkpoint(): Checkpoint {
    return {
      inputOffset: this.inputOffset,
      commits: this.commits,
      emitted: this.emitted,
      sweeping: this.sweeping,
      history: this.history,
      generation: this.generation,
      held: this.held,
      clocks: Object.fromEntries([...this.clocks].sort(byName)),
      definitions: Object.fromEntries([...this.definitions].sort(byName)),
      counters: Object.fromEntries([...this.counters].sort(byName)),
    }
  }

  clone(): Progress {
    return Progress.of(this.checkpoint())
  }

  count(name: string, by: number): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + by)
  }

  /** Moves a writer's clock forward, never back. Answers whether it moved. */
  advance(writer: string, clockMs: number): boolean {
    if (clockMs <= (this.clocks.get(writer) ?? 0)) return false
    this.clocks.set(writer, clockMs)
    return true
  }

  /** The least clock of the writers; 0 until all have ticked. */
  watermarkMs(writers: readonly string[]): number {
    let least = Number.POSITIVE_INFINITY
    for (const writer of writers) least = Math.min(least, this.clocks.get(writer) ?? 0)
    return Number.isFinite(least) ? least : 0
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
