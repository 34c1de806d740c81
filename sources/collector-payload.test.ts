import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { collectorPayloadBytesMax, eventsOfCollectorPayload } from './collector-payload.ts'
import { framesOf } from './files/frames.ts'
import { collectorPayload, framed, type ThriftField } from './testing.ts'
import { readStruct } from './thrift.ts'

const known = { tenant: 'shop', source: 'test', payloadId: 'p', collectorTstampMs: 0 }
const atMs = Date.parse('2024-03-10T12:00:00Z')
const payloadData = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'

const posted = {
  timestamp: atMs,
  ipAddress: '203.0.113.9',
  collector: 'ssc-3.4.0-kafka',
  encoding: 'UTF-8',
  path: '/com.snowplowanalytics.snowplow/tp2',
  contentType: 'application/json; charset=UTF-8',
  hostname: 'collector.acme.com',
  networkUserId: '8e1b2d3c-0000-4000-8000-000000000001',
  userAgent: 'Mozilla/5.0',
  headers: ['Host: collector.acme.com', 'application/json'],
  body: JSON.stringify({
    schema: payloadData,
    data: [
      { e: 'pv', p: 'web', tv: 'js', duid: 'a' },
      { e: 'pv', p: 'web', tv: 'js', duid: 'b' },
    ],
  }),
}

describe('a collector payload', () => {
  test.each(['library', 'idl'] as const)('of a POST becomes its events, in the numbering of the %s', (numbering) => {
    const events = eventsOfCollectorPayload(known, collectorPayload(posted, numbering))
    expect(events.map(({ key, raw }) => [key, raw.index, raw.failure])).toEqual([
      ['shop/a', 0, null],
      ['shop/b', 1, null],
    ])
    expect(events[0]?.raw).toMatchObject({
      format: 'tp2',
      collectorTstampMs: atMs,
      collector: 'ssc-3.4.0-kafka',
      vendor: 'com.snowplowanalytics.snowplow',
      version: 'tp2',
      contentType: 'application/json; charset=UTF-8',
      hostname: 'collector.acme.com',
      ipAddress: '203.0.113.9',
      userAgent: 'Mozilla/5.0',
      networkUserId: posted.networkUserId,
      headers: posted.headers,
    })
  })

  test('of a GET is one event, in its querystring', () => {
    const { body: _, contentType: __, ...request } = posted
    const [event, ...others] = eventsOfCollectorPayload(
      known,
      collectorPayload({ ...request, path: '/i', querystring: 'e=pv&p=web&duid=a%20b' }),
    )
    expect(others).toEqual([])
    expect(event).toMatchObject({
      raw: { version: 'tp1', body: '', querystring: 'e=pv&p=web&duid=a%20b', failure: null },
    })
  })

  test.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'the end at byte 0, within a field'],
    ['a text', Buffer.from('{"e":"pv"}'), 'the type 123'],
    ['cut off', collectorPayload(posted).subarray(0, 100), 'which is more than there is'],
    ['without a path', collectorPayload({ ...posted, path: undefined }), 'one without a path'],
    ['without a timestamp', collectorPayload({ ...posted, timestamp: undefined }), 'one without a timestamp'],
    ['of another schema', collectorPayload({ ...posted, schema: 'iglu:com.acme/x/thrift/1-0-0' }), 'names no schema'],
    ['of a time that is none', collectorPayload({ ...posted, timestamp: 1e18 }), 'outside of the years'],
    ['compressed', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), 'a compressed batch'],
    [
      'of too many headers',
      collectorPayload({ ...posted, headers: Array(1_000).fill('x'.repeat(100)) }),
      'around its events',
    ],
  ])('that is none (%s) is one failure, which holds its bytes', (_name, bytes, reason) => {
    const events = eventsOfCollectorPayload(known, bytes)
    expect(events).toHaveLength(1)
    const [{ raw }] = events as [(typeof events)[number]]
    expect([raw.format, raw.failure?.kind]).toEqual(['thrift', 'data'])
    expect(raw.failure?.message).toContain(reason)
    if (bytes.length < 10_000) expect(Buffer.from(raw.body, 'base64')).toEqual(bytes)
  })

  test('of any bytes is something, and quickly', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      // nearly one: some bytes of a good payload are others, and it may be cut off
      fc
        .tuple(fc.array(fc.tuple(fc.nat(2_000), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }), fc.nat(2_000))
        .map(([changes, cut]) => {
          const good = Buffer.from(collectorPayload(posted))
          for (const [at, byte] of changes) good[at % good.length] = byte
          return good.subarray(0, good.length - (cut % good.length))
        }),
    )
    const started = performance.now()
    fc.assert(
      fc.property(bytes, (given) => {
        const events = eventsOfCollectorPayload(known, Buffer.from(given))
        expect(events.length).toBeGreaterThan(0)
      }),
      { numRuns: 5_000 },
    )
    expect(performance.now() - started).toBeLessThan(30_000)
  })
})

