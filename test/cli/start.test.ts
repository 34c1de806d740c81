import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildPageView, buildSelfDescribingEvent, newTracker } from '@snowplow/node-tracker'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { IngestResult } from '../../cli/ingest.ts'
import type { ProfileAnswer } from '../../serving/profile-answer.ts'
import { millrace, millraceJson, Running, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

const numberOf = (line: Readonly<Record<string, unknown>>, name: string): number => Number(line[name])

test.each(['shared', 'apart'])(
  'start shows the demo shop at work within ten seconds; Ctrl-C drains and ends with 0; the next start goes on: threads %s',
  async (threads) => {
    const data = join(folder.path, `shop-${threads}`)
    const first = new Running(['--threads', threads, '--data', data])
    const startedAt = performance.now()
    const told = await first.told((line) => numberOf(line, 'events') >= 50 && numberOf(line, 'entered') > 0)
    expect(performance.now() - startedAt).toBeLessThan(20_000) // ten, on a machine that does nothing else
    expect(numberOf(told, 'profiles')).toBeGreaterThan(0)
    const { status, last } = await first.end('SIGINT')
    expect({ status, kind: last.kind }).toEqual({ status: 0, kind: 'stopped' })
    const total = ['valid', 'bad', 'duplicates', 'dead'].reduce((sum, name) => sum + numberOf(last, name), 0)
    expect(total).toBe(numberOf(last, 'events'))
    expect(numberOf(last, 'delivered')).toBe(numberOf(last, 'activated'))

    const second = new Running(['--no-demo', '--data', data])
    const status2 = await second.told(({ kind }) => kind === 'status')
    for (const name of [
      'events',
      'valid',
      'bad',
      'duplicates',
      'profiles',
      'merges',
      'entered',
      'exited',
      'members',
      'delivered',
    ])
      expect({ [name]: status2[name] }).toEqual({ [name]: last[name] })
    expect((await second.end('SIGTERM')).status).toBe(0)
  },
  120_000,
)

test('a Snowplow tracker sends to the collector: its visitor has a profile and segments', async () => {
  const data = join(folder.path, 'tracker')
  const running = new Running(['--no-demo', '--data', data])
  const url = new URL(await running.url())
  const tracker = newTracker(
    { namespace: 'test', appId: 'shop', encodeBase64: true },
    { endpoint: url.hostname, port: Number(url.port), protocol: 'http', bufferSize: 1 },
  )
  tracker.setDomainUserId('a-real-visitor')
  tracker.setUserId('u-77')
  tracker.track(buildPageView({ pageUrl: 'https://shop.example.com/shoes' }))
  const product = { sku: 'S1', name: 'Runner', category: 'shoes', brand: 'Pace', price: 89.95, currency: 'EUR' }
  for (let view = 0; view < 3; view++) {
    tracker.track(
      buildSelfDescribingEvent({
        event: { schema: 'iglu:com.example.shop/product_view/jsonschema/1-0-0', data: {} },
      }),
      [{ schema: 'iglu:com.example.shop/product/jsonschema/1-0-0', data: product }],
    )
  }
  const done = await running.told((line) => numberOf(line, 'events') >= 4)
  expect([done['valid'], done['bad']]).toEqual([4, 0])
  expect((await running.end()).status).toBe(0)

  const profile = await millraceJson<ProfileAnswer>(['profile', 'get', 'domain_userid:a-real-visitor', '--data', data])
  expect(profile.events).toBe(4)
  expect(profile.identifiers.map(({ namespace, value }) => `${namespace}:${value}`)).toContain('user_id:u-77')
  expect(profile.memberships.map(({ segmentId }) => segmentId)).toEqual(
    expect.arrayContaining(['active_now_5m', 'viewed_shoes_300s']),
  )
  expect(profile.traits['last_category']?.value).toBe('shoes')
}, 60_000)

test('ingest takes lines in as they come, and as a history whose windows close', async () => {
  const events = ['2024-03-01T10:00:00Z', '2024-03-01T10:01:00Z'].map((time, place) =>
    JSON.stringify({
      event: 'page_view',
      event_id: `11111111-2222-4333-8444-55555555555${place}`,
      platform: 'web',
      domain_userid: 'someone',
      collector_tstamp: time,
    }),
  )
  const text = [...events, events[0], '{"not an event', ''].join('\n')
  const file = join(folder.path, 'events.ndjson')
  await mkdir(folder.path, { recursive: true })
  await writeFile(file, text)
  const outcome = { events: 4, valid: 2, bad: 1, duplicates: 1, dead: 0, profiles: 1, resumedAt: 0 }

  const now = join(folder.path, 'now')
  const live = await millraceJson<IngestResult>(['ingest', '-', '--format', 'ndjson', '--data', now], text)
  expect(live).toMatchObject({ ...outcome, exited: 0 })

  const past = join(folder.path, 'past')
  const args = ['ingest', file, '--format', 'ndjson', '--history', '--data', past]
  const history = await millraceJson<IngestResult>(args)
  expect(history).toMatchObject(outcome)
  expect(history.exited).toBeGreaterThan(0) // who was active has long been gone
  const profile = await millraceJson<ProfileAnswer>(['profile', 'get', 'domain_userid:someone', '--data', past])
  expect(profile.memberships.map(({ segmentId }) => segmentId)).not.toContain('active_now_5m')
  expect(new Date(profile.lastSeenMs).toISOString()).toBe('2024-03-01T10:01:00.000Z')

  const again = await millrace(args)
  expect([again.status, again.stdout]).toEqual([0, expect.stringMatching(/4 events .*\n(.*\n)* +profiles +0\n/)])
}, 60_000)

test('a destination that is held still tells what it was sent before', async () => {
  const data = join(folder.path, 'held')
  const demo = await millraceJson<{ delivered: number }>([
    'demo',
    '--events',
    '1500',
    '--visitors',
    '200',
    '--seed',
    '3',
    '--data',
    data,
  ])
  expect(demo.delivered).toBeGreaterThan(0)
  const running = new Running(['--no-demo', '--data', data]) // nobody gave the webhook its secret
  const status = await running.told(({ kind }) => kind === 'status')
  expect(numberOf(status, 'delivered')).toBe(demo.delivered)
  expect((await running.end()).status).toBe(0)
}, 60_000)
