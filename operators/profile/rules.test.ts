import { expect, test } from 'vitest'
import type { EventCondition, EventMatch, Expression } from '../../schemas/definitions.ts'
import { onEvent, segmentOf, shop, traitOf } from '../../test/profile-stage/shop.ts'
import { profileRules } from './rules.ts'

const count = (match: EventMatch, windowMs: number | null, threshold: number): Expression => ({
  op: 'count',
  match,
  windowMs,
  comparison: '>=',
  threshold,
})
const dear = (value: number): EventCondition => ({
  op: 'compare',
  path: { in: 'event', path: ['amount'] },
  comparison: '>',
  value,
})

test('equal matches share one aggregate, as wide as the widest asks', () => {
  const [one, other] = [onEvent('view'), onEvent('view')]
  const rules = profileRules(
    shop({
      traits: [traitOf('ever', 'number', { kind: 'count', match: onEvent('view'), windowMs: null })],
      segments: [
        segmentOf('a', count(one, 1_000, 3)),
        segmentOf('b', { op: 'not', of: { op: 'and', of: [count(other, null, 50), count(onEvent('view'), 9, 7)] } }),
        segmentOf('c', { op: 'absent', match: onEvent('buy'), windowMs: 5, after: onEvent('view') }),
      ],
    }),
  )
  expect(rules.matches.get(one)).toBe(rules.matches.get(other))
  expect(rules.matches.get(one)?.caps).toEqual({ newest: 8, values: 0 })
  expect(rules.aggregates.size).toBe(2)
})

test('the order of members in a condition is no difference, its values are', () => {
  const match = (where: EventCondition): EventMatch => ({ event: 'buy', where })
  const { path, comparison, value, op } = dear(5) as Extract<EventCondition, { readonly op: 'compare' }>
  const [one, same, other] = [match(dear(5)), match({ value, comparison, op, path }), match(dear(6))]
  const rules = profileRules(
    shop({ segments: [one, same, other].map((each, i) => segmentOf(`s${i}`, count(each, 1, 1))) }),
  )
  expect(rules.matches.get(one)).toBe(rules.matches.get(same))
  expect(rules.matches.get(one)).not.toBe(rules.matches.get(other))
})

test('an event meets the rules of its name and those of every event', () => {
  const rules = profileRules(
    shop({
      traits: [
        traitOf('views', 'number', { kind: 'count', match: onEvent('view'), windowMs: 10 }),
        traitOf('all', 'number', { kind: 'count', match: onEvent(null), windowMs: null }),
      ],
    }),
  )
  expect(rules.forEvent('view')).toMatchObject({ aggregates: { length: 2 }, windowed: true })
  expect(rules.forEvent('buy')).toMatchObject({ aggregates: { length: 1 }, windowed: false })
  expect(rules.forEvent(null)).toMatchObject({ aggregates: { length: 1 }, windowed: false })
  expect(rules.forEvent('constructor')).toBe(rules.forEvent('buy'))
})

test('rules are compiled once for a set of definitions', () => {
  const definitions = shop({})
  expect(profileRules(definitions)).toBe(profileRules(definitions))
  expect(profileRules(undefined).traits.size).toBe(0)
})
