import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { recordBytesMax } from '../../runtime/record.ts'
import { schemaType } from '../../schemas/avro/index.ts'
import type { BadRow, Event, RawEvent } from '../../schemas/avro/types.ts'
import columns from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { version } from './processor.ts'
import {
  addToCart,
  anything,
  base64url,
  broken,
  cartEvent,
  collectorMs,
  contexts,
  effectsOf,
  endless,
  logTimeMs,
  pageView,
  process,
  product,
  rawOf,
  unstruct,
} from './testing.ts'

describe('a valid event', () => {
  test('is counted and passed on, under the key it came with', () => {
    const effects = effectsOf(rawOf(pageView))
    expect(effects.slice(0, 2)).toEqual([
      { effect: 'count', name: 'raw.events', by: 1 },
      { effect: 'count', name: 'valid', by: 1 },
    ])
    expect(effects[2]).toMatchObject({ effect: 'pass', kind: 'event', key: 'shop/client' })
    expect(effects).toHaveLength(3)
  })

  test('has what the tracker said, what the collector saw and what follows from both', () => {
    expect(set(event(pageView))).toEqual({
      tenant: 'shop',
      source: 'collector',
      payload_id: 'a1c5a7c4-7d6e-4b1f-9d35-60a5f6b3a001',
      payload_index: 0,
      app_id: 'shop-web',
      platform: 'web',
      event: 'page_view',
      event_id: '6f1e0a52-6b3c-4a8e-9f6a-0d5a0c6f7a11',
      event_vendor: 'com.snowplowanalytics.snowplow',
      event_name: 'page_view',
      event_format: 'jsonschema',
      event_version: '1-0-0',
      event_fingerprint: expect.stringMatching(/^[0-9a-f]{32}$/),
      name_tracker: 'sp',
      v_tracker: 'js-4.6.2',
      v_collector: `millrace-collector-${version}`,
      v_etl: `millrace-validate-${version}`,
      collector_tstamp: collectorMs,
      dvce_created_tstamp: collectorMs - 5_000,
      dvce_sent_tstamp: collectorMs - 1_000,
      derived_tstamp: collectorMs - 4_000,
      etl_tstamp: logTimeMs,
      domain_userid: '0b8f1a4e-2f0a-4c5a-8f52-6e1f6f9f7f10',
      user_ipaddress: '203.0.113.9',
      useragent: 'Mozilla/5.0',
      page_url: 'https://shop.example/shoes?page=2#top',
      page_urlscheme: 'https',
      page_urlhost: 'shop.example',
      page_urlport: 443,
      page_urlpath: '/shoes',
      page_urlquery: 'page=2',
      page_urlfragment: 'top',
    })
  })

  test('carries its own data and its entities as checked JSON, in order', () => {
    const { unstruct_event, contexts, event_vendor, event_name, event_version } = event(
      cartEvent({ sku: 'AB-1', quantity: 2, price: 0.07 }, { sku: 'AB-1' }, { sku: 'AB-2', sizes: [40, 41] }),
    )
    expect(unstruct_event).toEqual({ schema: addToCart, data: '{"sku":"AB-1","quantity":2,"price":0.07}' })
    expect(contexts).toEqual([
      { schema: product, data: '{"sku":"AB-1"}' },
      { schema: product, data: '{"sku":"AB-2","sizes":[40,41]}' },
    ])
    expect([event_vendor, event_name, event_version]).toEqual(['com.acme', 'add_to_cart', '1-0-0'])
  })

  test.each([
    ['the true time, where it is known', { ttm: '1700000000123' }, 1_700_000_000_123],
    ['the collector’s, less the time it lay on the device', { dtm: '1000', stm: '61000' }, collectorMs - 60_000],
    ['the collector’s, when the device sent it before it was made', { dtm: '61000', stm: '1000' }, collectorMs],
    ['the collector’s, when the device does not say', { dtm: '', stm: '' }, collectorMs],
    ['exact over the end of a month', { dtm: '0', stm: String(40 * 86_400_000) }, collectorMs - 40 * 86_400_000],
  ])('happened at %s', (_, times, expected) => {
    expect(event({ ...pageView, ...times }).derived_tstamp).toBe(expected)
  })

  test('without an id has one that every reading of the log gives it, and no other event', () => {
    const { eid: _, ...anonymous } = pageView
    const id = event(anonymous).event_id
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(event(anonymous).event_id).toBe(id)
    expect(event(anonymous, { index: 1 }).event_id).not.toBe(id)
    expect(event(anonymous, { payloadId: 'another' }).event_id).not.toBe(id)
  })

  test('sent again has the same fingerprint, though its sending time differs; changed, it has another', () => {
    const { event_fingerprint } = event(pageView)
    expect(event({ ...pageView, stm: '5', eid: '00000000-0000-4000-8000-000000000001' }).event_fingerprint).toBe(
      event_fingerprint,
    )
    expect(event({ ...pageView, page: 'Hats' }).event_fingerprint).not.toBe(event_fingerprint)
  })

  test('of a GET comes from the querystring, unknown parameters and all', () => {
    const querystring = new URLSearchParams({ ...pageView, page: 'Größe 42 & more', unknown: '1' }).toString()
    expect(event('', { querystring, version: 'tp1', contentType: null })).toMatchObject({
      event: 'page_view',
      page_title: 'Größe 42 & more',
    })
  })

  test('of a POST with a querystring: the querystring wins', () => {
    expect(event(pageView, { querystring: 'aid=other&cv=proxy-1' })).toMatchObject({
      app_id: 'other',
      v_collector: 'proxy-1',
    })
  })

  test('takes the network user id from the tracker’s own, the tracker’s, then the collector', () => {
    expect(event(pageView, { networkUserId: 'cookie' }).network_userid).toBe('cookie')
    expect(event({ ...pageView, nuid: 'n' }, { networkUserId: 'cookie' }).network_userid).toBe('n')
    expect(event({ ...pageView, nuid: 'n', tnuid: 't' }, { networkUserId: 'cookie' }).network_userid).toBe('t')
  })

  test('an empty text is no value, also for entities', () => {
    const draft = event({ ...pageView, uid: '', vid: '', cx: '', ue_px: '', res: '' })
    expect([draft.user_id, draft.domain_sessionidx, draft.contexts, draft.dvce_screenwidth]).toEqual([
      null,
      null,
      [],
      null,
    ])
  })

  test('half of a surrogate pair becomes what UTF-8 makes of it: the event is the same before and after the log', () => {
    const draft = event(`{"e":"pv","p":"web","tv":"x","uid":"a\\ud800b","page":"\\udc00"}`)
    expect([draft.user_id, draft.page_title]).toEqual(['a\ufffdb', '\ufffd'])
  })
})