test('a struct of any fields gives its strings, longs and lists of strings, and passes over the others', () => {
  const fields: readonly ThriftField[] = [
    [11, 1, Buffer.from([0, 0, 0, 1, 0x61])],
    [2, 2, Buffer.from([1])],
    [12, 3, Buffer.from([8, 0, 1, 0, 0, 0, 7, 0])],
    [13, 4, Buffer.from([11, 10, 0, 0, 0, 1, 0, 0, 0, 1, 0x62, 0, 0, 0, 0, 0, 0, 0, 1])],
    [15, 5, Buffer.from([8, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2])],
    [15, 6, Buffer.from([11, 0, 0, 0, 1, 0, 0, 0, 1, 0x63])],
    [10, 7, Buffer.from([255, 255, 255, 255, 255, 255, 255, 255])],
    [13, 8, Buffer.from([0, 0, 0, 0, 0, 0])],
  ]
  const bytes = Buffer.concat([
    ...fields.map(([type, id, value]) => Buffer.concat([Buffer.from([type, id >> 8, id & 255]), value])),
    Buffer.from([0]),
  ])
  const read = readStruct(bytes)
  if ('error' in read) throw new Error(read.error)
  expect([...read]).toEqual([
    [1, Buffer.from('a')],
    [6, [Buffer.from('c')]],
    [7, -1n],
  ])
})

test('nothing nests without end, and no length is believed', () => {
  const nested = Buffer.concat(Array(100).fill(Buffer.from([12, 0, 1])))
  expect(readStruct(nested)).toEqual({ error: 'more than 16 levels' })
  expect(readStruct(Buffer.from([15, 0, 1, 2, 0x7f, 0xff, 0xff, 0xff]))).toMatchObject({
    error: expect.stringContaining('a length of 2147483647'),
  })
  expect(readStruct(Buffer.from([11, 0, 1, 0xff, 0xff, 0xff, 0xff]))).toMatchObject({
    error: expect.stringContaining('a length of -1'),
  })
})

describe('frames', () => {
  async function* chunked(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (let from = 0, turn = 0; from < bytes.length; turn++) {
      const size = sizes[turn % sizes.length]!
      yield bytes.subarray(from, from + size)
      from += size
    }
  }
  const read = async (bytes: Uint8Array, sizes: readonly number[], maximum = collectorPayloadBytesMax) => {
    const frames = []
    for await (const frame of framesOf(chunked(bytes, sizes), maximum)) frames.push(frame)
    return frames
  }

  test('are the same however the bytes arrive', async () => {
    const values = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(values, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (given, sizes) => {
        const bytes = framed(given.map((value) => Buffer.from(value)))
        const frames = await read(bytes, sizes)
        expect(frames.map(({ value }) => [...value])).toEqual(given.map((value) => [...value]))
        expect(frames.at(-1)?.position ?? 0).toBe(bytes.length)
      }),
    )
  })

  test('keep only the head of one that is too long, and what is there of one that is cut off', async () => {
    const bytes = framed([Buffer.from('a'), Buffer.from('bbbbbbbbbb'), Buffer.from('c')])
    expect((await read(bytes, [3], 4)).map(({ value, bytes }) => [value.toString(), bytes])).toEqual([
      ['a', 1],
      ['bbbb', 10],
      ['c', 1],
    ])
    expect((await read(bytes.subarray(0, 12), [5])).map(({ value }) => value.toString())).toEqual(['a', 'bbb'])
    expect((await read(bytes.subarray(0, 7), [5])).map(({ value }) => value.length)).toEqual([1, 2])
  })
})
