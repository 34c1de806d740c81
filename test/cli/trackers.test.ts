/** Trackers as their users have them, against `millrace start`, and what Snowplow Micro's API says of what they sent. */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Analytics } from '@segment/analytics-node'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { MicroBad, MicroGood, MicroTotals } from '../../sources/collector/micro.ts'
import { Running, temporaryFolder } from './millrace.ts'

const trackerFile = fileURLToPath(
  new URL('../../node_modules/@snowplow/browser-tracker/dist/index.umd.min.js', import.meta.url),
)
const tp2 = '/com.snowplowanalytics.snowplow/tp2'
const webhook = '/com.snowplowanalytics.iglu/v1'
const payloadData = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'
const logIn = 'iglu:com.example.shop/log_in/jsonschema/1-0-0'

/** What sends as a program is taken for a bot. */
const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let running: Running
let url: string

beforeAll(async () => {
  folder = await temporaryFolder()
  running = new Running(['--no-demo', '--data', join(folder.path, 'data')])
  url = await running.url()
}, 60_000)
afterAll(async () => {
  await running.end()
  await folder.remove()
})
beforeEach(async () => {
  await micro('reset')
})

async function micro<Answer>(path: string, filters?: object): Promise<Answer> {
  const json = { 'content-type': 'application/json' }
  const init = filters && { method: 'POST', headers: json, body: JSON.stringify(filters) }
  return (await fetch(`${url}/micro/${path}`, init)).json() as Promise<Answer>
}

const post = (path: string, body: unknown, type = 'application/json') =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': type, 'user-agent': browser },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

describe('Micro', () => {
  test('counts, shows and filters what was sent since the last reset', async () => {
    const pageView = { e: 'pv', p: 'web', tv: 'js', duid: 'micro', url: 'https://shop.example/a' }
    await post(tp2, { schema: payloadData, data: [pageView, { ...pageView, e: 'pp' }, { ...pageView, color: 'red' }] })
    expect(await micro<MicroTotals>('all')).toEqual({ total: 3, good: 2, bad: 1 })
    const [good, ...others] = await micro<readonly MicroGood[]>('good', { event_type: 'page_view' })
    expect(others).toEqual([])
    expect(good).toMatchObject({
      eventType: 'page_view',
      schema: 'iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0',
      contexts: [],
      event: { page_url: 'https://shop.example/a', domain_userid: 'micro', user_id: null },
      rawEvent: { api: { version: 'tp2' }, parameters: pageView },
    })
    const bad = await micro<readonly MicroBad[]>('bad', { version: 'tp2', limit: 5 })
    expect(bad.map(({ errors }) => errors.join())).toEqual([expect.stringContaining('$[2].color: is not defined')])
    expect(await micro('good', { schema: 'iglu:com.acme/none/jsonschema/1-0-0' })).toEqual([])
    expect(await micro('reset')).toEqual({ total: 0, good: 0, bad: 0 })
    expect(await micro('good?limit=1')).toEqual([])
  })
})

describe('the Iglu webhook', () => {
  const data = { method: 'email', email: 'bo@example.com' }

  test.each([
    ['a self-describing body', webhook, { schema: logIn, data }, undefined],
    ['data under a schema', `${webhook}?schema=${encodeURIComponent(logIn)}&aid=erp`, data, undefined],
    [
      'a form',
      `${webhook}?schema=${encodeURIComponent(logIn)}`,
      new URLSearchParams(data).toString(),
      'application/x-www-form-urlencoded',
    ],
  ])('takes %s', async (_, path, body, type) => {
    expect((await post(path, body, type)).status).toBe(200)
    const [good] = await micro<readonly MicroGood[]>('good')
    expect(good).toMatchObject({
      eventType: 'unstruct',
      schema: logIn,
      event: { platform: 'srv', v_tracker: 'com.snowplowanalytics.iglu-v1', unstruct_event: { data: { data } } },
    })
  })

  test('takes parameters, and a list of events', async () => {
    await fetch(`${url}${webhook}?schema=${encodeURIComponent(logIn)}&method=email&email=bo%40example.com&p=app`)
    await post(webhook, [
      { schema: logIn, data },
      { schema: logIn, data },
    ])
    const good = await micro<readonly MicroGood[]>('good')
    expect(good.map(({ event }) => (event as { platform: string }).platform).sort()).toEqual(['app', 'srv', 'srv'])
  })

  test.each([
    ['no schema', webhook, { method: 'email' }, 'adapter_failures'],
    ['no JSON', webhook, 'method=email', 'adapter_failures'],
    ['data that breaks its schema', webhook, { schema: logIn, data: { method: 7 } }, 'schema_violations'],
  ])('says what is wrong with %s', async (_, path, body, kind) => {
    expect((await post(path, body)).status).toBe(200)
    expect((await micro<readonly MicroBad[]>('bad')).map(({ errors }) => errors[0])).toEqual([kind])
  })
})