describe('an ndjson event', () => {
  const ndjson = (fields: unknown): RawEvent =>
    rawOf(fields, { format: 'ndjson', vendor: null, version: null, source: 'ingest' })

  test('states columns in their own types, or as text', () => {
    const made = eventOf(
      ndjson({
        event: 'page_view',
        event_id: '6F1E0A52-6b3c-4a8e-9f6a-0d5a0c6f7a11',
        collector_tstamp: '2024-01-02 03:04:05.678',
        dvce_created_tstamp: '2024-01-02T04:04:00+01:00',
        true_tstamp: 1_704_164_645_000,
        domain_sessionidx: 4,
        txn_id: '12',
        br_cookies: true,
        br_features_pdf: '0',
        tr_total: '100.10',
        se_value: 1.5,
        geo_latitude: 52.5,
        user_id: null,
        page_title: '',
      }),
    )
    expect(made).toMatchObject({
      event_id: '6f1e0a52-6b3c-4a8e-9f6a-0d5a0c6f7a11',
      collector_tstamp: Date.parse('2024-01-02T03:04:05.678Z'),
      dvce_created_tstamp: Date.parse('2024-01-02T03:04:00Z'),
      true_tstamp: 1_704_164_645_000,
      derived_tstamp: 1_704_164_645_000,
      domain_sessionidx: 4,
      txn_id: 12,
      br_cookies: true,
      br_features_pdf: false,
      tr_total: '100.10',
      se_value: '1.5',
      geo_latitude: 52.5,
      user_id: null,
      page_title: null,
      source: 'ingest',
    })
  })

  test.each([
    [
      'bare',
      {
        unstruct_event: { schema: addToCart, data: { sku: 'a', quantity: 1 } },
        contexts: [{ schema: product, data: { sku: 'a' } }],
      },
    ],
    [
      'in their envelopes',
      {
        event: 'unstruct',
        unstruct_event: decoded(unstruct(addToCart, { sku: 'a', quantity: 1 })),
        contexts: decoded(contexts([product, { sku: 'a' }])),
      },
    ],
  ])('takes self-describing parts %s', (_, fields) => {
    expect(eventOf(ndjson(fields))).toMatchObject({
      event: 'unstruct',
      event_name: 'add_to_cart',
      unstruct_event: { schema: addToCart, data: '{"sku":"a","quantity":1}' },
      contexts: [{ schema: product, data: '{"sku":"a"}' }],
    })
  })

  test('does not take a field that is no column, nor a type or platform there is not', () => {
    const row = badRow(ndjson({ event: 'page_view', colour: 'red', ['__proto__']: 1, platform: 'fridge' }))
    expect(kindOf(row)).toBe('schema_violations/jsonschema/2-0-1')
    const again = badRow(ndjson('{"event":"looked","__proto__":{"event":"page_view"}}'))
    expect(messagesOf(row).concat(messagesOf(again))).toEqual([
      '$.colour: is not defined in the schema and the schema does not allow additional properties',
      '$.__proto__: is not defined in the schema and the schema does not allow additional properties',
      'Not a valid platform',
      '$.__proto__: is not defined in the schema and the schema does not allow additional properties',
      'Not a valid event type',
    ])
  })

  test.each(['{"event":', '', '[]', '"x"', '7', 'null'])(
    'a line %j that is no object is a format violation that holds it',
    (line) => {
      const row = badRow(ndjson(line))
      expect(kindOf(row)).toBe('collector_payload_format_violation/jsonschema/1-0-0')
      expect(Buffer.from(dataOf(row).payload as string, 'base64').toString()).toBe(line)
    },
  )
})

