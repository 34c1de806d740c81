import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Event } from '../../schemas/avro/types.ts'
import { shopDefinitions } from '../../test/identity-rules.ts'
import { OneOperator } from '../../test/one-operator.ts'
import { eventOf } from '../event/testing.ts'
import { uuidV5 } from '../ids.ts'
import { recentMax, rememberedMs } from './duplicates.ts'
import { identify } from './identify.ts'

const definitions = shopDefinitions()
const event = (event_id: string, event_fingerprint = 'f1', parts = {}): Event =>
  eventOf({ event_id, event_fingerprint, domain_userid: 'd', ...parts })

function client() {
  const operator = new OneOperator(identify, definitions)
  return {
    operator,
    /** The id the event was accepted under, or null. */
    send(value: Event, clockMs: number): string | null {
      const effects = operator.deliver({ kind: 'event', key: 'shop/d', value }, { clockMs, logTimeMs: clockMs })
      for (const effect of effects) {
        if (effect.effect === 'emit' && effect.topic === 'events.identified')
          return (effect.value as { event: Event }).event.event_id
      }
      return null
    },
  }
}

test('the same id and fingerprint is a duplicate for 7 days, to the millisecond, and has no effect but to be counted', () => {
  const { operator, send } = client()
  expect(send(event('a'), 0)).toBe('a')
  const before = new Map(operator.rows)
  expect(send(event('a'), rememberedMs - 1)).toBeNull()
  expect(operator.rows).toEqual(before)
  expect(Object.fromEntries(operator.counts)).toEqual({ accepted: 1, duplicates: 1 })
  expect(send(event('a'), rememberedMs)).toBe('a')
})

test('another fingerprint makes another event, which says whose id it had', () => {
  const { operator, send } = client()
  send(event('a', 'f1'), 0)
  const effects = operator.deliver(
    { kind: 'event', key: 'shop/d', value: event('a', 'f2') },
    { clockMs: 1, logTimeMs: 1 },
  )
  const derived = uuidV5('event|a|f2')
  expect(effects).toContainEqual(
    expect.objectContaining({
      topic: 'events.identified',
      value: expect.objectContaining({
        event: {
          ...event('a', 'f2'),
          event_id: derived,
          derived_contexts: [
            {
              schema: 'iglu:com.snowplowanalytics.snowplow/duplicate/jsonschema/1-0-0',
              data: '{"originalEventId":"a"}',
            },
          ],
        },
      }),
    }),
  )
  expect(send(event('a', 'f2'), 2)).toBeNull()
  expect(send(event('a', 'f1'), 3)).toBeNull()
  expect(send(event(derived, 'f2'), 4)).toBeNull()
})

test('an id accepted under a derived one is remembered for as long, though the first is forgotten', () => {
  const { send } = client()
  send(event('a', 'f1'), 0)
  send(event('a', 'f2'), 100)
  expect(send(event('a', 'f2'), rememberedMs + 50)).toBeNull()
  expect(send(event('a', 'f1'), rememberedMs + 60)).toBe('a')
  expect(send(event('a', 'f2'), rememberedMs + 101)).not.toBeNull()
})

test('a busy client keeps the older ids in rows of their own, which go after 7 days', () => {
  const { operator, send } = client()
  for (let i = 0; i < 3 * recentMax; i++) expect(send(event(`e${i}`), i)).toBe(`e${i}`)
  expect(operator.rows.get('shop/d')?.client?.recent).toHaveLength(recentMax)
  expect(operator.rows.size).toBe(1 + 2 * recentMax)
  for (let i = 0; i < 3 * recentMax; i++) expect(send(event(`e${i}`), 1000)).toBeNull()
  operator.sweep(rememberedMs + 2 * recentMax)
  expect([...operator.rows.keys()]).toEqual(['shop/d'])
})

test('a client spelt as an event id of another one shares its row unharmed', () => {
  const operator = new OneOperator(identify, definitions)
  const send = (client: string, id: string, clockMs: number) =>
    operator.deliver({ kind: 'event', key: `shop/${client}`, value: event(id) }, { clockMs, logTimeMs: clockMs })
  send('d#e0', 'x', 0)
  for (let i = 0; i <= recentMax; i++) send('d', `e${i}`, 1)
  expect(operator.rows.get('shop/d#e0')).toMatchObject({ client: { recent: [{ eventId: 'x' }] }, seen: { atMs: 1 } })
  send('d#e0', 'x', 2)
  send('d#e0', 'y', 3)
  send('d', 'e0', 4)
  expect(operator.counts.get('duplicates')).toBe(2)
  operator.sweep(rememberedMs + 1)
  expect(operator.rows.get('shop/d#e0')).toMatchObject({
    client: { recent: [{ eventId: 'x' }, { eventId: 'y' }] },
    seen: null,
  })
})

test('an event is absorbed if and only if its id and fingerprint were accepted within the 7 days before', () => {
  const arrivals = fc.array(
    fc.record({
      id: fc.integer({ min: 0, max: 39 }).map((n) => `e${n}`),
      fingerprint: fc.constantFrom('f1', 'f1', 'f1', 'f2', 'f3'),
      afterMs: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(0, 1, 60_000) },
        fc.constantFrom(rememberedMs / 2, rememberedMs - 1, rememberedMs),
      ),
      sweep: fc.boolean(),
    }),
    { maxLength: 250, size: 'max' },
  )
  fc.assert(
    fc.property(arrivals, (log) => {
      const { operator, send } = client()
      const accepted = new Map<string, number>()
      const ids = new Map<string, number>()
      let nowMs = 0
      for (const { id, fingerprint, afterMs, sweep } of log) {
        nowMs += afterMs
        if (sweep) operator.sweep(nowMs)
        const atMs = accepted.get(`${id}|${fingerprint}`)
        const duplicate = atMs !== undefined && nowMs - atMs < rememberedMs
        const acceptedAs = send(event(id, fingerprint), nowMs)
        expect(acceptedAs === null).toBe(duplicate)
        if (acceptedAs === null) continue
        accepted.set(`${id}|${fingerprint}`, nowMs)
        const earlierMs = ids.get(acceptedAs)
        expect(earlierMs === undefined || nowMs - earlierMs >= rememberedMs).toBe(true)
        ids.set(acceptedAs, nowMs)
      }
    }),
    { numRuns: 80 },
  )
})

test('resent and shuffled within the 7 days, each event is accepted once', () => {
  const log = fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.constantFrom('f1', 'f2')), {
      selector: String,
      maxLength: 60,
      size: 'max',
    })
    .chain((events) => fc.shuffledSubarray([...events, ...events, ...events], { minLength: events.length * 3 }))
  fc.assert(
    fc.property(log, (arrivals) => {
      const { operator, send } = client()
      const ids = arrivals
        .map(([id, fingerprint], i) => send(event(`e${id}`, fingerprint), i * 60_000))
        .filter((id) => id !== null)
      expect(ids.length).toBe(arrivals.length / 3)
      expect(new Set(ids).size).toBe(ids.length)
      expect((operator.counts.get('accepted') ?? 0) + (operator.counts.get('duplicates') ?? 0)).toBe(arrivals.length)
    }),
    { numRuns: 100 },
  )
})
