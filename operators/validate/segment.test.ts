import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { nameOf } from './segment.ts'
import { collectorMs, definitions, effectsOf, rawOf } from './testing.ts'

const orderCompleted = 'iglu:com.segment/order_completed/jsonschema/1-0-0'
const shop: Definitions = {
  ...definitions,
  schemas: new Map([
    ...definitions.schemas,
    [
      orderCompleted,
      JSON.stringify({
        type: 'object',
        properties: { revenue: { type: 'number' } },
        required: ['revenue'],
        additionalProperties: false,
      }),
    ],
  ]),
}

const calledFrom = { vendor: 'v1', version: 'track', networkUserId: null }
const sent = (call: unknown, of = shop) => effectsOf(rawOf(call, { ...calledFrom, format: 'segment' }), of)
const eventOf = (call: unknown, of = shop): Event => {
  const passed = sent(call, of).find((effect) => effect.effect === 'pass')
  if (passed?.effect !== 'pass') throw new Error(JSON.stringify(sent(call, of)))
  return passed.value as Event
}
const badOf = (call: unknown) => {
  const emitted = sent(call).find((effect) => effect.effect === 'emit')
  if (emitted?.effect !== 'emit') throw new Error('it is good')
  const { schema, data } = emitted.value as { schema: string; data: string }
  return { kind: schema.split('/')[1], ...JSON.parse(data) }
}

const at = (ms: number): string => new Date(collectorMs + ms).toISOString()
const call = {
  anonymousId: 'anon-1',
  userId: 'user-1',
  messageId: 'ajs-next-1700000000000-abc',
  originalTimestamp: at(-60_000),
  sentAt: at(-10_000),
  context: {
    library: { name: 'analytics.js', version: 'npm:next-1.70.0' },
    ip: '198.51.100.7',
    locale: 'de-DE',
    timezone: 'Europe/Berlin',
    userAgent: 'Mozilla/5.0 (X11)',
    screen: { width: 1920, height: 1080, density: 2 },
    page: { url: 'https://shop.example/cart?x=1', title: 'Cart', referrer: 'https://search.example/' },
    campaign: { name: 'spring', source: 'mail', medium: 'email', term: 't', content: 'c' },
  },
}

