import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AggregateState, Entry } from '../../schemas/avro/types.ts'
import { countAfter, insertEntry, joinAggregates, joinEntries, joinValues, newestFirst } from './aggregate.ts'

const entry = fc.record({ atMs: fc.nat(9), eventId: fc.constantFrom('a', 'b', 'c') })
const unique = (entries: readonly Entry[]) =>
  [...new Map(entries.map((each) => [`${each.atMs} ${each.eventId}`, each])).values()].sort(newestFirst)
const entries = fc.array(entry, { maxLength: 8 }).map(unique)
const cap = fc.integer({ min: 1, max: 6 })

test('the newest of two lists are those of all their entries, however they are put together', () => {
  fc.assert(
    fc.property(entries, entries, entries, cap, (a, b, c, cap) => {
      const all = unique([...a, ...b, ...c]).slice(0, cap)
      expect(joinEntries(joinEntries(a, b, cap), c, cap)).toEqual(all)
      expect(joinEntries(a, joinEntries(c, b, cap), cap)).toEqual(all)
      expect(joinEntries(all, all, cap)).toEqual(all)
    }),
  )
})

test('an entry more is a list of one more', () => {
  fc.assert(
    fc.property(entries, entry, cap, (newest, entry, cap) => {
      const others = newest.filter((each) => newestFirst(each, entry) !== 0)
      expect(insertEntry(others, entry, cap)).toEqual(joinEntries(others, [entry], cap))
    }),
  )
})

test('the smallest of two lists likewise', () => {
  const sorted = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'é')).map((texts) => texts.sort())
  fc.assert(
    fc.property(sorted, sorted, cap, (a, b, cap) => {
      expect(joinValues(a, b, cap)).toEqual([...new Set([...a, ...b])].sort().slice(0, cap))
    }),
  )
})

test('entries after an instant are counted as by looking at each', () => {
  fc.assert(
    fc.property(entries, fc.nat(10), (newest, afterMs) => {
      expect(countAfter(newest, afterMs)).toBe(newest.filter(({ atMs }) => atMs > afterMs).length)
    }),
  )
})

test('counts and sums of different events add up', () => {
  const one: AggregateState = { count: 2, sum: '1.10', values: ['a'], newest: [{ atMs: 1, eventId: 'x' }] }
  const other: AggregateState = { count: 1, sum: null, values: ['b'], newest: [{ atMs: 2, eventId: 'y' }] }
  const joined = { count: 3, sum: '1.10', values: ['a', 'b'], newest: [{ atMs: 2, eventId: 'y' }] }
  expect(joinAggregates(one, other, { newest: 1, values: 2 })).toEqual(joined)
  expect(joinAggregates(other, one, { newest: 1, values: 2 })).toEqual(joined)
  expect(joinAggregates(one, one, { newest: 1, values: 2 }).sum).toBe('2.2')
})