describe('a bad event', () => {
  test('is counted and emitted, not passed on, and holds what came', () => {
    const effects = effectsOf(rawOf({ ...pageView, vid: 'x' }, { index: 3 }))
    expect(effects.slice(0, 2)).toEqual([
      { effect: 'count', name: 'raw.events', by: 1 },
      { effect: 'count', name: 'bad', by: 1 },
    ])
    expect(effects[2]).toMatchObject({ effect: 'emit', topic: 'events.bad', kind: 'bad', key: 'shop/client' })
    expect(effects[3]).toMatchObject({ effect: 'emit', topic: 'events.failed', kind: 'failed', key: 'shop/client' })
    expect(effects).toHaveLength(4)
    const row = (effects[2] as { value: BadRow }).value
    expect(row).toMatchObject({ tenant: 'shop', payloadId: 'a1c5a7c4-7d6e-4b1f-9d35-60a5f6b3a001', index: 3 })
    const { processor, failure, payload } = dataOf(row) as { processor: object; failure: object; payload: Payload }
    expect(processor).toEqual({ artifact: 'millrace-validate', version })
    expect(failure).toMatchObject({ timestamp: new Date(logTimeMs).toISOString() })
    expect(payload.raw.parameters).toContainEqual({ name: 'vid', value: 'x' })
    expect(Object.keys(payload.enriched).sort()).toEqual(columns.map(({ name }) => name).sort())
    expect(payload.enriched).toMatchObject({ dvce_created_tstamp: '2024-03-10 11:59:55.000', domain_sessionidx: null })
  })

  test('tells of all that is wrong in the first phase that failed, in Iglu’s words', () => {
    const row = badRow(
      rawOf({
        ...cartEvent(
          { sku: 'a b', quantity: 0, colour: 'red', at: '2024-02-30T00:00:00Z' },
          { category: 'cars', sizes: [1.5, 1, 1] },
        ),
        dtm: 'yesterday',
        eid: 'not-an-id',
        page: 'x'.repeat(2_001),
      }),
    )
    expect(kindOf(row)).toBe('schema_violations/jsonschema/2-0-1')
    expect(messagesOf(row)).toEqual([
      '$.category: does not have a value in the enumeration [shoes, hats]',
      '$.sizes[0]: number found, integer expected',
      '$.sizes: the items in the array must be unique',
      '$.sku: is missing but it is required',
      '$.sku: does not match the regex pattern (?i)^[a-z0-9\\-]+$',
      '$.quantity: must have a minimum value of 1',
      '$.at: 2024-02-30T00:00:00Z is an invalid date-time',
      '$.colour: is not defined in the schema and the schema does not allow additional properties',
      'Not a valid UUID',
      'Cannot be converted to a timestamp of the years 0 to 9999',
    ])
  })

  test('a field that is too long is told when nothing else is wrong', () => {
    const row = badRow(rawOf({ ...pageView, page: 'x'.repeat(2_001), aid: 'x'.repeat(255) }))
    expect(messagesOf(row)).toEqual(['Field is longer than maximum allowed size 2000'])
  })

  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'a parameter nobody knows',
      { ...pageView, foo: 'x' },
      ['$[2].foo: is not defined in the schema and the schema does not allow additional properties'],
    ],
    ['a value that is no text', { ...pageView, vid: 3 }, ['$[2].vid: integer found, string expected']],
    [
      'no tracker version, platform or type',
      { aid: 'x' },
      ['tv', 'p', 'e'].map((name) => `$[2].${name}: is missing but it is required`),
    ],
    [
      'a parameter for querystrings only',
      { ...pageView, cv: 'x' },
      ['$[2].cv: is not defined in the schema and the schema does not allow additional properties'],
    ],
  ])('%s breaks the tracker protocol', (_, params, messages) => {
    const row = badRow(rawOf(params, { index: 2 }))
    expect(kindOf(row)).toBe('tracker_protocol_violations/jsonschema/1-0-1')
    expect(messagesOf(row)).toEqual(messages)
    expect(JSON.parse((dataOf(row).payload as { body: string }).body).data[0]).toEqual(params)
  })

  test.each<[string, string, unknown]>([
    ['no JSON', Buffer.from('{"a').toString('base64url'), { field: 'cx', value: '{"a', error: 'invalid json' }],
    ['no base64', '!', { field: 'cx', value: '', error: 'invalid json: exhausted input' }],
    [
      'no schema key',
      base64url({ schema: 'http://x', data: [] }),
      { json: { schema: 'http://x', data: [] }, error: 'INVALID_IGLUURI' },
    ],
    ['not self-describing', base64url({ data: [] }), { json: { data: [] }, error: 'INVALID_DATA_PAYLOAD' }],
    [
      'another envelope',
      unstruct(addToCart, {}),
      {
        schemaKey: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
        schemaCriterion: 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-*',
      },
    ],
    [
      'of a vendor with too long a name',
      contexts([`iglu:${'v'.repeat(129)}/x/jsonschema/1-0-0`, 1]),
      { json: { schema: `iglu:${'v'.repeat(129)}/x/jsonschema/1-0-0`, data: 1 }, error: 'INVALID_IGLUURI' },
    ],
    [
      'of a schema nobody has',
      contexts(['iglu:com.acme/unheard_of/jsonschema/1-0-0', {}]),
      {
        schemaKey: 'iglu:com.acme/unheard_of/jsonschema/1-0-0',
        error: {
          error: 'ResolutionError',
          lookupHistory: [
            {
              repository: 'Millrace definitions',
              errors: [{ error: 'NotFound' }],
              attempts: 1,
              lastAttempt: new Date(logTimeMs).toISOString(),
            },
          ],
        },
      },
    ],
    [
      'of a schema that does not compile',
      contexts([broken, 1]),
      {
        schemaKey: broken,
        error: {
          error: 'ValidationError',
          schemaIssues: [{ path: '$', message: expect.stringMatching(/^the schema cannot be used: /) }],
        },
      },
    ],
    [
      'of a schema that never ends',
      contexts([endless, 1]),
      {
        schemaKey: endless,
        error: {
          error: 'ValidationError',
          schemaIssues: [{ path: '$', message: expect.stringMatching(/^the schema cannot be used: /) }],
        },
      },
    ],
  ])('contexts that are %s are a schema violation', (_, cx, message) => {
    const row = badRow(rawOf({ ...pageView, cx }))
    expect(kindOf(row)).toBe('schema_violations/jsonschema/2-0-1')
    expect(failureOf(row).messages).toEqual([message])
  })

  test('an unstruct event without data is one too, once', () => {
    expect(failureOf(badRow(rawOf({ ...pageView, e: 'ue' }))).messages).toHaveLength(1)
    expect(failureOf(badRow(rawOf({ ...pageView, e: 'ue', ue_px: 'e30' }))).messages).toHaveLength(1)
  })

  test.each([
    ['an advertisement', rawOf({ ...pageView, e: 'ad' }), 'ad_impression'],
    ['a GET that does not say what it is', rawOf('', { querystring: 'p=web&aid=x' }), null],
  ])('%s has no schema', (_, raw, value) => {
    const row = badRow(raw)
    expect(kindOf(row)).toBe('enrichment_failures/jsonschema/2-0-1')
    expect(failureOf(row).messages).toEqual([
      { enrichment: null, message: { field: 'event', value, expectation: 'a type of event that has a schema' } },
    ])
  })

  test.each([
    ['the last instant of the year 9999', '253402300799999', true],
    ['the first of the year 10000', '253402300800000', false],
    ['the first of the year 0', '-62167219200000', true],
    ['one before it', '-62167219200001', false],
    ['more digits than time has', '9'.repeat(400), false],
    ['an exponent', '1e3', false],
  ])('a device clock at %s', (_, dtm, valid) => {
    expect('pass' === effectsOf(rawOf({ ...pageView, dtm, stm: '' }))[2]?.effect).toBe(valid)
  })

  test('a device that was sending for ten thousand years did not do so in any year we know', () => {
    const row = badRow(rawOf({ ...pageView, dtm: '-62167219200000', stm: '253402300799999' }))
    expect(kindOf(row)).toBe('enrichment_failures/jsonschema/2-0-1')
  })

  test.each([
    ['no parameters at all', rawOf('', { querystring: null }), 'adapter_failures/jsonschema/1-0-0'],
    [
      'an endpoint nothing here reads',
      rawOf('{}', { vendor: 'com.sendgrid', version: 'v3' }),
      'adapter_failures/jsonschema/1-0-0',
    ],
    ['a tenant without definitions', rawOf(pageView, { tenant: 'stranger' }), 'generic_error/jsonschema/1-0-0'],
    ['truncated JSON', rawOf('{"e":"pv"'), 'tracker_protocol_violations/jsonschema/1-0-1'],
    ['JSON that is no object', rawOf('[1]'), 'tracker_protocol_violations/jsonschema/1-0-1'],
    [
      'a payload that could not be split',
      rawOf('{"sch', { failure: failure('json') }),
      'tracker_protocol_violations/jsonschema/1-0-1',
    ],
    [
      'a payload of another type',
      rawOf('<x/>', { failure: failure('data') }),
      'tracker_protocol_violations/jsonschema/1-0-1',
    ],
    ['a payload that is too large', rawOf('{"sch', { failure: failure('size') }), 'size_violation/jsonschema/1-0-0'],
    [
      'a line that could not be read',
      rawOf('{"sch', { format: 'ndjson', vendor: null, failure: failure('json') }),
      'collector_payload_format_violation/jsonschema/1-0-0',
    ],
  ])('%s', (_, raw, kind) => {
    const row = badRow(raw)
    expect(kindOf(row)).toBe(kind)
    expect(row.tenant).toBe(raw.tenant)
  })
})