describe('a call of the Segment spec', () => {
  test('has its ids, times, page, campaign and device in columns, and all of its context as an entity', () => {
    const event = eventOf({ ...call, type: 'track', event: 'Order Completed', properties: { revenue: 12.5 } })
    expect(event).toMatchObject({
      event: 'unstruct',
      platform: 'web',
      user_id: 'user-1',
      domain_userid: 'anon-1',
      name_tracker: 'segment',
      v_tracker: 'analytics.js-npm:next-1.70.0',
      collector_tstamp: collectorMs,
      dvce_created_tstamp: collectorMs - 60_000,
      dvce_sent_tstamp: collectorMs - 10_000,
      // what their API calls `timestamp`
      derived_tstamp: collectorMs - 50_000,
      user_ipaddress: '198.51.100.7',
      br_lang: 'de-DE',
      os_timezone: 'Europe/Berlin',
      dvce_screenwidth: 1920,
      dvce_screenheight: 1080,
      page_urlhost: 'shop.example',
      page_title: 'Cart',
      refr_urlhost: 'search.example',
      mkt_campaign: 'spring',
      mkt_source: 'mail',
      event_vendor: 'com.segment',
      event_name: 'order_completed',
      unstruct_event: { schema: orderCompleted, data: '{"revenue":12.5}' },
    })
    expect(event.contexts).toEqual([
      { schema: 'iglu:com.segment/context/jsonschema/1-0-0', data: JSON.stringify(call.context) },
    ])
  })

  test('has an id that follows from that of its message', () => {
    const track = { type: 'track', event: 'x', userId: 'u' }
    const ids = ['m-1', 'm-1', 'm-2', 'C6EF3124-B53A-4B13-A233-0088F79DCBCB'].map(
      (messageId) => eventOf({ ...track, messageId }).event_id,
    )
    expect(ids[0]).toBe(ids[1])
    expect(ids[0]).not.toBe(ids[2])
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5/)
    expect(ids[3]).toBe('c6ef3124-b53a-4b13-a233-0088f79dcbcb')
    // sent again it is the same event, whenever that is
    const again = (sentAt: string) => eventOf({ ...track, messageId: 'm', sentAt }).event_fingerprint
    expect(again(at(0))).toBe(again(at(5_000)))
  })

  test.each<[Record<string, unknown>, string, unknown]>([
    [{ type: 'identify', traits: { email: 'a@b.example' } }, 'identify', { email: 'a@b.example' }],
    [{ type: 'track', event: 'Else', properties: { a: 1 } }, 'track', { event: 'Else', properties: { a: 1 } }],
    [{ type: 'screen', name: 'Home' }, 'screen', { name: 'Home', properties: {} }],
    [{ type: 'group', groupId: 'g', traits: { plan: 'x' } }, 'group', { groupId: 'g', traits: { plan: 'x' } }],
    [{ type: 'alias', previousId: 'old' }, 'alias', { previousId: 'old', userId: 'u' }],
  ])('%j is an event of its own', (members, name, data) => {
    const event = eventOf({ userId: 'u', ...members })
    expect([event.event_vendor, event.event_name, event.platform]).toEqual(['com.segment', name, 'srv'])
    expect(JSON.parse(event.unstruct_event!.data)).toEqual(data)
  })

  test('of a page is a page view, with what else is said of it as an entity', () => {
    const properties = { url: 'https://shop.example/shoes', title: 'Shoes', referrer: 'https://a.example/', stock: 3 }
    const event = eventOf({ type: 'page', anonymousId: 'a', name: 'Category', properties })
    expect(event).toMatchObject({
      event: 'page_view',
      event_name: 'page_view',
      page_url: 'https://shop.example/shoes',
      page_title: 'Shoes',
      page_referrer: 'https://a.example/',
      unstruct_event: null,
    })
    expect(event.contexts.map(({ schema, data }) => [schema, JSON.parse(data)])).toEqual([
      ['iglu:com.segment/page/jsonschema/1-0-0', { name: 'Category', properties }],
    ])
  })

  test('without the time of its sending happened when it says', () => {
    const event = eventOf({ type: 'track', event: 'x', userId: 'u', timestamp: '2023-01-01T00:00:00.000Z' })
    expect(new Date(event.derived_tstamp!).toISOString()).toBe('2023-01-01T00:00:00.000Z')
  })

  test('is checked against the schema of its event', () => {
    const { kind, failure } = badOf({ ...call, type: 'track', event: 'Order Completed', properties: { revenue: 'x' } })
    expect([kind, failure.messages[0].schemaKey]).toEqual(['schema_violations', orderCompleted])
  })

  test.each<[unknown, readonly string[]]>([
    [{ userId: 'u' }, ['type']],
    [{ type: 'order', userId: 'u' }, ['type']],
    [{ type: 'identify' }, ['userId']],
    [{ type: 'track', userId: 'u' }, ['event']],
    [{ type: 'group' }, ['userId', 'groupId']],
    [{ type: 'alias', userId: 'u' }, ['previousId']],
    [{ type: 'track', event: 'x', userId: 'u', properties: [], context: 'c' }, ['context', 'properties']],
  ])('%j is none, and the bad row says why', (given, fields) => {
    const { kind, failure, payload } = badOf(given)
    expect([kind, failure.messages.map(({ field }: { field: string }) => field)]).toEqual(['adapter_failures', fields])
    expect(JSON.parse(payload.body)).toEqual(given)
  })

  test('whatever a call says, it is an event or a bad row', () => {
    const member = fc.constantFrom(
      'type',
      'event',
      'userId',
      'anonymousId',
      'context',
      'properties',
      'traits',
      'sentAt',
    )
    const value = fc.oneof(fc.constantFrom('track', 'page', 'u', call.context, at(0)), fc.jsonValue())
    fc.assert(
      fc.property(fc.array(fc.tuple(member, value)), (members) => {
        const effects = sent(Object.fromEntries(members))
        expect(effects.filter(({ effect }) => effect === 'pass' || effect === 'emit')).toHaveLength(1)
      }),
    )
  })
})

test.each([
  ['Order Completed', 'order_completed'],
  ['orderCompleted', 'order_completed'],
  [' Signed-Up! ', 'signed_up'],
  ['日本', null],
  ['x'.repeat(200), null],
])('the event %s has the name %s', (event, name) => expect(nameOf(event)).toBe(name))
