import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sitting } from '../../schemas/avro/types.ts'
import { gapMs, sit, sittingsMax, soleUser } from './sittings.ts'

const at = (eventId: string, timeMs: number, user: string | null = null) => ({ eventId, timeMs, user })
const sitAll = (...events: ReturnType<typeof at>[]) =>
  events.reduce<readonly Sitting[]>((sittings, event) => sit(sittings, event), [])

test('a gap under 30 minutes joins, a gap of 30 begins a sitting under its first event', () => {
  expect(sitAll(at('a', 0), at('b', gapMs - 1))).toEqual([{ id: 'a', startMs: 0, endMs: gapMs - 1, users: [] }])
  expect(sitAll(at('a', 0), at('b', gapMs))).toEqual([
    { id: 'a', startMs: 0, endMs: 0, users: [] },
    { id: 'b', startMs: gapMs, endMs: gapMs, users: [] },
  ])
})

test('a late event joins the nearest sitting, becomes its start, and never joins two', () => {
  const two = sitAll(at('a', 0), at('b', 50 * 60_000))
  expect(sit(two, at('late', 21 * 60_000)).map(({ id, startMs, endMs }) => [id, startMs, endMs])).toEqual([
    ['b', 50 * 60_000, 50 * 60_000],
    ['a', 0, 21 * 60_000],
  ])
  expect(sit(two, at('late', 25 * 60_000)).at(-1)).toMatchObject({ id: 'a' })
  expect(sit(two, at('late', 26 * 60_000)).at(-1)).toMatchObject({ id: 'b', startMs: 26 * 60_000 })
})

test('a sitting has one user, until a second one signs in', () => {
  const users = (...names: (string | null)[]) => sitAll(...names.map((user, i) => at(`e${i}`, i, user))).at(-1)!
  expect(soleUser(users(null, null))).toBeNull()
  expect(soleUser(users(null, 'u:1', 'u:1', null))).toBe('u:1')
  expect(soleUser(users('u:1', 'u:2', 'u:1'))).toBeNull()
  expect(users('u:1', 'u:2', 'u:3').users).toEqual(['u:1', 'u:2'])
})

test('whatever comes in any order: every event has a sitting it lies in, sittings never overlap more than they began, and are bounded', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), (slots) => {
      let sittings: readonly Sitting[] = []
      slots.forEach((slot, i) => {
        const timeMs = slot * 11 * 60_000
        sittings = sit(sittings, at(`e${i}`, timeMs))
        const own = sittings.at(-1)!
        expect(own.startMs).toBeLessThanOrEqual(timeMs)
        expect(own.endMs).toBeGreaterThanOrEqual(timeMs)
        expect(sittings.length).toBeLessThanOrEqual(sittingsMax)
        expect(new Set(sittings.map(({ id }) => id)).size).toBe(sittings.length)
      })
    }),
  )
})
