import { createServer } from 'node:http'
import { buildPageView, buildSelfDescribingEvent, newTracker } from '@snowplow/node-tracker'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { MemoryLog } from '../../runtime/memory/log.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { RawEvent } from '../../schemas/avro/types.ts'
import { anonymousNetworkUserId, rawBytesMax } from '../raw-event.ts'
import { payloadBytesMax } from '../request.ts'
import { type Collector, type CollectorOptions, createCollector, type Target } from './collector.ts'

const partitions = 3
const nowMs = 1_700_000_000_000
const tp2 = '/com.snowplowanalytics.snowplow/tp2'
const json = { 'content-type': 'application/json' }

let log: MemoryLog
let codec: Codec
let collector: Collector
let url: string

beforeEach(() => start())
afterEach(() => collector.close())

describe('a POST', () => {
  test('is answered once each of its events is a record of its own, under its client’s key and partition', async () => {
    const response = await post(payload({ duid: 'a' }, { duid: 'b' }, { uid: 'c' }))
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    const records = await written()
    expect(records.map(({ key }) => key).sort()).toEqual(['shop/a', 'shop/b', 'shop/c'])
    for (const { key, partition, kind, timestampMs } of records) {
      expect([partition, kind, timestampMs]).toEqual([partitionOf(key, partitions), 'event', nowMs + 5])
    }
    expect(records.map(({ raw }) => raw.index).sort()).toEqual([0, 1, 2])
    expect(new Set(records.map(({ raw }) => raw.payloadId)).size).toBe(1)
    expect(records[0]?.raw).toMatchObject({
      tenant: 'shop',
      source: 'collector',
      format: 'tp2',
      vendor: 'com.snowplowanalytics.snowplow',
      version: 'tp2',
      contentType: 'application/json',
      hostname: '127.0.0.1',
      ipAddress: '127.0.0.1',
      collectorTstampMs: nowMs,
      failure: null,
    })
    expect(collector.counters).toMatchObject({ requests: 1, events: 3, failures: 0 })
  })

  test('with a querystring hands it to every event', async () => {
    await post(payload({ e: 'pv' }, { e: 'pp' }), json, `${tp2}?uid=u&aid=x`)
    expect((await written()).map(({ raw, key }) => [raw.querystring, key])).toEqual([
      ['uid=u&aid=x', 'shop/u'],
      ['uid=u&aid=x', 'shop/u'],
    ])
  })

  test('takes no events of its own but those of a querystring', async () => {
    await post('', json, `${tp2}?e=pv&uid=u`)
    expect((await written())[0]).toMatchObject({ key: 'shop/u', raw: { body: '', failure: null } })
  })

  test.each([
    ['application/json', true],
    ['application/json; charset=utf-8', true],
    ['APPLICATION/JSON;charset=UTF-8', true],
    ['text/plain', false],
    ['application/x-www-form-urlencoded', false],
    ['garbage', false],
    ['; ;', false],
    ['application/json; charset=latin1', false],
  ])('of type %s: events %s', async (type, isRead) => {
    const response = await post(payload({ duid: 'a' }), { 'content-type': type })
    expect(response.status).toBe(200)
    const [record] = await written()
    expect(record?.raw.failure?.field).toBe(isRead ? undefined : 'contentType')
    expect(record?.raw.contentType).toBe(type)
    expect(record?.raw.headers).toContain(`content-type: ${type}`)
  })

  test.each<[string, string, string]>([
    ['truncated JSON', '{"schema":"iglu:com', 'json'],
    ['no JSON', '<events/>', 'json'],
    ['nothing', '', 'json'],
    ['another envelope', '{"schema":"iglu:com.acme/x/jsonschema/1-0-0","data":[]}', 'data'],
    ['no events', payload(), 'data'],
    ['brackets without end', '['.repeat(400_000), 'json'],
    ['a prototype', '{"__proto__":{"schema":1},"constructor":1}', 'data'],
  ])('that holds %s is answered 200, and is one failure that holds it', async (_, body, kind) => {
    const response = await post(body)
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    const records = await written()
    expect(records.map(({ raw }) => raw.failure?.kind)).toEqual([kind])
    expect(body.startsWith(records[0]!.raw.body)).toBe(true)
    expect(collector.counters).toMatchObject({ requests: 1, events: 1, failures: 1 })
  })

  test('with an event that is none: it fails alone', async () => {
    await post(`{"schema":"${payloadData}","data":[{"duid":"a"},7,{"duid":"b"}]}`)
    const failures = (await written()).filter(({ raw }) => raw.failure).map(({ raw }) => [raw.index, raw.body])
    expect(failures).toEqual([[1, '7']])
    expect(await written()).toHaveLength(3)
  })

  test('with an event that is none spoils the whole, where it is to be as strict as Snowplow’s', async () => {
    await restart({ compat: 'strict' })
    const sound = { e: 'pv', p: 'web', tv: 'js', duid: 'a' }
    for (const [odd, message] of [
      [{ ...sound, color: 'red' }, '$[1].color: only parameters of the tracker protocol, as texts'],
      [{ e: 'pv', tv: 'js' }, '$[1].p: is missing but it is required'],
    ] as const) {
      const body = payload(sound, odd)
      await post(body)
      const failed = (await written()).filter(({ raw }) => raw.body === body)
      expect(failed.map(({ raw }) => raw.failure)).toMatchObject([{ kind: 'data', field: 'body', message }])
    }
    expect(await written()).toHaveLength(2)
    await post(payload(sound, sound))
    expect(await written()).toHaveLength(4)
  })

  test('with an event that no record can hold: it fails alone, with its size', async () => {
    await post(payload({ duid: 'a' }, { duid: 'b', page: 'x'.repeat(rawBytesMax) }))
    const records = await written()
    expect(records.map(({ raw }) => raw.failure?.kind ?? 'event').sort()).toEqual(['event', 'size'])
  })

  test('above a mebibyte is one size violation, above two it is refused', async () => {
    expect((await post('x'.repeat(payloadBytesMax + 1))).status).toBe(200)
    expect((await written()).map(({ raw }) => raw.failure)).toMatchObject([
      { kind: 'size', actualBytes: payloadBytesMax + 1, maximumBytes: payloadBytesMax },
    ])
    const response = await post(`secret ${'x'.repeat(5_000_000)}`)
    expect([response.status, await response.text()]).toEqual([413, 'payload too large'])
    expect(await written()).toHaveLength(1)
    expect(collector.counters.tooLarge).toBe(1)
  })

  test('to an endpoint that nothing reads is kept as it came', async () => {
    expect((await post('{"any":"thing"}', json, '/com.sendgrid/v3')).status).toBe(200)
    expect((await written())[0]?.raw).toMatchObject({ vendor: 'com.sendgrid', version: 'v3', body: '{"any":"thing"}' })
  })

  test('to a path of our own is one to the path it stands for', async () => {
    await restart({ paths: { '/acme/track': tp2, '/t': tp2 } })
    await post(payload({ duid: 'a' }), json, '/acme/track')
    await post(payload({ duid: 'a' }), json, '/t')
    expect((await written()).map(({ raw }) => [raw.vendor, raw.version, raw.failure])).toEqual([
      ['com.snowplowanalytics.snowplow', 'tp2', null],
      ['com.snowplowanalytics.snowplow', 'tp2', null],
    ])
  })

  test('is 503, and asked to come back, when the log does not take it; nothing of it is said', async () => {
    const errors: unknown[] = []
    const failing = { append: () => Promise.reject(new Error('the disk of secret-host is full')) }
    await restart({ appendTo: failing, report: (error) => errors.push(error) })
    const response = await post(payload({ duid: 'a' }))
    expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
      503,
      '1',
      'unavailable',
    ])
    expect(collector.counters).toMatchObject({ requests: 0, events: 0, unavailable: 1 })
    expect(errors).toHaveLength(1)
  })

  test('is 503 while there is no log to give it to', async () => {
    await restart({ target: () => undefined })
    const response = await post(payload({ duid: 'a' }))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(collector.counters).toMatchObject({ requests: 0, events: 0, unavailable: 1 })
  })
})

