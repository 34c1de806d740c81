import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { payloadEventsMax, splitPayload } from './payload.ts'
import { originOf } from './testing.ts'

const schema = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'
const split = (payload: unknown, querystring: string | null = null) =>
  splitPayload(originOf({ querystring }), typeof payload === 'string' ? payload : JSON.stringify(payload))
const failures = (payload: unknown) =>
  split(payload).map(({ raw }) => raw.failure && `${raw.failure.kind} ${raw.failure.field}`)

describe('a payload becomes', () => {
  test('one raw event for each of its own, in order, each under the key of its client', () => {
    const events = [
      { e: 'pv', duid: 'a' },
      { e: 'pp', duid: 'b' },
      { e: 'pv', uid: 'c' },
    ]
    expect(
      split({ schema, data: events }).map(({ raw, key }) => [raw.index, JSON.parse(raw.body), raw.failure, key]),
    ).toEqual([
      [0, events[0], null, 'shop/a'],
      [1, events[1], null, 'shop/b'],
      [2, events[2], null, 'shop/c'],
    ])
  })

  test('among them a failure for each that is no object: the others are not touched', () => {
    expect(failures({ schema, data: [{ e: 'pv' }, 7, null, ['x'], { e: 'pp' }] })).toEqual([
      null,
      'data $[1]',
      'data $[2]',
      'data $[3]',
      null,
    ])
  })

  test.each<[string, unknown, string]>([
    ['truncated JSON', '{"schema":"iglu', 'json body'],
    ['nothing', '', 'json body'],
    ['no object', '[]', 'data body'],
    ['an object of another schema', { schema: 'iglu:com.acme/x/jsonschema/1-0-0', data: [{}] }, 'data body'],
    ['no schema', { data: [{}] }, 'data body'],
    ['a schema it inherits', `{"__proto__":{"schema":"${schema}"},"data":[{}]}`, 'data body'],
    ['no list', { schema, data: {} }, 'data body'],
    ['no events', { schema, data: [] }, 'data body'],
    ['too many events', { schema, data: Array(payloadEventsMax + 1).fill({}) }, 'data body'],
    ['brackets without end', '['.repeat(500_000), 'json body'],
    [
      'an event of a hundred thousand levels',
      `{"schema":"${schema}","data":[{"e":${'['.repeat(1e5)}${']'.repeat(1e5)}}]}`,
      'json body',
    ],
  ])('one failure when it is %s', (_, payload, failure) => {
    expect(failures(payload)).toEqual([failure])
  })

  test('the querystring says whose events they are, where it speaks of that', () => {
    expect(split({ schema, data: [{ duid: 'a' }, {}] }, 'uid=u&duid=q').map(({ key }) => key)).toEqual([
      'shop/q',
      'shop/q',
    ])
  })

  test('at least one raw event, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((data) => `{"schema":"${schema}","data":${data}}`),
        ),
        (text) => {
          const sourced = split(text)
          expect(sourced.length).toBeGreaterThan(0)
          expect(sourced.map(({ raw }) => raw.index)).toEqual(sourced.map((_, index) => index))
        },
      ),
    )
  })
})
