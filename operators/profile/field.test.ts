import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FieldState } from '../../schemas/avro/types.ts'
import { boundedText, type FieldOrder, fieldValue, joinFields } from './field.ts'

const stamp = (value: FieldState['value'], eventTimeMs: number, eventId: string, trust = 1): FieldState => ({
  value,
  eventTimeMs,
  source: 'test',
  trust,
  eventId,
})

const winner = (policy: FieldOrder['policy'], a: FieldState, b: FieldState, type: FieldOrder['type'] = 'number') => {
  const won = joinFields({ policy, type }, a, b)
  expect(joinFields({ policy, type }, b, a)).toEqual(won)
  return won.eventId
}

test('recency: the more trusted, then the newer, then the larger event id', () => {
  expect(winner('recency', stamp(1, 5, 'a'), stamp(2, 9, 'b'))).toBe('b')
  expect(winner('recency', stamp(1, 5, 'a', 2), stamp(2, 9, 'b', 1))).toBe('a')
  expect(winner('recency', stamp(1, 5, 'a'), stamp(2, 5, 'b'))).toBe('b')
})

test('first, max and min: ties go to the larger event id', () => {
  expect(winner('first', stamp(1, 5, 'a'), stamp(2, 9, 'b'))).toBe('a')
  expect(winner('first', stamp(1, 5, 'a'), stamp(2, 5, 'b'))).toBe('b')
  expect(winner('max', stamp(3, 5, 'a'), stamp(2, 9, 'b'))).toBe('a')
  expect(winner('max', stamp(2, 9, 'a'), stamp(2, 5, 'b'))).toBe('b')
  expect(winner('min', stamp(3, 5, 'a'), stamp(2, 9, 'b'))).toBe('b')
  expect(winner('max', stamp('9', 5, 'a'), stamp('10', 5, 'b'), 'decimal')).toBe('b')
  expect(winner('max', stamp('9', 5, 'a'), stamp('10', 5, 'b'), 'string')).toBe('a')
})

test('a value takes the form of its type, or is none', () => {
  expect(fieldValue('string', 7)).toBe('7')
  expect(fieldValue('number', ' 7.5 ')).toBe(7.5)
  expect(fieldValue('number', '')).toBe(undefined)
  expect(fieldValue('number', true)).toBe(undefined)
  expect(Object.is(fieldValue('number', -0), 0)).toBe(true)
  expect(fieldValue('boolean', 'true')).toBe(undefined)
  expect(fieldValue('decimal', '1.50')).toBe('1.5')
  expect(fieldValue('timestamp', '2026-01-01T00:00:00Z')).toBe(Date.UTC(2026, 0, 1))
  expect(fieldValue('timestamp', 'tomorrow')).toBe(undefined)
})

test('texts stay below their bound and can be written as UTF-8', () => {
  expect(boundedText('x'.repeat(1_024))).toHaveLength(1_024)
  expect(boundedText('x'.repeat(1_025))).toBe(undefined)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bounded = boundedText(text)!
      expect(Buffer.from(bounded).toString()).toBe(bounded)
    }),
  )
  expect(boundedText('a\uD800b')).toBe('a\uFFFDb')
  expect(boundedText('👟')).toBe('👟')
})

const values = { number: fc.nat(3), decimal: fc.constantFrom('0', '1', '1.5', '10'), boolean: fc.boolean() }
const orders = fc.record({
  policy: fc.constantFrom<FieldOrder['policy']>('recency', 'first', 'max', 'min'),
  type: fc.constantFrom('number' as const, 'decimal' as const, 'boolean' as const),
})
const cases = orders.chain(({ policy, type }) => {
  const field = fc.record({
    value: values[type],
    eventTimeMs: fc.nat(2),
    source: fc.constantFrom('x', 'y'),
    trust: fc.nat(1),
    eventId: fc.constantFrom('e1', 'e2'),
  })
  return fc.tuple(fc.constant({ policy, type }), field, field, field)
})

test('joining is commutative, associative and idempotent', () => {
  fc.assert(
    fc.property(cases, ([order, a, b, c]) => {
      const join = (x: FieldState, y: FieldState) => joinFields(order, x, y)
      expect(join(a, b)).toEqual(join(b, a))
      expect(join(join(a, b), c)).toEqual(join(a, join(b, c)))
      expect(join(a, a)).toEqual(a)
    }),
    { numRuns: 2_000 },
  )
})
