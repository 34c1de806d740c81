import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Event } from '../../schemas/avro/types.ts'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { newDraft } from './draft.ts'
import { Findings } from './failure.ts'
import { ndjsonOf, readFields } from './ndjson.ts'
import { schemaBookOf } from './schema-book.ts'
import { memberName, sdkJsonOf } from './sdk-json.ts'
import { anything, collectorMs, definitions, draftOf } from './testing.ts'
import { columnCount, float32Text, readRow, rowErrors, rowOf, tsvOf } from './tsv.ts'

const checker = { book: schemaBookOf(definitions), atMs: 0 }

/** Any event that VALIDATE could have made, of texts without controls. */
const events: fc.Arbitrary<Event> = fc
  .record({
    columns: fc.record(
      Object.fromEntries(
        contract.filter(({ type }) => type !== 'json').map((column) => [column.name, valueFor(column)]),
      ),
    ),
    contexts: fc.array(entity(), { maxLength: 3 }),
    derived_contexts: fc.array(entity(), { maxLength: 2 }),
    unstruct_event: fc.option(entity()),
  })
  .map(({ columns, ...parts }) => draftOf({ ...columns, ...parts } as Partial<Event>))

function valueFor({ name, type, numeric, required }: (typeof contract)[number]): fc.Arbitrary<unknown> {
  const words = { event: 'page_view', platform: 'web' } as Readonly<Record<string, string>>
  const value = words[name] ? fc.constant(words[name]) : ofType(numeric === 'float32' ? 'float' : type)
  return required || name === 'event' ? value : fc.option(value)
}

function ofType(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'integer':
      return fc.integer()
    case 'boolean':
      return fc.boolean()
    case 'timestamp':
      return fc
        .date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
        .map(Number)
    case 'uuid':
      return fc.uuid()
    case 'number':
      return fc.tuple(fc.integer(), fc.stringMatching(/^(\.\d{1,12})?$/)).map(([whole, part]) => `${whole}${part}`)
    case 'float':
      return fc
        .float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) })
        .map((value) => value + 0)
    default:
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is left out
      return fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => !/[\x00-\x1f\x7f]/.test(text))
  }
}

function entity() {
  return fc.jsonValue().map((value) => ({ schema: anything, data: JSON.stringify(value) }))
}

const read = (line: string) => {
  const parsed = rowOf(line)
  if ('error' in parsed) throw new Error(JSON.stringify(parsed.error))
  expect(rowErrors(parsed.row)).toEqual([])
  const findings = new Findings()
  const draft = newDraft()
  draft.unstruct_event = readRow(draft, parsed.row, checker, findings)?.json ?? null
  expect([findings.parse, findings.schema]).toEqual([[], []])
  return draft
}

describe('enriched TSV', () => {
  test('an event comes back from its line, and the line from the event, byte for byte', () => {
    fc.assert(
      fc.property(events, (event) => {
        const line = tsvOf(event)
        expect(line.split('\t')).toHaveLength(131)
        expect(line).not.toMatch(/[\n\r]/)
        const again = read(line)
        expect({ ...again, tenant: event.tenant, source: event.source, payload_id: '', payload_index: 0 }).toEqual({
          ...event,
          payload_id: '',
          payload_index: 0,
        })
        expect(tsvOf(again)).toBe(line)
      }),
    )
  })

  test('is spelled as Snowplow spells it', () => {
    const line = tsvOf(
      draftOf({
        collector_tstamp: collectorMs,
        event_id: 'c6ef3124-b53a-4b13-a233-0088f79dcbcb',
        v_collector: 'c',
        v_etl: 'e',
        page_title: 'a\tb\nc\u0000\u007fd',
        br_cookies: true,
        br_features_pdf: false,
        se_value: '100.50',
        txn_id: 12,
        geo_latitude: Math.fround(37.443604),
        geo_longitude: -122,
        contexts: [{ schema: anything, data: '{"a":"\\t"}' }],
        unstruct_event: { schema: anything, data: '{}' },
      }),
    ).split('\t')
    const at = (name: string) => line[contract.findIndex((column) => column.name === name)]
    expect(line).toHaveLength(columnCount)
    expect(at('collector_tstamp')).toBe('2024-03-10 12:00:00.000')
    expect(at('page_title')).toBe('a    bcd')
    expect([at('br_cookies'), at('br_features_pdf'), at('br_features_flash')]).toEqual(['1', '0', ''])
    expect([at('se_value'), at('txn_id'), at('geo_latitude'), at('geo_longitude')]).toEqual([
      '100.50',
      '12',
      '37.443604',
      '-122.0',
    ])
    expect(at('contexts')).toBe(
      `{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"${anything}","data":{"a":"\\t"}}]}`,
    )
    expect(at('unstruct_event')).toBe(
      `{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"${anything}","data":{}}}`,
    )
  })

  test('a line that is none says why in the words of the SDK', () => {
    expect(rowOf('a')).toEqual({ error: { type: 'NotTSV' } })
    expect(rowOf('a\tb')).toEqual({ error: { type: 'FieldNumberMismatch', fieldCount: 2 } })
    expect(rowOf('\t'.repeat(5_000))).toEqual({ error: { type: 'FieldNumberMismatch', fieldCount: 1_024 } })
    const row = {
      etl_tstamp: 'yesterday',
      event_id: 'x',
      txn_id: '1.5',
      br_cookies: 'yes',
      se_value: 'much',
      v_etl: 'e',
    }
    expect(rowErrors(row).map(({ message }) => message)).toEqual([
      'Cannot parse key etl_tstamp into datetime',
      'Field collector_tstamp cannot be empty',
      'Cannot parse key event_id into UUID',
      'Cannot parse key txn_id into integer',
      'Field v_collector cannot be empty',
      'Cannot parse key se_value into double',
      'Cannot parse key br_cookies into boolean',
    ])
  })

  test('a float has the fewest digits that tell it apart', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Math.fround(Number(float32Text(value))) + 0).toBe(value + 0)
      }),
    )
    expect([float32Text(Math.fround(0.1)), float32Text(1e-7), float32Text(0)]).toEqual(['0.1', '0.0000001', '0'])
  })
})

