import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Random } from './random.ts'

describe('random numbers', () => {
  test('a seed gives one stream, and any part of the seed changes it', () => {
    const first = (...seed: (number | string)[]) => {
      const random = new Random(...seed)
      return Array.from({ length: 4 }, () => random.uint32())
    }
    expect(first(7, 'a', 1)).toEqual(first(7, 'a', 1))
    expect(first(7, 'a', 1)).not.toEqual(first(7, 'a', 2))
    expect(first(7, 'a', 1)).not.toEqual(first(8, 'a', 1))
  })

  test('is spread evenly', () => {
    const random = new Random(1)
    const buckets = new Array<number>(16).fill(0)
    for (let i = 0; i < 160_000; i++) buckets[random.below(16)]!++
    for (const n of buckets) expect(Math.abs(n - 10_000)).toBeLessThan(500)
  })

  test('every draw stays within its bounds', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 1_000 }),
        fc.double({ min: 0, max: 0.95, noNaN: true }),
        (seed, count, exponent) => {
          const random = new Random(seed)
          for (let i = 0; i < 50; i++) {
            for (const index of [random.below(count), random.zipf(count, exponent)]) {
              expect(Number.isInteger(index) && index >= 0 && index < count).toBe(true)
            }
            const waitMs = random.exponential(count)
            expect(waitMs >= 0 && Number.isFinite(waitMs)).toBe(true)
            expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a power law prefers the first', () => {
    const random = new Random(1)
    const draws = Array.from({ length: 10_000 }, () => random.zipf(1_000))
    expect(draws.filter((index) => index < 10).length).toBeGreaterThan(2_000)
    expect(draws.filter((index) => index >= 500).length).toBeGreaterThan(500)
  })
})
