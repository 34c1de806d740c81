/** Quantiles of durations, in milliseconds with microseconds behind the point. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export type Quantiles = { readonly p50: number; readonly p95: number; readonly p99: number }

const longestUs = 3_600_000_000

export class Latency {
  #young: RecordableHistogram = newHistogram()
  #old: RecordableHistogram | undefined

  /** `times`: how many took so long. */
  record(ms: number, times = 1): void {
    const us = Math.min(longestUs, Math.max(1, Math.round(ms * 1000)))
    for (let i = 0; i < times; i++) this.#young.record(us)
  }

  /** Forgets what was recorded before the last turn: called each half minute, quantiles speak of the last minute or less. */
  turn(): void {
    this.#old = this.#young
    this.#young = newHistogram()
  }

  /** Null while there is nothing to tell of. */
  quantiles(): Quantiles | null {
    const all = newHistogram()
    all.add(this.#young)
    if (this.#old) all.add(this.#old)
    if (all.count === 0) return null
    const of = (percentile: number): number => all.percentile(percentile) / 1000
    return { p50: of(50), p95: of(95), p99: of(99) }
  }
}

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: longestUs, figures: 3 })
}