test('an event comes back from its NDJSON', () => {
  fc.assert(
    fc.property(events, (event) => {
      const findings = new Findings()
      const draft = newDraft()
      draft.unstruct_event = readFields(draft, JSON.parse(ndjsonOf(event)), checker, findings)?.json ?? null
      expect([findings.parse, findings.schema]).toEqual([[], []])
      expect(tsvOf(draft)).toBe(tsvOf(event))
    }),
  )
})

describe('SDK JSON', () => {
  test.each([
    ['contexts', 'iglu:org.w3/PerformanceTiming/jsonschema/1-0-0', 'contexts_org_w3_performance_timing_1'],
    [
      'contexts',
      'iglu:com.acme-inc/my-duplicated-NameOfURL/jsonschema/12-3-4',
      'contexts_com_acme_inc_my_duplicated_name_of_url_12',
    ],
    [
      'unstruct_event',
      'iglu:com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0',
      'unstruct_event_com_snowplowanalytics_self_desc_schema_1',
    ],
    ['unstruct_event', 'iglu:com.Acme/HTTPRequest/jsonschema/2-0-1', 'unstruct_event_com_acme_httprequest_2'],
  ] as const)('%s of %s is %s', (prefix, schema, expected) => {
    expect(memberName(prefix, { schema })).toBe(expected)
  })

  test('entities of one name stand side by side, wherever they come from, and decimals keep their digits', () => {
    const text = sdkJsonOf(
      draftOf({
        collector_tstamp: collectorMs,
        event_id: 'c6ef3124-b53a-4b13-a233-0088f79dcbcb',
        v_collector: 'c',
        v_etl: 'e',
        br_cookies: true,
        se_value: '12345678901234567890.10',
        geo_latitude: Math.fround(37.443604),
        geo_longitude: -122.5,
        contexts: [{ schema: anything, data: '{"from":"tracker"}' }],
        derived_contexts: [{ schema: anything, data: '{"from":"enrichment"}' }],
        unstruct_event: { schema: anything, data: '[1]' },
      }),
    )
    expect(text).toContain('"se_value":12345678901234567890.10,')
    expect(JSON.parse(text)).toEqual({
      collector_tstamp: '2024-03-10T12:00:00.000Z',
      event_id: 'c6ef3124-b53a-4b13-a233-0088f79dcbcb',
      v_collector: 'c',
      v_etl: 'e',
      br_cookies: true,
      se_value: Number('12345678901234567890.1'),
      geo_latitude: 37.443604,
      geo_longitude: -122.5,
      geo_location: '37.443604,-122.5',
      contexts_com_acme_anything_1: [{ from: 'tracker' }, { from: 'enrichment' }],
      unstruct_event_com_acme_anything_1: [1],
    })
  })

  test('is JSON, whatever the event', () => {
    fc.assert(
      fc.property(events, (event) => {
        expect(JSON.parse(sdkJsonOf(event))).toMatchObject({ event_id: event.event_id })
      }),
    )
  })
})
