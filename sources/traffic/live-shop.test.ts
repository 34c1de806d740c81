import { describe, expect, test } from 'vitest'
import { createShop } from './live-shop.ts'
import type { Arrival } from './shop.ts'

const startMs = Date.UTC(2025, 5, 1, 12)

/** Calls `next` each 100 ms for so many seconds. */
function watch(shop: ReturnType<typeof createShop>, seconds: number, fromMs = startMs): Arrival[] {
  return Array.from({ length: seconds * 10 }, (_, tick) => shop.next(fromMs + tick * 100)).flat()
}

const eventOf = ({ params }: Arrival): string =>
  params['ue_px']
    ? JSON.parse(Buffer.from(params['ue_px'], 'base64url').toString()).data.schema.split('/')[1]
    : params['e']!

describe('a live shop', () => {
  test('within ten seconds its visitors look at products; within two minutes they sign up and buy', () => {
    const shop = createShop({ seed: 1, run: 1, visitors: 500 })
    const early = watch(shop, 10).map(eventOf)
    expect(early.length).toBeGreaterThan(40)
    expect(early).toContain('product_view')
    const later = watch(shop, 110, startMs + 10_000).map(eventOf)
    expect(later).toEqual(expect.arrayContaining(['sign_up', 'add_to_cart', 'purchase', 'consent_preferences']))
  })

  test('keeps to its rate and brings people back on a second device', () => {
    const arrivals = watch(createShop({ seed: 2, run: 1, visitors: 300, eventsPerSecond: 50 }), 120)
    expect(arrivals.length / 120).toBeGreaterThan(35)
    expect(arrivals.length / 120).toBeLessThan(65)
    const devices = new Map<string, Set<string>>()
    for (const { params } of arrivals) {
      const { uid, duid } = params
      if (uid && duid) devices.set(uid, (devices.get(uid) ?? new Set()).add(duid))
    }
    expect([...devices.values()].some((ids) => ids.size > 1)).toBe(true)
  })

  test('all times are between the call before and this one, or earlier for what was late', () => {
    const shop = createShop({ seed: 3, run: 1, visitors: 100 })
    for (let nowMs = startMs; nowMs < startMs + 30_000; nowMs += 250) {
      for (const { atMs, params, flaw } of shop.next(nowMs)) {
        expect(atMs).toBeLessThanOrEqual(nowMs)
        expect(atMs).toBeGreaterThan(nowMs - 250)
        if (!flaw) expect(Number(params['dtm'])).toBeLessThanOrEqual(Number(params['stm']))
      }
    }
  })

  test('after the machine slept there is no flood', () => {
    const shop = createShop({ seed: 4, run: 1, visitors: 100 })
    watch(shop, 5)
    const wokeMs = startMs + 3_600_000
    const arrivals = shop.next(wokeMs)
    expect(arrivals.length).toBeLessThan(300)
    for (const { atMs } of arrivals) expect(atMs).toBeGreaterThan(wokeMs - 10_000)
  })

  test('another run has the same people do other things', () => {
    const [first, again, other] = [1, 1, 2].map((run) => watch(createShop({ seed: 5, run, visitors: 50 }), 20))
    expect(again).toEqual(first)
    const idsOf = (arrivals: Arrival[] | undefined, name: string) =>
      new Set(arrivals!.map(({ params }) => params[name]))
    const common = (name: string) =>
      [...idsOf(first, name)].filter((id) => id !== undefined && idsOf(other, name).has(id))
    expect(common('duid').length).toBeGreaterThan(5)
    expect(common('eid')).toEqual([])
  })
})
