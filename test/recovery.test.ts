import { describe, expect, test } from 'vitest'
import { newDraft } from '../operators/validate/draft.ts'
import { addToCart, cartEvent, effectsOf, pageView, rawOf, unstruct } from '../operators/validate/testing.ts'
import { tsvOf } from '../operators/validate/tsv.ts'
import type { BadRow, Event, RawEvent } from '../schemas/avro/types.ts'
import { flowsOf } from '../sources/recovery/flow.ts'
import { recover } from '../sources/recovery/recover.ts'

const badRows = 'iglu:com.snowplowanalytics.snowplow.badrows'
const kinds = ['schema_violations', 'enrichment_failures', 'tracker_protocol_violations', 'adapter_failures']

const outcome = (raw: RawEvent): { event?: Event; bad?: BadRow } => {
  for (const effect of effectsOf(raw)) {
    if (effect.effect === 'pass') return { event: effect.value as Event }
    if (effect.effect === 'emit' && effect.topic === 'events.bad') return { bad: effect.value as BadRow }
  }
  throw new Error('an event is good or bad')
}

function recovered(bad: BadRow, steps: readonly object[]): readonly RawEvent[] {
  const schema = 'iglu:com.snowplowanalytics.snowplow/recoveries/jsonschema/4-0-0'
  const flow = [{ name: 'mend', conditions: [], steps }]
  const data = Object.fromEntries(kinds.map((kind) => [`${badRows}/${kind}/jsonschema/*-*-*`, flow]))
  const recovery = recover(bad, flowsOf(JSON.stringify({ schema, data }), 'flow'), {
    artifact: 'test',
    version: '1.0.0',
  })
  if (recovery.outcome !== 'recovered') throw new Error(JSON.stringify(recovery))
  return recovery.events.map(({ raw }) => raw)
}

const get = (params: Readonly<Record<string, string>>): RawEvent =>
  rawOf('', { version: 'tp1', contentType: null, querystring: new URLSearchParams(params).toString() })
const file = (format: RawEvent['format'], body: unknown): RawEvent =>
  rawOf(body, { format, vendor: null, version: null, contentType: null, source: 'ingest' })
const row = tsvOf(Object.assign(newDraft(), outcome(rawOf(pageView)).event))
const call = { type: 'track', event: 'x', userId: 'u', properties: { a: [1] }, context: { ip: '203.0.113.1' } }
/** As the collector takes a call. */
const posted = { format: 'segment', vendor: 'com.segment', version: 'v1' } as const
const { eid: _, ...withoutId } = pageView
const replace = (path: string, match: string, value: string) => ({ op: 'Replace', path, match, value })

describe('a bad row that is mended gives the event that would have been', () => {
  test.each<[string, RawEvent, RawEvent, object]>([
    [
      'a parameter of a POST',
      rawOf({ ...pageView, tid: 'x' }),
      rawOf({ ...pageView, tid: '7' }),
      replace('$.raw.parameters.tid', 'x', '7'),
    ],
    [
      'one without an id',
      rawOf({ ...withoutId, tid: 'x' }, { index: 3 }),
      rawOf({ ...withoutId, tid: '7' }, { index: 3 }),
      replace('$.raw.parameters.tid', 'x', '7'),
    ],
    [
      'data in base64',
      rawOf(cartEvent({ sku: 'a', quantity: 0 })),
      rawOf(cartEvent({ sku: 'a', quantity: 1 })),
      { op: 'Replace', path: '$.raw.parameters.ue_px.data.data.quantity', value: 1 },
    ],
    [
      'a schema key',
      rawOf({ ...pageView, e: 'ue', ue_px: unstruct('iglu:com.acme/add/jsonschema/1-0-0', { sku: 'a', quantity: 1 }) }),
      rawOf(cartEvent({ sku: 'a', quantity: 1 })),
      replace('$.raw.parameters.ue_px.data.schema', '^.*$', addToCart),
    ],
    ['a type of event', rawOf({ ...pageView, e: 'ad' }), rawOf(pageView), replace('$.raw.parameters.e', 'ad', 'pv')],
    [
      'a GET',
      get({ ...pageView, cv: 'c', own: 'x', tid: 'x' }),
      get({ ...pageView, cv: 'c', own: 'x', tid: '7' }),
      replace('$.raw.parameters.tid', 'x', '7'),
    ],
    [
      'a GET without a platform',
      get({ e: 'pv', tid: 'x' }),
      get({ e: 'pv', tid: '7' }),
      replace('$.raw.parameters.tid', 'x', '7'),
    ],
    [
      'an element that broke the protocol',
      rawOf({ ...withoutId, tv: 7 }, { index: 2 }),
      rawOf({ ...withoutId, tv: '7' }, { index: 2 }),
      { op: 'Cast', path: '$.body.data.[0].tv', from: 'Numeric', to: 'String' },
    ],
    [
      'a path',
      rawOf(
        JSON.stringify({
          schema: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
          data: [pageView],
        }),
        {
          vendor: 'com.acme',
          version: 'v9',
          failure: { kind: 'data', field: 'vendor/version', message: '', actualBytes: null, maximumBytes: null },
        },
      ),
      rawOf(pageView),
      replace('$.vendor', '^.*$', 'com.snowplowanalytics.snowplow'),
    ],
    [
      'NDJSON',
      file('ndjson', {
        event: 'page_view',
        txn_id: 'x',
        se_value: 1.5,
        unstruct_event: null,
        contexts: [{ schema: addToCart, data: { sku: 'a', quantity: 1 } }],
      }),
      file('ndjson', {
        event: 'page_view',
        txn_id: '7',
        se_value: 1.5,
        unstruct_event: null,
        contexts: [{ schema: addToCart, data: { sku: 'a', quantity: 1 } }],
      }),
      replace('$.raw.parameters.txn_id', 'x', '7'),
    ],
    [
      'TSV',
      file('tsv', row.replace('shop-web', 'a'.repeat(300))),
      file('tsv', row),
      replace('$.raw.parameters.app_id', '^.*$', 'shop-web'),
    ],
    [
      'a call',
      file('segment', { ...call, event: 7 }),
      file('segment', { ...call, event: 'x' }),
      { op: 'Replace', path: '$.body.event', value: 7 },
    ],
  ])('%s', (name, broken, good, step) => {
    const { bad } = outcome(broken)
    expect(bad).toBeDefined()
    const steps =
      name === 'a path'
        ? [step, replace('$.version', '^.*$', 'tp2')]
        : name === 'a call'
          ? [{ op: 'Cast', path: '$.body.event', from: 'Numeric', to: 'String' }, replace('$.body.event', '7', 'x')]
          : [step]
    const [mended, ...others] = recovered(bad!, steps)
    expect(others).toEqual([])
    const expected = outcome(good).event
    expect(outcome(mended!).event).toEqual({ ...expected, etl_tstamp: expect.any(Number) })
  })

  test('and left as it was, it is bad again, in the same words', () => {
    for (const raw of [
      rawOf({ ...pageView, tid: 'x' }),
      rawOf({ ...pageView, odd: 1 }),
      rawOf({}, { vendor: 'v', version: 'v' }),
      file('segment', { type: 'x' }),
      rawOf({ type: 'x' }, posted),
      rawOf({ ...call, timestamp: 'x' }, posted),
    ]) {
      const { bad } = outcome(raw)
      const [again] = recovered(bad!, [])
      expect(outcome(again!).bad).toEqual(bad)
    }
  })
})