describe('bombs', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

  test.each([
    [37, true], // three levels are the envelope's
    [38, false],
    [50_000, false],
  ])('data nested %i levels deep', (levels, valid) => {
    const cx = `{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"${anything}","data":${nested(levels)}}]}`
    const effects = effectsOf(rawOf({ ...pageView, co: cx }))
    expect(effects[2]?.effect).toBe(valid ? 'pass' : 'emit')
    if (!valid) {
      expect(failureOf((effects[2] as { value: BadRow }).value).messages).toMatchObject([
        { field: 'co', error: 'invalid json: maximum allowed JSON depth exceeded' },
      ])
    }
  })

  test('a body of brackets', () => {
    expect(kindOf(badRow(rawOf(nested(60_000))))).toBe('tracker_protocol_violations/jsonschema/1-0-1')
  })

  test('names of the prototype are names like any other, and change nothing', () => {
    const hostile =
      '{"e":"pv","p":"web","tv":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
    expect(kindOf(badRow(rawOf(hostile)))).toBe('tracker_protocol_violations/jsonschema/1-0-1')
    const data = JSON.parse('{"sku":"a","quantity":1,"__proto__":{"polluted":1}}')
    expect(messagesOf(badRow(rawOf(cartEvent(data))))).toEqual([
      '$.__proto__: is not defined in the schema and the schema does not allow additional properties',
    ])
    expect(messagesOf(badRow(rawOf(cartEvent({ quantity: 1 }, JSON.parse('{"toString":1}')))))).toContain(
      '$.sku: is missing but it is required',
    )
    expect(event('', { querystring: '__proto__=x&e=pv&p=web' }).event).toBe('page_view')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('a number that fills gigabytes when written out stays as it is, and is refused', () => {
    expect(messagesOf(badRow(rawOf({ ...pageView, e: 'se', se_va: '1E+999999999' })))).toEqual([
      'Cannot be converted to java.math.BigDecimal',
    ])
    expect(event({ ...pageView, e: 'se', se_va: '1E+2' }).se_value).toBe('100')
  })

  test('an event that grows beyond what a record holds is a size violation', () => {
    const cx = `{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"${anything}","data":[${'1e20,'.repeat(25_000)}0]}]}`
    expect(kindOf(badRow(rawOf({ ...pageView, co: cx })))).toBe('size_violation/jsonschema/1-0-0')
  })

  test('a bad row that would be too large holds the head of itself', () => {
    const row = badRow(rawOf(`{"e":"pv","p":"web","tv":"x","foo":"${'\\"'.repeat(75_000)}"}`))
    expect(kindOf(row)).toBe('size_violation/jsonschema/1-0-0')
    expect(dataOf(row).payload).toContain('$[0].foo: is not defined')
  })

  test('thousands of unknown fields, or of entities, are a hundred reports', () => {
    const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, 0]))
    expect(messagesOf(badRow(rawOf(fields, { format: 'ndjson', vendor: null })))).toHaveLength(100)
    const cx = contexts(...Array.from({ length: 1_500 }, () => ['iglu:com.acme/none/jsonschema/1-0-0', 0] as const))
    expect(failureOf(badRow(rawOf({ ...pageView, cx }))).messages).toHaveLength(100)
  })

  test('a long list that must be unique is looked at once, not pair by pair', () => {
    const sizes = Array.from({ length: 30_000 }, (_, size) => size)
    const startedMs = performance.now()
    expect(event(cartEvent({ sku: 'a', quantity: 1 }, { sku: 'a', sizes })).contexts).toHaveLength(1)
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })
})

