import { expect, test } from 'vitest'
import { batchCallsMax, callBytesMax, splitCalls } from './segment.ts'
import { originOf } from './testing.ts'

const split = (body: unknown, kind: string | null = null) =>
  splitCalls(originOf(), typeof body === 'string' ? body : JSON.stringify(body), kind)

test('a call is a raw event of its client, whose type the path may say; its write key stays outside', () => {
  const [said] = split({ type: 'track', event: 'Signed Up', anonymousId: 'a', writeKey: 'k' })
  const [posted] = split({ event: 'Signed Up', userId: 'u' }, 'track')
  expect([said?.key, posted?.key]).toEqual(['shop/a', 'shop/u'])
  expect(said?.raw).toMatchObject({ format: 'segment', index: 0, failure: null })
  expect(JSON.parse(said!.raw.body)).toEqual({ type: 'track', event: 'Signed Up', anonymousId: 'a' })
  expect(JSON.parse(posted!.raw.body)).toEqual({ type: 'track', event: 'Signed Up', userId: 'u' })
})

test('a batch is its calls; what it says counts where they do not say it', () => {
  const events = split({
    context: { ip: '203.0.113.9', locale: 'en' },
    sentAt: '2024-03-10T12:00:00Z',
    batch: [
      { type: 'page', anonymousId: 'a' },
      { type: 'identify', userId: 'u', context: { locale: 'de' }, sentAt: '2024-03-10T11:00:00Z' },
      7,
    ],
  })
  expect(events.map(({ raw }) => [raw.index, raw.failure?.field ?? null])).toEqual([
    [0, null],
    [1, null],
    [2, 'batch[2]'],
  ])
  expect(events.slice(0, 2).map(({ raw }) => JSON.parse(raw.body))).toEqual([
    {
      type: 'page',
      anonymousId: 'a',
      context: { ip: '203.0.113.9', locale: 'en' },
      sentAt: '2024-03-10T12:00:00Z',
    },
    {
      type: 'identify',
      userId: 'u',
      context: { ip: '203.0.113.9', locale: 'de' },
      sentAt: '2024-03-10T11:00:00Z',
    },
  ])
})

test.each<[string, unknown, string | null, string]>([
  ['no JSON', '{', null, 'json'],
  ['no object', [], null, 'data'],
  ['no list', { batch: 1 }, 'batch', 'data'],
  ['an empty batch', { batch: [] }, null, 'data'],
  ['too many calls', { batch: Array(batchCallsMax + 1).fill({}) }, null, 'data'],
  ['too large', 'x'.repeat(callBytesMax + 1), null, 'size'],
  ['too deep', `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, null, 'json'],
])('what is %s is one failure', (_name, body, kind, failure) => {
  expect(split(body, kind).map(({ raw }) => raw.failure?.kind)).toEqual([failure])
})
