/** Exact decimals as text in one canonical form: no exponent, no padding zeros, no negative zero. */
import Big from 'big.js'

/** Digits before and after the point; what is longer is no amount of anything, and would let state grow without bound. */
const integerDigitsMax = 30
const fractionDigitsMax = 18

const decimalText = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i
const textLengthMax = 64

/** The canonical decimal of a number or a text; undefined when it is none, or too long. */
export function decimalOf(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  if (text.length > textLengthMax || !decimalText.test(text)) return undefined
  const number = new Big(text)
  const { e: exponent, c: digits } = number
  if (exponent >= integerDigitsMax || digits.length - 1 - exponent > fractionDigitsMax) return undefined
  return canonical(number)
}

export function addDecimals(a: string, b: string): string {
  return canonical(new Big(a).plus(b))
}

/** Negative, zero or positive, as a is less than, equal to or more than b. */
export function compareDecimals(a: string, b: string): number {
  const difference = Number(a) - Number(b)
  // Doubles keep the order of decimals, but may take two that differ for equal.
  return difference !== 0 ? difference : new Big(a).cmp(b)
}

function canonical(number: Big): string {
  const text = number.toFixed()
  return text === '-0' ? '0' : text
}
