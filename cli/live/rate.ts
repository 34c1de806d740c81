/** How fast a count rises, over the last seconds. */
export class Rate {
  readonly #windowMs: number
  readonly #samples: { readonly atMs: number; readonly count: number }[] = []

  constructor(windowMs = 5000) {
    this.#windowMs = windowMs
  }

  /** Takes a sample, and answers the rise a second, over the window or since the sample before it. */
  sample(atMs: number, count: number): number {
    while (this.#samples.length > 1 && this.#samples[1]!.atMs <= atMs - this.#windowMs) this.#samples.shift()
    this.#samples.push({ atMs, count })
    const first = this.#samples[0]!
    return atMs > first.atMs ? ((count - first.count) * 1000) / (atMs - first.atMs) : 0
  }
}
