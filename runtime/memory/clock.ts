/** A clock that is moved by hand: who sleeps wakes in the order of deadlines, each at its own. For tests and simulators. */
import type { Clock } from '../clock.ts'

type Sleeper = { readonly atMs: number; readonly wake: () => void }

export class HandClock implements Clock {
  readonly #settle: () => Promise<void>
  #nowMs: number
  #sleepers: Sleeper[] = []

  /** `settle` lets what has been woken run, until it waits again. */
  constructor(options: { readonly startMs?: number; readonly settle: () => Promise<void> }) {
    this.#nowMs = options.startMs ?? 0
    this.#settle = options.settle
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const sleeper = { atMs: this.#nowMs + ms, wake: end }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', end)
    })
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await this.#settle()
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.wake()
      await this.#settle()
    }
    this.#nowMs = untilMs
  }

  /** The earliest due; of equals, who has slept longest. */
  #next(untilMs: number): Sleeper | undefined {
    let first: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs <= untilMs && (!first || sleeper.atMs < first.atMs)) first = sleeper
    }
    return first
  }
}