describe("Segment's SDK", () => {
  test('sends identify, track and page, in batches', async () => {
    const analytics = new Analytics({ writeKey: 'any', host: url, flushAt: 3 })
    const user = { userId: 'segment-user', anonymousId: 'segment-device' }
    analytics.identify({ ...user, traits: { plan: 'gold' } })
    analytics.track({ ...user, event: 'Order Completed', properties: { total: 12.5 } })
    analytics.page({ ...user, name: 'Shoes', properties: { url: 'https://shop.example/shoes' } })
    await analytics.closeAndFlush()
    expect(await micro<MicroTotals>('all')).toEqual({ total: 3, good: 3, bad: 0 })
    const good = await micro<readonly MicroGood[]>('good')
    expect(good.map(({ schema }) => schema).sort()).toEqual([
      'iglu:com.segment/identify/jsonschema/1-0-0',
      'iglu:com.segment/track/jsonschema/1-0-0',
      'iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0',
    ])
    for (const { event } of good)
      expect(event).toMatchObject({ user_id: 'segment-user', domain_userid: 'segment-device', network_userid: null })
  })

  test('is told that a call is none by a bad row, not by a status that makes it try for ever', async () => {
    expect(await (await post('/v1/track', { event: 'x' })).json()).toEqual({ success: true })
    expect(await micro<MicroTotals>('all')).toEqual({ total: 1, good: 0, bad: 1 })
  })
})

describe("Snowplow's browser tracker in Chromium", () => {
  let site: Server
  beforeAll(async () => {
    const script = await readFile(trackerFile, 'utf8')
    site = createServer((request, response) => {
      const isScript = request.url === '/tracker.js'
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? script : '<!doctype html><title>Shoes</title><script src="/tracker.js"></script>')
    }).listen(0, '127.0.0.1')
  })
  afterAll(() => site.close())

  test('sends page views and self-describing events from a page of another origin', async () => {
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'],
    })
    try {
      const page = await browser.newPage()
      await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/shoes?utm_source=test`)
      await page.evaluate(
        ([collector, schema]) => {
          const tracking = (globalThis as unknown as { snowplowBrowserTracking: BrowserTracker })
            .snowplowBrowserTracking
          tracking.newTracker('sp', collector, { appId: 'shop' })
          tracking.setUserId('browser-user')
          tracking.trackPageView()
          tracking.trackSelfDescribingEvent({ event: { schema, data: { method: 'email', email: 'bo@example.com' } } })
        },
        [url, logIn] as const,
      )
      await expect.poll(() => micro<MicroTotals>('all'), { timeout: 20_000 }).toEqual({ total: 2, good: 2, bad: 0 })
      const good = await micro<readonly MicroGood[]>('good')
      expect(good.map(({ eventType }) => eventType).sort()).toEqual(['page_view', 'unstruct'])
      for (const { event } of good) {
        expect(event).toMatchObject({
          user_id: 'browser-user',
          page_urlpath: '/shoes',
          platform: 'web',
          app_id: 'shop',
        })
        expect(event).toHaveProperty('domain_userid', expect.stringMatching(/^[0-9a-f-]{36}$/))
      }
    } finally {
      await browser.close()
    }
  }, 60_000)
})

type BrowserTracker = {
  newTracker(namespace: string, endpoint: string, options: object): void
  setUserId(id: string): void
  trackPageView(): void
  trackSelfDescribingEvent(event: object): void
}
