import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addDecimals, compareDecimals, decimalOf } from './decimal.ts'

test('one amount has one text', () => {
  expect(['10.50', '10.5', ' 010.5 ', 10.5, '1.05e1'].map(decimalOf)).toEqual(Array(5).fill('10.5'))
  expect([0, -0, '-0.00', '0.', '0e9'].map(decimalOf)).toEqual(Array(5).fill('0'))
  expect(decimalOf('-.5')).toBe('-0.5')
})

test('what is no decimal, or could grow without bound, is none', () => {
  const refused = [
    '',
    ' ',
    '.',
    '-',
    '1,5',
    '0x10',
    'Infinity',
    'NaN',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    null,
    {},
  ]
  const huge = ['1e30', '9'.repeat(31), '1e999', '1e-19', `0.${'0'.repeat(18)}1`, '1'.repeat(65)]
  expect([...refused, ...huge].map(decimalOf)).toEqual(Array(refused.length + huge.length).fill(undefined))
  expect(decimalOf('9'.repeat(30))).toBe('9'.repeat(30))
  expect(decimalOf('1e-18')).toBe('0.000000000000000001')
})

const cents = fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n })
const textOf = (value: bigint) =>
  decimalOf(`${value < 0n ? '-' : ''}${abs(value) / 100n}.${String(abs(value) % 100n).padStart(2, '0')}`)!
const abs = (value: bigint) => (value < 0n ? -value : value)

test('sums and comparisons are those of whole cents', () => {
  fc.assert(
    fc.property(cents, cents, (a, b) => {
      expect(addDecimals(textOf(a), textOf(b))).toBe(textOf(a + b))
      expect(Math.sign(compareDecimals(textOf(a), textOf(b)))).toBe(a < b ? -1 : a > b ? 1 : 0)
      expect(compareDecimals(textOf(a), textOf(a))).toBe(0)
    }),
  )
  expect(compareDecimals('0.3', '0.300000000000000001')).toBeLessThan(0)
})
