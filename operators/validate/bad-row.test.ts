import { describe, expect, test } from 'vitest'
import type { BadRow, Event, RawEvent } from '../../schemas/avro/types.ts'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import {
  addToCart,
  cartEvent,
  collectorMs,
  contexts,
  effectsOf,
  pageView,
  product,
  rawOf,
  unstruct,
} from './testing.ts'

/**
 * The published shapes of bad rows, as facts of our own: members with what they must be, `?` where they may be missing.
 * https://github.com/snowplow/iglu-central/tree/master/schemas/com.snowplowanalytics.snowplow.badrows
 */
type Shape = (value: unknown) => string | null
const text =
  (max = Number.POSITIVE_INFINITY, pattern = /^/u): Shape =>
  (value) =>
    typeof value === 'string' && value.length <= max && pattern.test(value) ? null : `a text of at most ${max}`
const optional =
  (shape: Shape): Shape =>
  (value) =>
    value === null ? null : shape(value)
const integer: Shape = (value) => (Number.isInteger(value) ? null : 'an integer')
const instant = text(40, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const id = text(36, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i)
const anything: Shape = (value) => (value === undefined ? 'something' : null)
const one =
  (...texts: readonly string[]): Shape =>
  (value) =>
    texts.includes(value as string) ? null : `one of ${texts}`
const list =
  (shape: Shape, min = 0): Shape =>
  (value) =>
    Array.isArray(value) && value.length >= min
      ? (value.map(shape).find((problem) => problem !== null) ?? null)
      : `a list of at least ${min}`
const members =
  (shapes: Readonly<Record<string, Shape>>): Shape =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'an object'
    const given = value as Readonly<Record<string, unknown>>
    const known = new Set(Object.keys(shapes).map((name) => name.replace('?', '')))
    const odd = Object.keys(given).find((name) => !known.has(name))
    if (odd !== undefined) return `no member ${odd}`
    for (const [name, shape] of Object.entries(shapes)) {
      const plain = name.replace('?', '')
      if (!(plain in given) && plain !== name) continue
      const problem = shape(given[plain])
      if (problem !== null) return `${plain}: ${problem}`
    }
    return null
  }
const any =
  (...shapes: readonly Shape[]): Shape =>
  (value) => {
    const problems = shapes.map((shape) => shape(value))
    return problems.includes(null) ? null : problems.join(' | ')
  }

const schemaMessages = [
  members({ field: text(64), 'value?': optional(text()), error: text() }),
  members({
    json: anything,
    error: one('INVALID_SCHEMAVER', 'INVALID_IGLUURI', 'INVALID_DATA_PAYLOAD', 'INVALID_SCHEMA'),
  }),
  members({ schemaKey: text(), schemaCriterion: text() }),
  members({
    schemaKey: text(),
    error: any(
      members({
        error: one('ResolutionError'),
        lookupHistory: list(
          members({
            repository: text(),
            errors: list(members({ error: one('RepoFailure', 'ClientFailure', 'NotFound'), 'message?': text(256) }), 1),
            attempts: integer,
            lastAttempt: instant,
          }),
          1,
        ),
      }),
      members({
        error: one('ValidationError'),
        'supersededBy?': optional(text(32)),
        dataReports: list(
          members({
            message: text(),
            path: optional(text()),
            keyword: optional(text()),
            targets: optional(list(text())),
          }),
          1,
        ),
      }),
      members({
        error: one('ValidationError'),
        'supersededBy?': optional(text(32)),
        schemaIssues: list(members({ path: text(), message: text() }), 1),
      }),
    ),
  }),
]
const unexpected = members({ field: text(64), 'value?': optional(text()), expectation: text(256) })
const adapter = { vendor: text(64), version: text(16) }
const request = {
  contentType: optional(text(256)),
  encoding: text(32),
  hostname: optional(text(8_192)),
  timestamp: instant,
  ipAddress: optional(text(128)),
  useragent: optional(text(4_096)),
  refererUri: optional(text(8_192)),
  headers: list(text(8_192)),
}
const collectorPayload = members({
  ...adapter,
  ...request,
  querystring: list(members({ name: text(512), 'value?': optional(text()) })),
  body: optional(text()),
  collector: text(32),
  networkUserId: optional(id),
})
const asText = new Set(['decimal', 'json', 'string', 'timestamp', 'uuid'])
const enriched = members(
  Object.fromEntries(
    contract.map(({ name, type, numeric }): [string, Shape] => {
      if (asText.has(type) || numeric === 'decimal' || name === 'txn_id') return [name, optional(text())]
      return [name, optional(type === 'number' ? (value) => (typeof value === 'number' ? null : 'a number') : integer)]
    }),
  ),
)
const enrichmentPayload = members({
  enriched,
  raw: members({
    ...adapter,
    ...request,
    // published with at most 512 characters, which Snowplow's own rows do not keep to either
    parameters: list(members({ name: text(512), value: optional(text()) })),
    loaderName: text(32),
    userId: optional(id),
  }),
})
const protocolFailure = members({ timestamp: instant, ...adapter, messages: list(any(unexpected, ...schemaMessages)) })
const processor = members({ artifact: text(512), version: text(32, /^\d+\.\d+\.\d+.*$/) })