describe('for whatever comes', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('', 'null', '0', '1', '-1', '1e9'))
  const params = fc.dictionary(
    fc.constantFrom(
      ...Object.keys({ ...pageView, ...cartEvent({}, {}), vid: '', res: '', tr_tt: '', refr: '', sid: '', ip: '' }),
    ),
    text,
  )
  const json = fc.json({ maxDepth: 6 }).map((value) => JSON.parse(value) as unknown)
  const body = fc.oneof(
    text,
    fc.json({ maxDepth: 50 }),
    params.map((some) => JSON.stringify({ ...pageView, ...some })),
    json.map((data) => JSON.stringify(cartEvent(data, data))),
    json.map((data) => JSON.stringify({ ...pageView, cx: contexts([anything, data]) })),
    fc
      .dictionary(fc.constantFrom(...columns.map(({ name }) => name), '__proto__'), json)
      .map((fields) => JSON.stringify(fields)),
  )
  const raw = fc
    .record({
      body,
      format: fc.constantFrom<RawEvent['format']>('tp2', 'ndjson', 'tsv', 'segment', 'thrift'),
      querystring: fc.option(
        fc.oneof(
          text,
          params.map((some) => new URLSearchParams(some).toString()),
        ),
      ),
      refererUri: fc.option(fc.oneof(text, fc.webUrl())),
      failure: fc.option(fc.constantFrom(...(['json', 'data', 'size'] as const).map(failure)), { freq: 9 }),
    })
    .map(({ body, ...parts }) => rawOf(body, parts))

  test('in = valid + bad, never both, never an exception, always the same, always a record that Avro can hold', () => {
    fc.assert(
      fc.property(raw, (raw) => {
        const effects = effectsOf(raw)
        expect(effects[0]).toEqual({ effect: 'count', name: 'raw.events', by: 1 })
        const [, outcome, out, failed, ...others] = effects
        expect(others).toEqual([])
        if (out?.effect === 'pass') {
          expect(outcome).toEqual({ effect: 'count', name: 'valid', by: 1 })
          const bytes = schemaType('Event').toBuffer(out.value)
          expect({ ...(schemaType('Event').fromBuffer(bytes) as Event) }).toEqual({ ...(out.value as Event) })
          expect(failed).toBeUndefined()
        } else {
          expect(outcome).toEqual({ effect: 'count', name: 'bad', by: 1 })
          const row = (out as { value: BadRow }).value
          expect(schemaType('BadRow').toBuffer(row).length).toBeLessThan(recordBytesMax)
          expect(Object.keys(dataOf(row))).toEqual(['processor', 'failure', 'payload'])
          if (failed?.effect === 'emit')
            expect(schemaType('Event').toBuffer(failed.value).length).toBeLessThan(recordBytesMax)
        }
        expect(effectsOf(raw)).toEqual(effects)
      }),
      { numRuns: 2_000 },
    )
  })
})

