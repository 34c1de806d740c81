/** Time, for what has to wait: sessions, back-off, ticks, budgets. Nothing that a task commits depends on it. */

export type Clock = {
  nowMs(): number
  /** Resolves when the time has passed, or when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const timer = setTimeout(end, ms)
      function end(): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      signal.addEventListener('abort', end)
    }),
}

/** What the work answers, or undefined when it takes longer; it is then left to itself. Its failure is the caller's. */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  const timeout = new AbortController()
  try {
    return await Promise.race([work, clock.sleep(ms, timeout.signal).then(() => undefined)])
  } finally {
    timeout.abort()
    work.catch(() => undefined)
  }
}