const shapes: Readonly<Record<string, Shape>> = {
  'schema_violations/jsonschema/2-0-1': members({
    processor,
    failure: members({ timestamp: instant, messages: list(any(...schemaMessages), 1) }),
    payload: enrichmentPayload,
  }),
  'enrichment_failures/jsonschema/2-0-1': members({
    processor,
    failure: members({
      timestamp: instant,
      messages: list(
        members({
          enrichment: optional(members({ schemaKey: text(), identifier: text() })),
          message: any(members({ error: text() }), unexpected),
        }),
        1,
      ),
    }),
    payload: enrichmentPayload,
  }),
  'tracker_protocol_violations/jsonschema/1-0-1': members({
    processor,
    failure: protocolFailure,
    payload: collectorPayload,
  }),
  'adapter_failures/jsonschema/1-0-0': members({ processor, failure: protocolFailure, payload: collectorPayload }),
  'collector_payload_format_violation/jsonschema/1-0-0': members({
    processor,
    failure: members({
      timestamp: instant,
      loader: one('clj-tomcat', 'cloudfront', 'ndjson', 'thrift', 'tsv'),
      message: members({ error: text(512) }),
    }),
    payload: text(),
  }),
  'size_violation/jsonschema/1-0-0': members({
    processor,
    failure: members({
      timestamp: instant,
      maximumAllowedSizeBytes: integer,
      actualSizeBytes: integer,
      expectation: text(),
    }),
    payload: text(),
  }),
  'generic_error/jsonschema/1-0-0': members({
    processor,
    failure: members({ timestamp: instant, errors: list(text(), 1) }),
    payload: text(),
  }),
  'loader_parsing_error/jsonschema/2-0-0': members({
    processor,
    failure: any(
      members({ type: one('NotTSV') }),
      members({ type: one('FieldNumberMismatch'), fieldCount: integer }),
      members({
        type: one('RowDecodingError'),
        errors: list(members({ type: one('InvalidValue'), key: text(32), value: text(), message: text() }), 1),
      }),
    ),
    payload: text(),
  }),
}

const effects = (raw: RawEvent) => {
  const emitted = effectsOf(raw).flatMap((effect) => (effect.effect === 'emit' ? [effect] : []))
  const bad = emitted.find(({ topic }) => topic === 'events.bad')?.value as BadRow
  const failed = emitted.find(({ topic }) => topic === 'events.failed')?.value as Event | undefined
  return {
    kind: bad.schema.slice('iglu:com.snowplowanalytics.snowplow.badrows/'.length),
    data: JSON.parse(bad.data),
    failed,
  }
}

