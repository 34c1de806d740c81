/** The shop by the wall clock, for a demo: its visitors' visits last seconds, so that something happens at once. */
import type { Catalogue } from './catalogue.ts'
import { type FaultRates, usualFaults } from './faults.ts'
import { type Arrival, Shop } from './shop.ts'

export type LiveShopOptions = {
  readonly seed: number
  /** Tells this run from others of the seed: same people, other visits and event ids. */
  readonly run: number | string
  readonly visitors: number
  /** On average. */
  readonly eventsPerSecond?: number
  readonly faults?: FaultRates
  readonly catalogue?: Catalogue
}

export type LiveShop = {
  /** What arrives between the last call and this one, at most `arrivalsMax`; times are by the caller's clock. */
  next(nowMs: number): readonly Arrival[]
}

const arrivalsMax = 5_000
/** A longer silence between two calls (the machine slept) is left out of the shop's time. */
const silenceMsMax = 5_000

export function createShop({
  seed,
  run,
  visitors,
  eventsPerSecond = 20,
  faults = usualFaults,
  catalogue,
}: LiveShopOptions): LiveShop {
  let shop: Shop | undefined
  let lastMs = 0
  let skippedMs = 0
  const open = (startMs: number): Shop =>
    new Shop({
      seed,
      run,
      visitors,
      startMs,
      thinkMs: 2_500,
      delayMs: 30_000,
      faults,
      schedule: ({ arrivals, visits, met }) => ({
        gapMs: ((arrivals + 40) / (visits + 10) / eventsPerSecond) * 1000,
        newcomer: met === 0 ? 1 : 0.5 * (1 - met / visitors),
      }),
      ...(catalogue && { catalogue }),
    })

  return {
    next(nowMs) {
      shop ??= open(nowMs)
      if (lastMs !== 0) skippedMs += Math.max(0, nowMs - lastMs - silenceMsMax)
      lastMs = nowMs
      const due: Arrival[] = []
      while (due.length < arrivalsMax) {
        const arrival = shop.next(nowMs - skippedMs)
        if (!arrival) break
        if (arrival.flaw === 'truncated') continue // its carrier would have to break it
        due.push(skippedMs === 0 ? arrival : shifted(arrival, skippedMs))
      }
      return due
    },
  }
}

/** The arrival as it is by the caller's clock. */
function shifted(arrival: Arrival, byMs: number): Arrival {
  const shift = (text: string | undefined): string => String(Number(text) + byMs)
  const { params } = arrival
  return {
    ...arrival,
    atMs: arrival.atMs + byMs,
    params: { ...params, dtm: shift(params['dtm']), stm: shift(params['stm']) },
  }
}
