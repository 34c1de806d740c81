import { expect, test } from 'vitest'
import { Latency } from './latency.ts'

test('quantiles to three figures, of all that was recorded', () => {
  const latency = new Latency()
  expect(latency.quantiles()).toBeNull()
  for (let ms = 1; ms <= 1000; ms++) latency.record(ms)
  const { p50, p95, p99 } = latency.quantiles()!
  expect([p50 / 500, p95 / 950, p99 / 990].every((ratio) => Math.abs(ratio - 1) < 0.005)).toBe(true)
})

test('a weight counts as many times; what is below a microsecond or above an hour is taken as that', () => {
  const latency = new Latency()
  latency.record(0, 99)
  latency.record(1e12)
  expect(latency.quantiles()!.p50).toBeCloseTo(0.001)
  expect(latency.quantiles()!.p99).toBeCloseTo(0.001)
})

test('what is two turns old is forgotten', () => {
  const latency = new Latency()
  latency.record(100)
  latency.turn()
  expect(latency.quantiles()!.p50).toBeCloseTo(100, 0)
  latency.turn()
  expect(latency.quantiles()).toBeNull()
})
