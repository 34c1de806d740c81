/** Readers that wait for the stable end of one partition to pass their offset. */
export class Arrivals {
  #waiting: { readonly offset: number; readonly wake: () => void }[] = []

  /** Resolves once `wake` has been called with a stable end beyond the offset, or when the signal aborts. */
  wait(offset: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const waiter = {
        offset,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter)
        resolve()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  wake(stable: number): void {
    if (this.#waiting.length === 0) return
    const due = this.#waiting.filter(({ offset }) => offset < stable)
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter(({ offset }) => offset >= stable)
    for (const { wake } of due) wake()
  }
}
