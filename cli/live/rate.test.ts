import { expect, test } from 'vitest'
import { Rate } from './rate.ts'

test('the rise over the last seconds, however often it is sampled', () => {
  for (const everyMs of [100, 500, 5000, 20_000]) {
    const rate = new Rate(5000)
    let shown = Number.NaN
    for (let ms = 0; ms <= 100_000; ms += everyMs) shown = rate.sample(ms, ms / 20)
    expect(shown).toBeCloseTo(50)
  }
})

test('a count that stands still has no rate once the window has passed, nor has the first sample', () => {
  const rate = new Rate(5000)
  expect(rate.sample(0, 1000)).toBe(0)
  expect(rate.sample(1000, 1100)).toBe(100)
  for (let ms = 2000; ms <= 6000; ms += 1000) rate.sample(ms, 1100)
  expect(rate.sample(7000, 1100)).toBe(0)
})
