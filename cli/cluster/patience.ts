/** What a process does while Kafka or the schema registry is not there: it waits, says so, and tries again. */
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../runtime/backoff.ts'
import { MillraceError } from '../../runtime/errors.ts'

const waits = { baseMs: 500, capMs: 5000 }

export class Patience {
  readonly #signal: AbortSignal
  readonly #tell: (error: MillraceError, waitMs: number) => void
  #missing: string | null = null

  /** `tell` hears of each attempt that failed; the signal ends the waiting. */
  constructor(signal: AbortSignal, tell: (error: MillraceError, waitMs: number) => void) {
    this.#signal = signal
    this.#tell = tell
  }

  /** What is being waited for; null while nothing is. */
  get missing(): string | null {
    return this.#missing
  }

  /**
   * Tries until it works. Throws what no waiting mends, such as wrong settings, at once, and the signal's reason when it
   * aborts.
   */
  async until<Result>(attempt: () => Promise<Result>): Promise<Result> {
    for (let failures = 0; ; failures++) {
      this.#signal.throwIfAborted()
      try {
        const result = await attempt()
        this.#missing = null
        return result
      } catch (error) {
        if (!(error instanceof MillraceError && error.retryable)) throw error
        const waitMs = waits.baseMs + backoffMs(failures, waits, null, Math.random)
        this.#missing = `waiting: ${error.message}`
        this.#tell(error, waitMs)
        await delay(waitMs, undefined, { signal: this.#signal }).catch(() => {})
      }
    }
  }
}