describe('a call of Segment’s spec', () => {
  const call = { userId: 'u', anonymousId: 'device', event: 'Order Completed' }
  const basic = (key: string) => ({ ...json, authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` })

  test.each([
    ['track', 'track'],
    ['t', 'track'],
    ['identify', 'identify'],
  ])('to /v1/%s is an event of the kind, under its device’s key', async (path, type) => {
    const response = await post(
      JSON.stringify({ ...call, writeKey: 'w' }),
      { 'content-type': 'text/plain' },
      `/v1/${path}`,
    )
    expect(await response.json()).toEqual({ success: true })
    expect(response.headers.get('set-cookie')).toBeNull()
    const [record] = await written()
    expect(record).toMatchObject({ key: 'shop/device', raw: { format: 'segment', networkUserId: null, failure: null } })
    expect(JSON.parse(record!.raw.body)).toEqual({ ...call, type })
  })

  test('in a batch is an event of its own', async () => {
    await post(JSON.stringify({ batch: [{ ...call, type: 'track' }, 7], sentAt: 'now' }), json, '/v1/batch')
    expect((await written()).map(({ raw }) => [raw.index, raw.failure?.kind ?? 'event']).sort()).toEqual([
      [0, 'event'],
      [1, 'data'],
    ])
  })

  test('needs one of the write keys, where there are any', async () => {
    await restart({ writeKeys: ['one', 'two'] })
    const status = async (body: object, headers: Record<string, string>) =>
      (await post(JSON.stringify(body), headers, '/v1/track')).status
    expect(await status(call, json)).toBe(401)
    expect(await status(call, basic('three'))).toBe(401)
    expect(await status({ ...call, writeKey: 'three' }, json)).toBe(401)
    expect(await written()).toEqual([])
    expect(await status(call, basic('two'))).toBe(200)
    expect(await status({ ...call, writeKey: 'one' }, json)).toBe(200)
    expect(JSON.stringify(await written())).not.toMatch(/writeKey|authorization/i)
  })

  test('of more bytes than anybody sends is not read', async () => {
    expect((await post('x'.repeat(9_000_000), json, '/v1/batch')).status).toBe(413)
    expect((await post('x'.repeat(5_000_000), json, '/v1/batch')).status).toBe(200)
    expect((await written()).map(({ raw }) => raw.failure?.kind)).toEqual(['size'])
  })
})

describe('a GET', () => {
  test.each(['/i', '/ice.png', tp2])('of %s is an event of its querystring, and a pixel', async (path) => {
    const response = await fetch(`${url}${path}?e=pv&duid=a&page=%3Cb%3E`, {
      headers: { referer: 'https://shop.example/x' },
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('image/gif')
    expect(response.headers.get('cache-control')).toBe('no-cache, no-store, must-revalidate')
    expect(
      Buffer.from(await response.arrayBuffer())
        .subarray(0, 6)
        .toString(),
    ).toBe('GIF89a')
    expect(await written()).toMatchObject([
      {
        key: 'shop/a',
        raw: { querystring: 'e=pv&duid=a&page=%3Cb%3E', body: '', refererUri: 'https://shop.example/x' },
      },
    ])
  })

  test('by HEAD is an event too', async () => {
    const response = await fetch(`${url}/i?e=pv&duid=a`, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(await written()).toHaveLength(1)
  })
})

describe('a visitor', () => {
  test('is given a cookie, and is known by it from then on', async () => {
    const response = await post(payload({ e: 'pv' }))
    const cookie = response.headers.get('set-cookie')
    expect(cookie).toMatch(/^sp=[0-9a-f-]{36}; Max-Age=31536000; Path=\/; Secure; HttpOnly; SameSite=None$/)
    const id = /^sp=([^;]+)/.exec(cookie!)![1]!
    await post(payload({ e: 'pv' }), { ...json, cookie: `other=1; sp=${id}` })
    expect((await written()).map(({ raw, key }) => [raw.networkUserId, key])).toEqual([
      [id, `shop/${id}`],
      [id, `shop/${id}`],
    ])
  })

  test.each([
    ['its page says in the querystring', `${tp2}?nuid=asked`, 'sp=cookie', 'asked'],
    ['its cookie says', tp2, 'sp=cookie', 'cookie'],
    ['its cookie says, when the page says nothing', `${tp2}?nuid=`, 'sp=cookie', 'cookie'],
  ])('is who %s', async (_, path, cookie, id) => {
    const response = await post(payload({ e: 'pv' }), { ...json, cookie }, path)
    expect((await written())[0]?.raw.networkUserId).toBe(id)
    expect(response.headers.get('set-cookie')).toContain(`sp=${id};`)
  })

  test('cannot put anything into a header', async () => {
    const response = await post(payload({ e: 'pv' }), json, `${tp2}?nuid=${encodeURIComponent('x;\r\nEvil: 1')}`)
    expect(response.headers.get('set-cookie')).toMatch(/^sp=[0-9a-f-]{36};/)
    expect(response.headers.get('evil')).toBeNull()
  })

  test('who asks not to be known is nobody: no id, no address, no cookie', async () => {
    await restart({ trustProxy: true })
    const headers = {
      ...json,
      'sp-anonymous': '*',
      cookie: 'sp=cookie',
      'x-forwarded-for': '198.51.100.7',
      'x-real-ip': '198.51.100.7',
    }
    const response = await post(payload({ eid: 'event' }), headers)
    const [record] = await written()
    expect(record).toMatchObject({
      key: 'shop/event',
      raw: { networkUserId: anonymousNetworkUserId, ipAddress: 'unknown' },
    })
    expect(record?.raw.headers.join()).not.toMatch(/198\.51|cookie/)
    expect(response.headers.get('set-cookie')).toMatch(/^sp=; Max-Age=0;/)
    expect((await post(payload({}), { ...json, 'sp-anonymous': '*' })).headers.get('set-cookie')).toBeNull()
  })

  test('leaves no cookies in the log but those that are named, and none when it asks not to be known', async () => {
    await restart({ keptCookies: ['ab_test', 'empty'] })
    const cookie = 'sp=cookie; ab_test=b=1; secret=x;empty='
    await post(payload({ duid: 'a' }), { ...json, cookie })
    await post(payload({ duid: 'a' }), { ...json, cookie, 'sp-anonymous': '*' })
    const cookies = (await written()).map(({ raw }) => raw.headers.filter((line) => /cookie/i.test(line)))
    expect(cookies).toEqual([['Cookie: ab_test=b=1; empty='], []])
  })

  test('has the address that a proxy reports, only where one is trusted', async () => {
    const forwarded = { ...json, 'x-forwarded-for': 'unknown, 198.51.100.7, 10.0.0.1' }
    await post(payload({ duid: 'a' }), forwarded)
    await restart({ trustProxy: true })
    await post(payload({ duid: 'a' }), forwarded)
    await post(payload({ duid: 'a' }), { ...json, forwarded: 'for="[2001:db8::1]";proto=https' })
    expect((await written()).map(({ raw }) => raw.ipAddress)).toEqual(['198.51.100.7', '2001:db8::1'])
  })

  test('has a cookie for the domain of the page, where that is one of ours', async () => {
    await restart({ cookies: { domains: ['shop.example', 'acme.example'], fallbackDomain: 'fallback.example' } })
    const domainFor = async (origin: string) =>
      /Domain=([^;]+)/.exec((await post(payload({}), { ...json, origin })).headers.get('set-cookie') ?? '')?.[1]
    expect(await domainFor('https://www.acme.example')).toBe('acme.example')
    expect(await domainFor('https://shop.example:8443')).toBe('shop.example')
    expect(await domainFor('https://evilshop.example')).toBe('fallback.example')
  })

  test('leaves no secrets in the log', async () => {
    await post(payload({ duid: 'a' }), { ...json, authorization: 'Bearer secret', cookie: 'session=secret' })
    expect(JSON.stringify(await written())).not.toContain('secret')
  })
})

describe('beside events', () => {
  test('a page may ask whether it may send', async () => {
    const response = await fetch(`${url}${tp2}`, { method: 'OPTIONS', headers: { origin: 'https://shop.example' } })
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'Content-Type, SP-Anonymous',
      'access-control-max-age': '3600',
    })
    expect((await fetch(`${url}/health`)).headers.get('access-control-allow-origin')).toBe('*')
  })

  test('it says how it is', async () => {
    await restart({})
    expect(await (await fetch(`${url}/health`)).text()).toBe('ok')
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ok' })
    expect(await (await fetch(`${url}/robots.txt`)).text()).toContain('Disallow: /')

    await restart({ target: () => undefined })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    expect((await fetch(`${url}/sink-health`)).status).toBe(503)
  })

  test.each([
    ['GET', '/', 404],
    ['GET', '/<script>/x/</script>', 404],
    ['GET', '/%zz/secret', 400],
    ['GET', '/r/tp2/x?u=https://evil.example', 404],
    ['PUT', tp2, 404],
    ['DELETE', `${tp2}?secret`, 404],
  ])('%s %s is %i, and no word of it comes back', async (method, path, status) => {
    const response = await fetch(`${url}${path}`, { method })
    expect(response.status).toBe(status)
    expect(['not found', 'bad request']).toContain(await response.text())
    expect(await written()).toEqual([])
  })

  test('a port that is taken is a clear error', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const second = createCollector({ target: () => ({ log, codec, partitions }), tenantOf: () => 'shop' })
    await expect(second.listen(port)).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `port ${port} on 127.0.0.1 is in use by another program`,
    })
    await second.close()
    other.close()
  })

  test('it ends once what it has taken is in the log', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const append = vi.fn(async (records: Parameters<MemoryLog['append']>[0]) => held.then(() => log.append(records)))
    await restart({ appendTo: { append } })
    const response = post(payload({ duid: 'a' }))
    await vi.waitFor(() => expect(append).toHaveBeenCalled())
    const closed = collector.close()
    release()
    expect((await response).status).toBe(200)
    await closed
    expect(await written()).toHaveLength(1)
  })
})

test('Snowplow’s own tracker is understood', async () => {
  const { hostname, port } = new URL(url)
  const tracker = newTracker(
    { namespace: 'orders', appId: 'shop-server', encodeBase64: true },
    { endpoint: hostname, port: Number(port), protocol: 'http', bufferSize: 1 },
  )
  tracker.setUserId('ada')
  tracker.track(buildPageView({ pageUrl: 'https://shop.example/', pageTitle: 'Shop' }))
  tracker.track(
    buildSelfDescribingEvent({ event: { schema: 'iglu:com.acme/order/jsonschema/1-0-0', data: { total: 12.5 } } }),
    [{ schema: 'iglu:com.acme/product/jsonschema/1-0-0', data: { sku: 'a' } }],
  )
  await tracker.flush()
  await expect.poll(async () => (await written()).length).toBe(2)
  const records = await written()
  expect(records.map(({ key, raw }) => [key, raw.failure])).toEqual([
    ['shop/ada', null],
    ['shop/ada', null],
  ])
  const events = records.map(({ raw }) => JSON.parse(raw.body) as Record<string, string>)
  expect(events.map(({ e }) => e)).toEqual(['pv', 'ue'])
  expect(JSON.parse(Buffer.from(events[1]!['ue_px']!, 'base64url').toString())).toMatchObject({
    data: { schema: 'iglu:com.acme/order/jsonschema/1-0-0', data: { total: 12.5 } },
  })
})

const payloadData = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'

function payload(...data: readonly Record<string, string>[]): string {
  return JSON.stringify({ schema: payloadData, data })
}

function post(body: string, headers: Record<string, string> = json, path = tp2): Promise<Response> {
  return fetch(`${url}${path}`, { method: 'POST', body, headers })
}

type Options = Partial<CollectorOptions> & { readonly appendTo?: Target['log'] }

async function start({ appendTo, ...options }: Options = {}): Promise<void> {
  log = new MemoryLog({ now: () => nowMs + 5 })
  await log.createTopics([{ name: 'events.raw', partitions, cleanup: 'delete', retentionMs: null }])
  codec = new Codec(fixedSchemaIds())
  const target = () => ({ log: appendTo ?? log, codec, partitions })
  collector = createCollector({ target, tenantOf: () => 'shop', now: () => nowMs, ...options })
  url = `http://127.0.0.1:${await collector.listen(0)}`
}

async function restart(options: Options): Promise<void> {
  await collector.close()
  await start(options)
}

type Written = {
  readonly partition: number
  readonly kind: string
  readonly key: string
  readonly timestampMs: number
  readonly raw: RawEvent
}

async function written(): Promise<readonly Written[]> {
  const all: Written[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const { start } = await log.ends('events.raw', partition)
    const { records } = await log.fetch('events.raw', partition, start, { maxRecords: 1_000, maxBytes: 100_000_000 })
    for (const { kind, key, timestampMs, value } of records) {
      all.push({ partition, kind, key, timestampMs, raw: codec.decode('RawEvent', value!) })
    }
  }
  return all
}