test('records of other kinds are passed on as they are, and not counted', () => {
  const value = { anything: 1 }
  expect(process({ kind: 'learned', key: 'shop/c', value })).toEqual([
    { effect: 'pass', kind: 'learned', key: 'shop/c', value },
  ])
})

test('the version in events and bad rows is the package’s', () => {
  const { version: packaged } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(version).toBe(packaged)
})

type Payload = { readonly enriched: object; readonly raw: { readonly parameters: readonly object[] } }
type Data = { readonly processor: object; readonly failure: object; readonly payload: unknown }

function failure(kind: 'json' | 'data' | 'size'): NonNullable<RawEvent['failure']> {
  const bytes =
    kind === 'size' ? { actualBytes: 2_000_000, maximumBytes: 1_000_000 } : { actualBytes: null, maximumBytes: null }
  return { kind, field: 'body', message: 'told by the source', ...bytes }
}

function event(body: unknown, parts: Partial<RawEvent> = {}): Event {
  return eventOf(rawOf(body, parts))
}

function eventOf(raw: RawEvent): Event {
  const out = effectsOf(raw)[2]
  if (out?.effect !== 'pass') throw new Error(`not valid: ${JSON.stringify(out)}`)
  return out.value as Event
}

function badRow(raw: RawEvent): BadRow {
  const out = effectsOf(raw)[2]
  if (out?.effect !== 'emit') throw new Error(`not bad: ${JSON.stringify(out)}`)
  return out.value as BadRow
}

function set(event: Event): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(event).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)),
  )
}

function decoded(text: string): unknown {
  return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
}

const kindOf = (row: BadRow): string => row.schema.replace('iglu:com.snowplowanalytics.snowplow.badrows/', '')
const dataOf = (row: BadRow): Data => JSON.parse(row.data) as Data
const failureOf = (row: BadRow) => dataOf(row).failure as { readonly messages: readonly unknown[] }

/** The texts of all reports, in order. */
function messagesOf(row: BadRow): readonly string[] {
  const messages = failureOf(row).messages as readonly { error?: { dataReports?: readonly { message: string }[] } }[]
  return messages.flatMap(({ error }) => error?.dataReports?.map(({ message }) => message) ?? [])
}
