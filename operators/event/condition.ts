/** Conditions on one event, compiled once to closures. */
import type { Comparison, EventCondition, EventMatch, Literal, ValuePath } from '../../schemas/definitions.ts'
import type { EventReader, Leaf } from './event.ts'

export type EventPredicate = (reader: EventReader) => boolean

/** Whether an event is of the name and satisfies the condition. */
export function compileMatch({ event, where }: EventMatch): EventPredicate {
  const condition = where && compileCondition(where)
  if (event === null) return condition ?? always
  if (!condition) return (reader) => reader.name === event
  return (reader) => reader.name === event && condition(reader)
}

/**
 * A comparison holds when it holds for any value at its path: of any entity of the name, any item of a list. Two
 * comparisons may hold by two different entities. Values of different types never compare, so that a path that
 * is not there, or holds another type, is false under every operator; only `not` turns that round.
 */
export function compileCondition(condition: EventCondition): EventPredicate {
  switch (condition.op) {
    case 'and':
      return all(condition.of.map(compileCondition))
    case 'or':
      return any(condition.of.map(compileCondition))
    case 'not': {
      const of = compileCondition(condition.of)
      return (reader) => !of(reader)
    }
    case 'compare':
      return over(condition.path, condition.value, (value) => compileComparison(condition.comparison, value))
    case 'in':
      return any(condition.values.map((each) => over(condition.path, each, (value) => compileComparison('==', value))))
    case 'has': {
      const { path } = condition
      return (reader) => reader.some(path, always)
    }
  }
}

/** A test of one value against a literal: false between types; numbers by size, text by UTF-16 code units, false < true. */
export function compileComparison(comparison: Comparison, literal: Literal): (value: unknown) => boolean {
  const comparable = (value: unknown): value is Literal => typeof value === typeof literal
  switch (comparison) {
    case '==':
      return (value) => value === literal
    case '!=':
      return (value) => comparable(value) && value !== literal
    case '<':
      return (value) => comparable(value) && value < literal
    case '<=':
      return (value) => comparable(value) && value <= literal
    case '>':
      return (value) => comparable(value) && value > literal
    case '>=':
      return (value) => comparable(value) && value >= literal
  }
}

/** Columns that hold an exact decimal as text; against a number they compare by size. */
const decimalColumns: ReadonlySet<string> = new Set([
  'se_value',
  'tr_total',
  'tr_tax',
  'tr_shipping',
  'ti_price',
  'tr_total_base',
  'tr_tax_base',
  'tr_shipping_base',
  'ti_price_base',
])

function over(
  path: ValuePath,
  literal: Literal,
  testOf: (literal: Literal) => (value: unknown) => boolean,
): EventPredicate {
  const test = testOf(literal)
  if (path.in === 'column' && typeof literal === 'number' && decimalColumns.has(path.name)) {
    const byValue = (leaf: Leaf) => test(Number(leaf))
    return (reader) => reader.some(path, byValue)
  }
  return (reader) => reader.some(path, test)
}

function all(predicates: readonly EventPredicate[]): EventPredicate {
  return (reader) => {
    for (const predicate of predicates) if (!predicate(reader)) return false
    return true
  }
}

function any(predicates: readonly EventPredicate[]): EventPredicate {
  return (reader) => {
    for (const predicate of predicates) if (predicate(reader)) return true
    return false
  }
}

const always = () => true
