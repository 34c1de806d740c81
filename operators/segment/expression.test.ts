import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Expression, TraitDefinition } from '../../schemas/definitions.ts'
import { holdsAt, oracleEvents, oracleExpressions, oracleTraits } from '../../test/profile-stage/oracle.ts'
import { type EventParts, onEvent, segmentOf, shop, traitOf, viewOf } from '../../test/profile-stage/shop.ts'
import { compileExpression, eventsOf } from './expression.ts'

const horizonMs = 60

function evaluate(expression: Expression, events: readonly EventParts[], clockMs: number, pending = false) {
  const definitions = shop({ traits: oracleTraits, segments: [segmentOf('s', expression)] })
  const traits = new Map(oracleTraits.map((trait) => [trait.id, trait]))
  return compileExpression(expression, traits)(viewOf(definitions, events), clockMs, pending)
}

test('a verdict is what a plain look at all events says, and stands until it says', () => {
  fc.assert(
    fc.property(oracleExpressions, oracleEvents, fc.nat(40), (expression, events, clockMs) => {
      const { holds, untilMs, sinceMs } = evaluate(expression, events, clockMs)
      expect(holds).toBe(holdsAt(expression, events, clockMs))
      expect(untilMs).toBeGreaterThan(clockMs)
      for (let atMs = clockMs + 1; atMs < Math.min(untilMs, horizonMs); atMs++) {
        expect(holdsAt(expression, events, atMs)).toBe(holds)
      }
      expect(sinceMs).toBeLessThanOrEqual(Math.max(clockMs, ...events.map((event) => event.atMs)))
    }),
    { numRuns: 400 },
  )
})

test('a leaf that can change does so exactly when it says', () => {
  const leaves = oracleExpressions.filter(({ op }) => op === 'absent' || op === 'count')
  fc.assert(
    fc.property(leaves, oracleEvents, fc.nat(40), (expression, events, clockMs) => {
      const { holds, untilMs } = evaluate(expression, events, clockMs)
      // `==` and `!=` are two leaves in one: the nearer deadline may be the other's.
      fc.pre(expression.op !== 'count' || (expression.comparison !== '==' && expression.comparison !== '!='))
      if (Number.isFinite(untilMs)) expect(holdsAt(expression, events, untilMs)).toBe(!holds)
    }),
    { numRuns: 200 },
  )
})

test('what is certain while events are missing stays so, whatever they are, until it says', () => {
  const seen = { certain: 0, unknown: 0 }
  fc.assert(
    fc.property(oracleExpressions, oracleEvents, oracleEvents, fc.nat(40), (expression, known, missing, clockMs) => {
      const { holds, untilMs } = evaluate(expression, known, clockMs, true)
      expect(untilMs).toBeGreaterThan(clockMs)
      seen[holds === 'unknown' ? 'unknown' : 'certain'] += 1
      if (holds === 'unknown') return
      const all = [...known, ...missing.map((event, i) => ({ ...event, id: `m${i}` }))]
      for (let atMs = clockMs; atMs < Math.min(untilMs, horizonMs); atMs++) {
        expect(holdsAt(expression, all, atMs)).toBe(holds)
      }
    }),
    { numRuns: 400 },
  )
  expect(Math.min(seen.certain, seen.unknown)).toBeGreaterThan(100)
})

test('an event of a name that is not listed changes no verdict', () => {
  const traits = new Map(oracleTraits.map((trait) => [trait.id, trait]))
  fc.assert(
    fc.property(oracleExpressions, oracleEvents, oracleEvents, fc.nat(40), (expression, events, more, clockMs) => {
      const names = eventsOf(expression, traits)
      fc.pre(!names.has(null))
      const others = more.filter(({ name }) => !names.has(name)).map((event, i) => ({ ...event, id: `m${i}` }))
      expect(evaluate(expression, [...events, ...others], clockMs)).toEqual(evaluate(expression, events, clockMs))
    }),
    { numRuns: 400 },
  )
})

const amount = [{ in: 'event' as const, path: ['amount'] }]

function traitHolds(trait: TraitDefinition, expression: Expression, data: unknown): boolean | 'unknown' {
  const definitions = shop({ traits: [trait], segments: [segmentOf('s', expression)] })
  const view = viewOf(definitions, [{ name: 'a', atMs: 0, data }])
  return compileExpression(expression, new Map([[trait.id, trait]]))(view, 0, false).holds
}

test('decimals compare exactly, times with the time a text names, and a count of a trait stops where the trait does', () => {
  const spent = traitOf('spent', 'decimal', { kind: 'sum', match: onEvent('a'), value: amount })
  const over = (value: number): Expression => ({ op: 'trait', trait: 'spent', comparison: '>', value })
  expect(traitHolds(spent, over(0.3), { amount: '0.300000000000000001' })).toBe(true)
  expect(traitHolds(spent, over(0.3), { amount: '0.300' })).toBe(false)

  const seenAt = traitOf('seen', 'timestamp', {
    kind: 'field',
    policy: 'recency',
    match: onEvent('a'),
    value: amount,
    trust: 1,
  })
  const before = (value: string): Expression => ({ op: 'trait', trait: 'seen', comparison: '<', value })
  expect(traitHolds(seenAt, before('2026-01-02'), { amount: '2026-01-01T23:59:59Z' })).toBe(true)
  expect(traitHolds(seenAt, before('2026-01-02'), { amount: '2026-01-02T00:00:00Z' })).toBe(false)
  expect(traitHolds(seenAt, before('no date'), { amount: '2026-01-02T00:00:00Z' })).toBe(false)

  const often = traitOf('often', 'number', { kind: 'count', match: onEvent('a'), windowMs: 10 })
  expect(traitHolds(often, { op: 'trait', trait: 'often', comparison: '<=', value: 512 }, {})).toBe(true)
  expect(traitHolds(often, { op: 'trait', trait: 'often', comparison: '>', value: 512 }, {})).toBe(false)
})

test('a segment that names no trait there is does not compile', () => {
  const has: Expression = { op: 'has', trait: 'nowhere' }
  expect(() => compileExpression(has, new Map())).toThrow('a segment names traits that are defined (nowhere)')
})
