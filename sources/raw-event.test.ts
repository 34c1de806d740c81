import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { recordBytesMax } from '../runtime/record.ts'
import { schemaType } from '../schemas/avro/index.ts'
import { anonymousNetworkUserId, type Fields, failedRawEvent, notJson, rawBytesMax, rawEvent } from './raw-event.ts'
import { originOf } from './testing.ts'

const keyOf = (fields: Fields, networkUserId: string | null = null, format: 'tp2' | 'ndjson' = 'tp2'): string =>
  rawEvent(originOf({ networkUserId }), format, 2, '{}', fields).key

describe('the key of an event is its tenant and', () => {
  const all = { duid: 'device', uid: 'user', tnuid: 'tracker', nuid: 'network', eid: 'event' }

  test.each<[Fields, string | null, string]>([
    [all, 'cookie', 'shop/device'],
    [{ ...all, duid: '' }, 'cookie', 'shop/user'],
    [{ tnuid: 'tracker', nuid: 'network', eid: 'event' }, 'cookie', 'shop/tracker'],
    [{ nuid: 'network', eid: 'event' }, 'cookie', 'shop/network'],
    [{ eid: 'event' }, 'cookie', 'shop/cookie'],
    [{ eid: 'event' }, null, 'shop/event'],
    [{ eid: 'event' }, '', 'shop/event'],
    [{}, null, 'shop/payload-2'],
    [{ duid: 7, uid: ['x'], nuid: null }, null, 'shop/payload-2'],
  ])('of %j and cookie %j: %s', (fields, cookie, key) => {
    expect(keyOf(fields, cookie)).toBe(key)
  })

  test('for columns: the same identifiers under their column names', () => {
    expect(keyOf({ domain_userid: 'device', user_id: 'user' }, null, 'ndjson')).toBe('shop/device')
    expect(keyOf({ duid: 'device', user_id: 'user' }, null, 'ndjson')).toBe('shop/user')
  })

  test('never the id that all anonymous visitors share', () => {
    expect(keyOf({ eid: 'event', nuid: anonymousNetworkUserId }, anonymousNetworkUserId)).toBe('shop/event')
  })

  test('never something inherited', () => {
    expect(keyOf(Object.create({ duid: 'inherited' }))).toBe('shop/payload-2')
  })

  test('whatever a client calls itself: bounded, printable, of this tenant alone, and its own', () => {
    const unit = fc.constantFrom('a', '/', ' ', '~', 'é', '😀', '\ud800', '\n', '\u0000')
    const client = fc.oneof(
      fc.string({ minLength: 1, maxLength: 140 }),
      fc.string({ unit, minLength: 1, maxLength: 3 }),
    )
    fc.assert(
      fc.property(client, client, (a, b) => {
        expect(keyOf({ duid: a })).toMatch(/^shop\/[!-.0-~]{1,128}$/)
        expect(keyOf({ duid: a }) === keyOf({ duid: b })).toBe(Buffer.from(a).equals(Buffer.from(b)))
      }),
    )
  })
})

describe('a raw event fits a record', () => {
  test('as it is up to its bound', () => {
    const body = `{"page":"${'x'.repeat(rawBytesMax - 11)}"}`
    expect(rawEvent(originOf(), 'tp2', 0, body, {}).raw).toMatchObject({ body, failure: null })
  })

  test('beyond it as a failure, with the head of its body, cut between characters', () => {
    const body = '😀'.repeat(100_000)
    const { raw } = rawEvent(originOf(), 'tp2', 0, body, {})
    expect(raw.failure).toMatchObject({ kind: 'size', actualBytes: 400_000, maximumBytes: rawBytesMax })
    expect(body.startsWith(raw.body)).toBe(true)
    expect(Buffer.from(raw.body).toString()).toBe(raw.body)
  })

  test('a failure stays the failure it is, however long its text', () => {
    const { raw } = failedRawEvent(originOf(), 'tp2', 0, '{'.repeat(1_000_000), notJson('body', 'invalid json'))
    expect(raw.failure?.kind).toBe('json')
    expect(schemaType('RawEvent').toBuffer(raw).length).toBeLessThan(recordBytesMax)
  })
})
