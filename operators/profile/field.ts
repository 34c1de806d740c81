/** Fields: the winning value of a trait, by a policy that is a total order, so that order of arrival decides nothing. */
import type { FieldState } from '../../schemas/avro/types.ts'
import type { Literal, TraitType } from '../../schemas/definitions.ts'
import { compareDecimals, decimalOf } from '../decimal.ts'

/** What decides between two values of a trait. */
export type FieldOrder = { readonly policy: 'recency' | 'first' | 'max' | 'min'; readonly type: TraitType }

export type FieldValue = FieldState['value']

/** A text longer than this is no trait, and is left out. */
const textLengthMax = 1_024

/** The value in the form of the trait's type; undefined when it is not of that type. */
export function fieldValue(type: TraitType, value: Literal): FieldValue | undefined {
  switch (type) {
    case 'string':
      return boundedText(String(value))
    case 'list': {
      const text = boundedText(String(value))
      return text === undefined ? undefined : [text]
    }
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'number': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
      return typeof number === 'number' && Number.isFinite(number) ? number + 0 : undefined
    }
    case 'decimal':
      return decimalOf(value)
    case 'timestamp': {
      const atMs = typeof value === 'string' ? Date.parse(value) : value
      return typeof atMs === 'number' && Number.isFinite(atMs) ? atMs + 0 : undefined
    }
  }
}

/** Half a surrogate pair cannot be written as UTF-8; it becomes the replacement character now, not on the way to disk. */
export function boundedText(text: string): string | undefined {
  return text.length > textLengthMax ? undefined : text.replace(/\p{Surrogate}/gu, '\u{FFFD}')
}

/** The field that holds when both are known: commutative, associative, idempotent. */
export function joinFields(order: FieldOrder, a: FieldState, b: FieldState): FieldState {
  return rank(order, a, b) >= 0 ? a : b
}

/** Positive when a wins. Zero only when nothing tells them apart. */
function rank({ policy, type }: FieldOrder, a: FieldState, b: FieldState): number {
  switch (policy) {
    case 'recency':
      return a.trust - b.trust || a.eventTimeMs - b.eventTimeMs || byStamp(type, a, b)
    case 'first':
      return b.eventTimeMs - a.eventTimeMs || byStamp(type, a, b)
    case 'max':
      return compareValues(type, a.value, b.value) || byStamp(type, a, b)
    case 'min':
      return compareValues(type, b.value, a.value) || byStamp(type, a, b)
  }
}

/** The larger event id wins; the rest only settles what two events of one id say. */
function byStamp(type: TraitType, a: FieldState, b: FieldState): number {
  return (
    compareText(a.eventId, b.eventId) ||
    a.eventTimeMs - b.eventTimeMs ||
    a.trust - b.trust ||
    compareText(a.source, b.source) ||
    compareValues(type, a.value, b.value)
  )
}

function compareValues(type: TraitType, a: FieldValue, b: FieldValue): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if (type === 'decimal' && typeof a === 'string' && typeof b === 'string') return compareDecimals(a, b)
  return compareText(typeof a === 'string' ? a : JSON.stringify(a), typeof b === 'string' ? b : JSON.stringify(b))
}

/** By UTF-16 code units. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