const odd = { networkUserId: 'no-uuid', hostname: 'h'.repeat(9_000), userAgent: 'u'.repeat(5_000), vendor: null }
const brokenEntity = contexts([product, { sku: 1 }], ['iglu:com.acme/none/jsonschema/1-0-0', {}])
const failure = (kind: 'json' | 'data' | 'size') => ({
  failure: { kind, field: 'body', message: 'x'.repeat(600), actualBytes: 7, maximumBytes: 3 },
})

const rows: readonly (readonly [string, string, RawEvent])[] = [
  ['schema_violations', 'of an event', rawOf(cartEvent({ quantity: 0 }), odd)],
  ['schema_violations', 'of entities', rawOf({ ...pageView, cx: brokenEntity })],
  ['schema_violations', 'no JSON', rawOf({ ...pageView, e: 'ue', ue_pr: '{' })],
  ['schema_violations', 'no Iglu', rawOf({ ...pageView, e: 'ue', ue_px: unstruct('x', {}), cx: contexts(['', 1]) })],
  [
    'schema_violations',
    'another envelope',
    rawOf({ ...pageView, co: JSON.stringify({ schema: addToCart, data: {} }) }),
  ],
  ['schema_violations', 'atomic', rawOf({ ...pageView, tid: 'x', res: 'big', e: 'what', p: 'moon' })],
  ['schema_violations', 'lengths', rawOf({ ...pageView, aid: 'a'.repeat(300) })],
  [
    'schema_violations',
    'of ndjson',
    rawOf({ event: 'page_view', odd: 1 }, { format: 'ndjson', vendor: null, version: null }),
  ],
  ['enrichment_failures', 'no schema', rawOf({ ...pageView, e: 'ad' })],
  ['tracker_protocol_violations', 'parameters', rawOf({ ...pageView, odd: 'x', tv: 7 })],
  ['tracker_protocol_violations', 'no JSON', rawOf('{', failure('json'))],
  ['tracker_protocol_violations', 'no envelope', rawOf('[]', failure('data'))],
  ['adapter_failures', 'another place', rawOf('{}', { vendor: 'v'.repeat(200), version: 'v'.repeat(200) })],
  ['adapter_failures', 'nothing', rawOf('', {})],
  ['adapter_failures', 'no call', rawOf({ type: 'x' }, { format: 'segment' })],
  ['collector_payload_format_violation', 'ndjson', rawOf('{', { format: 'ndjson' })],
  ['collector_payload_format_violation', 'thrift', rawOf('AAA=', { format: 'thrift', ...failure('data') })],
  ['size_violation', 'too large', rawOf('x', failure('size'))],
  ['generic_error', 'no definitions', rawOf('{}', { tenant: 'nobody' })],
  ['loader_parsing_error', 'no TSV', rawOf('x', { format: 'tsv' })],
  ['loader_parsing_error', 'too few', rawOf('x\ty', { format: 'tsv' })],
  ['loader_parsing_error', 'no values', rawOf('\t'.repeat(130), { format: 'tsv' })],
]

describe('bad rows have the shapes that are published', () => {
  test.each(rows)('%s: %s', (name, _what, raw) => {
    const { kind, data } = effects(raw)
    expect(kind.split('/')[0]).toBe(name)
    expect(shapes[kind]?.(data)).toBeNull()
  })

  test('of all kinds', () => {
    expect(new Set(rows.map(([, , raw]) => effects(raw).kind))).toEqual(new Set(Object.keys(shapes)))
  })

  test('one event of a POST stands in its row as a POST of its own', () => {
    const element = { ...pageView, odd: 'x' }
    expect(JSON.parse(effects(rawOf(element)).data.payload.body)).toEqual({
      schema: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
      data: [element],
    })
  })
})

