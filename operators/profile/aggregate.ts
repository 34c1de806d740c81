/** Aggregates: what a fragment keeps of the events that matched. Those of different fragments are joined when they are read. */
import type { AggregateState, Entry } from '../../schemas/avro/types.ts'
import { addDecimals } from '../decimal.ts'
import { compareText } from './field.ts'

export const emptyAggregate: AggregateState = { count: 0, sum: null, values: [], newest: [] }

/** How much of an aggregate the rules in force look at. */
export type AggregateCaps = { readonly newest: number; readonly values: number }

/** The aggregate of two sets of events that have no event in common. Commutative and associative. */
export function joinAggregates(a: AggregateState, b: AggregateState, caps: AggregateCaps): AggregateState {
  return {
    count: a.count + b.count,
    sum: a.sum === null ? b.sum : b.sum === null ? a.sum : addDecimals(a.sum, b.sum),
    values: joinValues(a.values, b.values, caps.values),
    newest: joinEntries(a.newest, b.newest, caps.newest),
  }
}

/** The newest `cap` of both lists, newest first, no entry twice. Idempotent too. */
export function joinEntries(a: readonly Entry[], b: readonly Entry[], cap: number): readonly Entry[] {
  return joinSorted(a, b, cap, newestFirst)
}

/** The newest `cap` of the entries and one that is not among them. */
export function insertEntry(newest: readonly Entry[], entry: Entry, cap: number): readonly Entry[] {
  const place = newest.findIndex((known) => newestFirst(known, entry) > 0)
  const inserted = newest.toSpliced(place < 0 ? newest.length : place, 0, entry)
  return inserted.length <= cap ? inserted : inserted.slice(0, cap)
}

/** The smallest `cap` texts of both lists, smallest first, none twice. Idempotent too. */
export function joinValues(a: readonly string[], b: readonly string[], cap: number): readonly string[] {
  return joinSorted(a, b, cap, compareText)
}

export function newestFirst(a: Entry, b: Entry): number {
  return b.atMs - a.atMs || compareText(b.eventId, a.eventId)
}

/** How many of the entries, newest first, are newer than `afterMs`. */
export function countAfter(newest: readonly Entry[], afterMs: number): number {
  let low = 0
  let high = newest.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (newest[middle]!.atMs > afterMs) low = middle + 1
    else high = middle
  }
  return low
}

function joinSorted<T>(a: readonly T[], b: readonly T[], cap: number, compare: (a: T, b: T) => number): readonly T[] {
  if (b.length === 0 && a.length <= cap) return a
  if (a.length === 0 && b.length <= cap) return b
  const joined: T[] = []
  let i = 0
  let j = 0
  while (joined.length < cap && (i < a.length || j < b.length)) {
    const order = i === a.length ? 1 : j === b.length ? -1 : compare(a[i]!, b[j]!)
    joined.push(order <= 0 ? a[i]! : b[j]!)
    if (order <= 0) i++
    if (order >= 0) j++
  }
  return joined
}
