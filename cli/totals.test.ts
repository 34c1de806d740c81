import fc from 'fast-check'
import { expect, test } from 'vitest'
import { totalsOf } from './totals.ts'

const task = (name: string, counters: Readonly<Record<string, number>>) => ({
  name,
  counters: new Map(Object.entries(counters)),
})

test('sums over all tasks; whoever dies before it is counted is an event too', () => {
  const totals = totalsOf([
    task('identify/0', { 'raw.events': 10, bad: 1, duplicates: 2, accepted: 7, dead: 1 }),
    task('identify/1', { 'raw.events': 5, accepted: 5, valid: 5 }),
    task('graph/0', { 'profiles.created': 3, merges: 1 }),
    task('profile/0', { entered: 4, exited: 2, activated: 3, dead: 1 }),
  ])
  expect(totals).toEqual({
    events: 16,
    valid: 11,
    bad: 1,
    duplicates: 2,
    dead: 2,
    profiles: 3,
    merges: 1,
    entered: 4,
    exited: 2,
    activated: 3,
  })
})

test('events are valid, bad, duplicates or dead', () => {
  const counters = fc.dictionary(fc.constantFrom('raw.events', 'bad', 'duplicates', 'dead'), fc.nat(1e6))
  fc.assert(
    fc.property(counters, counters, (identify, profile) => {
      const { events, valid, bad, duplicates, dead } = totalsOf([
        task('identify/0', identify),
        task('profile/0', profile),
      ])
      expect(valid + bad + duplicates + dead).toBe(events)
    }),
  )
})