describe('a failed event', () => {
  const failuresOf = ({ failed }: ReturnType<typeof effects>) =>
    failed!.derived_contexts.map(({ schema, data }) => {
      expect(schema).toBe('iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0')
      const failure = JSON.parse(data)
      expect(failure).toMatchObject({
        timestamp: expect.stringMatching(/Z$/),
        componentName: 'millrace-validate',
        componentVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
      })
      return failure
    })

  test('has all that was good of an event, and every error of all phases', () => {
    const good = [product, { sku: 'a' }] as const
    const raw = rawOf({
      ...pageView,
      e: 'ue',
      aid: 'a'.repeat(300),
      tid: 'many',
      ue_px: unstruct(addToCart, { sku: 'a', quantity: 0, odd: 1 }),
      cx: contexts(good, [product, { sku: 1 }], ['iglu:com.acme/none/jsonschema/1-0-0', { a: 1 }]),
    })
    const read = effects(raw)
    expect(read.data.failure.messages).toHaveLength(4)
    expect(read.failed).toMatchObject({
      event_id: pageView['eid'],
      collector_tstamp: collectorMs,
      page_urlhost: 'shop.example',
      app_id: null,
      txn_id: null,
      unstruct_event: null,
      contexts: [{ schema: product, data: '{"sku":"a"}' }],
    })
    const failures = failuresOf(read)
    expect(failures.map(({ failureType, schema, data }) => [failureType, schema, data])).toEqual(
      expect.arrayContaining([
        ['ValidationError', addToCart, { sku: 'a', quantity: 0, odd: 1 }],
        ['ValidationError', product, { sku: 1 }],
        ['ResolutionError', 'iglu:com.acme/none/jsonschema/1-0-0', { a: 1 }],
        ['ValidationError', 'iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0', { tid: 'many' }],
        ['ValidationError', 'iglu:com.snowplowanalytics.snowplow/atomic/jsonschema/1-0-0', { app_id: 'a'.repeat(300) }],
      ]),
    )
    expect(failures).toHaveLength(5)
    const sources = failures.map(({ errors }) => errors.map(({ source }: { source: string }) => source))
    expect(sources.map((each) => [...new Set(each)].join())).toEqual([
      'contexts',
      'contexts',
      'unstruct',
      'atomic_field',
      'atomic_field',
    ])
    const [of] = failures.filter(({ schema }) => schema === addToCart)
    expect(of.errors.map(({ keyword }: { keyword: string }) => keyword).sort()).toEqual([
      'additionalProperties',
      'minimum',
    ])
  })

  test.each<[string, RawEvent, string]>([
    ['NotJSON', rawOf({ ...pageView, co: '{' }), 'contexts'],
    ['NotIglu', rawOf({ ...pageView, co: '{}' }), 'contexts'],
    ['CriterionMismatch', rawOf({ ...pageView, co: JSON.stringify({ schema: addToCart, data: {} }) }), 'contexts'],
    ['EnrichmentError', rawOf({ ...pageView, e: 'ad' }), 'event'],
  ])('says %s', (failureType, raw, source) => {
    const failures = failuresOf(effects(raw))
    expect(failures).toHaveLength(1)
    expect(failures[0]).toMatchObject({ failureType, errors: [{ message: expect.any(String), source }] })
  })

  test('is never too large for a record: what cannot be told and kept whole is told in part', () => {
    const entity = (size: number) => [product, { sku: 'a', odd: 'x'.repeat(size) }] as const
    const { failed } = effects(rawOf({ ...pageView, cx: contexts(...Array(100).fill(entity(1_000))) }))
    expect(failed!.derived_contexts.length).toBe(100)
    const many = effects(rawOf({ ...pageView, cx: contexts(...Array(3_000).fill([product, { a: 1, b: 2, c: 3 }])) }))
    expect(JSON.stringify(many.failed).length).toBeLessThan(224 * 1024)
    expect(many.failed!.derived_contexts.length).toBeGreaterThan(0)
  })

  test('there is none of what could not be read', () => {
    for (const raw of [rawOf('{', failure('json')), rawOf({ odd: 1 }), rawOf('x', { format: 'tsv' })]) {
      expect(effects(raw).failed).toBeUndefined()
    }
  })
})
