/** The scenarios of docs on segments, as timelines: seconds from the start, one partition. */
import { expect, test } from 'vitest'
import type { Activation, ActivationState, Identifier, MembershipTransition } from '../../schemas/avro/types.ts'
import type { Expression } from '../../schemas/definitions.ts'
import {
  type EventParts,
  identified,
  keyOf,
  mergeOrders,
  onEvent,
  type ShopParts,
  segmentOf,
  shop,
  traitOf,
} from './shop.ts'
import { ProfileStage } from './stage.ts'

const day = 86_400

class Timeline {
  readonly stage: ProfileStage
  #seen = 0
  #clock = 0

  constructor(parts: ShopParts) {
    this.stage = new ProfileStage(shop(parts))
  }

  /** An event at `at`, received then or at `received`. Answers the transitions it makes. */
  event(name: string, at: number, more: Partial<EventParts> & { readonly received?: number } = {}): readonly string[] {
    const received = more.received ?? Math.max(at, this.#clock)
    this.#clock = received
    this.stage.send(
      'graph',
      identified({ name, atMs: at * 1000, collectorMs: received * 1000, ...more }),
      received * 1000,
    )
    this.stage.drain()
    return this.#news()
  }

  merge(from: string, to: string, at: number): readonly string[] {
    for (const order of mergeOrders(from, to, 1, at * 1000)) this.stage.send('graph', order, at * 1000)
    this.stage.drain()
    return this.#news()
  }

  advance(to: number): readonly string[] {
    this.#clock = to
    this.stage.advance(to * 1000)
    return this.#news()
  }

  activations(destination: string): readonly Activation[] {
    return this.stage.of<Activation>(`connect.${destination}`)
  }

  #news(): readonly string[] {
    const all = this.stage.of<MembershipTransition>('segments.memberships')
    const news = all.slice(this.#seen)
    this.#seen = all.length
    return news.map(
      ({ profileId, segmentId, status, effectiveAtMs, reason, seq, mergedInto }) =>
        `${profileId} ${status} ${segmentId} #${seq} at ${effectiveAtMs / 1000}: ${reason}${mergedInto ? ` into ${mergedInto}` : ''}`,
    )
  }
}

const viewedThrice: Expression = {
  op: 'count',
  match: onEvent('view'),
  windowMs: 600_000,
  comparison: '>=',
  threshold: 3,
}
const thrice = { segments: [segmentOf('keen', viewedThrice)] }

test('1: three views within ten minutes enter, and exit when the first of them is ten minutes old', () => {
  const time = new Timeline(thrice)
  expect(time.event('view', 0)).toEqual([])
  expect(time.event('view', 60)).toEqual([])
  expect(time.event('view', 120)).toEqual(['p entered keen #1 at 120: event'])
  expect(time.advance(599.999)).toEqual([])
  expect(time.advance(600)).toEqual(['p exited keen #2 at 600: timer'])
  expect(time.advance(10_000)).toEqual([])
})

test('2: one of the three is missing and nothing happens', () => {
  const time = new Timeline(thrice)
  expect([...time.event('view', 0), ...time.event('view', 60), ...time.advance(2_000)]).toEqual([])
})

test('3: out of order the end is the same, and so is the deadline', () => {
  const time = new Timeline(thrice)
  expect(time.event('view', 120)).toEqual([])
  expect(time.event('view', 0)).toEqual([])
  expect(time.event('view', 60)).toEqual(['p entered keen #1 at 120: late_event'])
  expect(time.stage.timers(keyOf('p')).get('segment')).toBe(600_000)
  expect(time.advance(600)).toEqual(['p exited keen #2 at 600: timer'])
})

test('4: an event older than the window changes no membership, and counts for life', () => {
  const views = traitOf('views', 'number', { kind: 'count', match: onEvent('view'), windowMs: null })
  const time = new Timeline({ ...thrice, traits: [views] })
  time.event('view', 600)
  time.event('view', 650)
  expect(time.event('view', 0, { received: 700 })).toEqual([])
  expect(time.stage.of<{ traits: Record<string, { value: number }> }>('profiles').at(-1)?.traits['views']?.value).toBe(
    3,
  )
})

test('5: absence after an anchor enters by time, and a late event takes it back', () => {
  const silent: Expression = {
    op: 'absent',
    match: onEvent('purchase'),
    windowMs: 7 * day * 1000,
    after: onEvent('sign_up'),
  }
  const time = new Timeline({ segments: [segmentOf('silent', silent)] })
  time.event('sign_up', 0)
  expect(time.advance(7 * day)).toEqual([`p entered silent #1 at ${7 * day}: timer`])
  time.event('view', 7.05 * day)
  expect(time.event('purchase', 6.99 * day, { received: 7.1 * day })).toEqual([
    `p exited silent #2 at ${7 * day}: late_event`,
  ])
  expect(time.advance(14 * day)).toEqual([`p entered silent #3 at ${13.99 * day}: timer`])
})

test('6, 7: an absence that only looks from its anchor on is not moved by what was before', () => {
  const dropped: Expression = {
    op: 'and',
    of: [
      { op: 'absent', match: onEvent('purchase'), windowMs: 600_000, after: onEvent('cart') },
      { op: 'count', match: onEvent('cart'), windowMs: 86_400_000, comparison: '>=', threshold: 1 },
    ],
  }
  const time = new Timeline({ segments: [segmentOf('dropped', dropped)] })
  time.event('purchase', 0)
  time.event('cart', 30)
  time.event('cart', 60)
  expect(time.advance(660)).toEqual(['p entered dropped #1 at 660: timer'])
  expect(time.event('cart', 700)).toEqual(['p exited dropped #2 at 700: event'])
  expect(time.advance(1_300)).toEqual(['p entered dropped #3 at 1300: timer'])
  expect(time.advance(100_000)).toEqual(['p exited dropped #4 at 87100: timer'])
})

test('8: active means an event less than five minutes ago', () => {
  const active: Expression = { op: 'count', match: onEvent(null), windowMs: 300_000, comparison: '>=', threshold: 1 }
  const time = new Timeline({ segments: [segmentOf('active', active)] })
  expect(time.event('view', 0)).toEqual(['p entered active #1 at 0: event'])
  expect(time.advance(299.999)).toEqual([])
  expect(time.advance(300)).toEqual(['p exited active #2 at 300: timer'])
})

test('9: a merge adds up, the survivor enters once', () => {
  const time = new Timeline(thrice)
  time.event('view', 0, { profileId: 'old' })
  time.event('view', 10, { profileId: 'old' })
  time.event('view', 20, { profileId: 'new' })
  expect(time.merge('new', 'old', 30)).toEqual(['old entered keen #1 at 30: merge'])
  expect(time.advance(600)).toEqual(['old exited keen #2 at 600: timer'])
})

test('9: when both are members only the one that leaves exits', () => {
  const time = new Timeline(thrice)
  for (const profileId of ['old', 'new'])
    for (const at of [0, 10, 20]) time.event('view', at, { profileId, id: `${profileId}${at}` })
  expect(time.merge('new', 'old', 30)).toEqual(['new exited keen #2 at 30: merge into old'])
  expect(time.advance(609.999)).toEqual([])
  expect(time.advance(620)).toEqual(['old exited keen #2 at 610: timer'])
})

const email = (value: string): Identifier => ({ namespace: 'email', value, hash: value.toUpperCase() })
const sha256OfA = '08168cd80dfd534ab0f10af10f1303fe00af2d43ab5c1432360d137f8197e17a'

const mailing: ShopParts = {
  segments: [
    segmentOf('buyers', { op: 'count', match: onEvent('purchase'), windowMs: null, comparison: '>=', threshold: 1 }),
  ],
  consent: {
    purposes: ['marketing'],
    signals: [
      { match: onEvent('agree'), granted: true, purposes: ['marketing'] },
      { match: onEvent('withdraw'), granted: false, purposes: ['marketing'] },
    ],
  },
  destinations: [
    {
      id: 'ads',
      description: '',
      type: 'file',
      segments: ['buyers'],
      purposes: ['marketing'],
      identifiers: [{ type: 'EMAIL', namespace: 'email', encoding: 'sha256' }],
      traits: [],
      settings: {},
    },
  ],
}

const told = ({ op, identifiers, reason, previousProfileId }: Activation) => ({
  op,
  identifiers: identifiers.map(({ value }) => value),
  reason,
  previousProfileId,
})

test('10: nothing leaves without consent and an identifier; a withdrawal removes with the hashes that were sent', () => {
  const time = new Timeline(mailing)
  time.event('purchase', 0)
  time.event('agree', 1)
  expect(time.activations('ads')).toEqual([])
  time.event('log_in', 2, { identifiers: [email('x')] })
  time.event('view', 3, { identifiers: [email('x')] })
  const sent = time.activations('ads').map(told)
  expect(sent).toEqual([
    { op: 'add', identifiers: [expect.stringMatching(/^[0-9a-f]{64}$/)], reason: 'event', previousProfileId: null },
  ])
  time.event('log_in', 4, { identifiers: [email('y')] })
  const [, update] = time.activations('ads').map(told)
  expect(update?.op).toBe('update')
  expect(update?.identifiers).toHaveLength(2)
  expect(time.event('withdraw', 5)).toEqual([])
  expect(time.activations('ads').map(told)[2]).toEqual({ ...update, op: 'remove', reason: 'consent' })
  time.event('agree', 6)
  expect(time.activations('ads').map(told)[3]).toEqual({ ...update, op: 'add', reason: 'consent' })
  const keys = time.activations('ads').map(({ idempotencyKey }) => idempotencyKey)
  expect(new Set(keys).size).toBe(4)
  expect(time.stage.counters.get('activated')).toBe(4)
})

test('a merge of two that were sent is a rekey; of one that may no more be sent, a remove', () => {
  const time = new Timeline(mailing)
  for (const profileId of ['old', 'new']) {
    time.event('agree', 0, { profileId, id: `agree-${profileId}` })
    time.event('purchase', 1, { profileId, id: `purchase-${profileId}`, identifiers: [email(profileId)] })
  }
  time.merge('new', 'old', 2)
  expect(time.activations('ads').map(told).slice(2)).toEqual([
    {
      op: 'rekey',
      identifiers: expect.arrayContaining([expect.any(String)]),
      reason: 'merge',
      previousProfileId: 'new',
    },
  ])
  expect(time.activations('ads')[2]?.identifiers).toHaveLength(2)
  expect(time.stage.state<ActivationState>('activate', keyOf('old'))?.sent).toHaveLength(1)
  expect(time.stage.state<ActivationState>('activate', keyOf('new'))?.sent).toEqual([])

  const refused = new Timeline(mailing)
  refused.event('agree', 0, { profileId: 'new' })
  refused.event('purchase', 1, { profileId: 'new', identifiers: [email('a@b.c')] })
  refused.event('withdraw', 2, { profileId: 'old' })
  refused.merge('new', 'old', 3)
  expect(refused.activations('ads').map(told)[1]).toMatchObject({
    op: 'remove',
    reason: 'merge',
    previousProfileId: 'new',
  })
  expect(refused.activations('ads')[1]?.identifiers).toEqual(refused.activations('ads')[0]?.identifiers)
})

test('an identifier is sent as the lower-case hex of its SHA-256', () => {
  const time = new Timeline(mailing)
  time.event('agree', 0)
  time.event('purchase', 1, { identifiers: [email('a@example.com')] })
  expect(time.activations('ads')[0]?.identifiers).toEqual([{ type: 'EMAIL', value: sha256OfA }])
})
