import { expect, test } from 'vitest'
import { count, type Effect, emit, put } from '../../runtime/operator.ts'
import type { Event, IdentifiedEvent, IdentifyState, IdentityRequest, Learned } from '../../schemas/avro/types.ts'
import { shopDefinitions } from '../../test/identity-rules.ts'
import { emitted, OneOperator } from '../../test/one-operator.ts'
import { EventReader } from '../event/event.ts'
import { type EventParts, eventOf } from '../event/testing.ts'
import { identifierHash, profileIdOf } from '../ids.ts'
import { identifiersOf } from './identifiers.ts'
import { identify } from './identify.ts'

const definitions = shopDefinitions()
const key = 'shop/d1'
const minuteMs = 60_000
const hashOf = (namespace: string, value: string) => identifierHash(definitions, namespace, value)
const setKeyOf = (event: Event) => identifiersOf(new EventReader(event), 'd1', definitions).setKey

let events = 0
const event = (parts: EventParts = {}): Event => {
  events++
  return eventOf({ event_id: `e${events}`, event_fingerprint: `f${events}`, domain_userid: 'd1', ...parts })
}

class Client {
  readonly operator = new OneOperator(identify, definitions)
  #clockMs = 0

  send(value: Event): readonly Effect[] {
    this.#clockMs++
    return this.operator.deliver({ kind: 'event', key, value }, { clockMs: this.#clockMs, logTimeMs: this.#clockMs })
  }

  /** Where an event goes: the profile it is sent on to, or the kind and number of the request made for it. */
  route(value: Event): string {
    const effects = this.send(value)
    const [identified] = emitted<IdentifiedEvent>(effects, 'events.identified', 'event')
    const [request] = emitted<IdentityRequest>(effects, 'identity.requests', 'request')
    const asked = request && `${request.value.kind} ${request.value.requestSeq}`
    return [identified?.value.profileId, asked].filter(Boolean).join(', ')
  }

  learn(parts: Partial<Learned>): void {
    const value: Learned = {
      tenant: 'shop',
      client: 'd1',
      requestSeq: 0,
      setKey: '',
      sittingId: null,
      profileId: 'P',
      replaces: null,
      identitySeq: 1,
      ...parts,
    }
    this.operator.deliver({ kind: 'learned', key, value }, { clockMs: this.#clockMs, logTimeMs: this.#clockMs })
  }

  get state() {
    return this.operator.rows.get(key)?.client
  }
}

const own = profileIdOf(definitions, 'domain_userid', hashOf('domain_userid', 'd1'))

test('the first event of a new client founds its profile, and GRAPH is told', () => {
  const client = new Client()
  const first = event({ collector_tstamp: 5000, derived_tstamp: 4000 })
  const { event_id: id } = first
  const identifiers = [{ namespace: 'domain_userid', value: 'd1', hash: hashOf('domain_userid', 'd1') }]
  const state: IdentifyState = {
    client: {
      requestSeq: 0,
      answeredSeq: 0,
      decided: [{ setKey: setKeyOf(first), sittingId: null, profileId: own, identitySeq: 0 }],
      sittings: [{ id, startMs: 4000, endMs: 4000, users: [] }],
      recent: [{ eventId: id, fingerprint: first.event_fingerprint!, atMs: 1 }],
      spilledUntilMs: 0,
      conflictUntilMs: 0,
    },
    seen: null,
  }
  const identified: IdentifiedEvent = {
    tenant: 'shop',
    profileId: own,
    fragment: `domain_userid:${identifiers[0]!.hash}/${id}`,
    client: 'd1',
    sittingId: id,
    identitySeq: 0,
    hops: 0,
    identifiers,
    event: first,
  }
  const notice: IdentityRequest = {
    tenant: 'shop',
    kind: 'notice',
    client: 'd1',
    requestSeq: 0,
    setKey: setKeyOf(first),
    sittingId: id,
    sittingUser: null,
    identifiers,
    foundedAtMs: 4000,
    eventId: id,
    collectorTstampMs: 5000,
    event: null,
  }
  expect(client.send(first)).toEqual([
    put(key, state),
    emit('events.identified', 'event', `shop/${own}`, identified),
    emit('identity.requests', 'request', 'shop/s0', notice),
    count('accepted'),
  ])
  expect(client.route(event())).toBe(own)
})

test('an event whose own clock runs ahead is not founded later than it was collected', () => {
  const [request] = emitted<IdentityRequest>(
    new Client().send(event({ collector_tstamp: 5000, derived_tstamp: 6000 })),
    'identity.requests',
    'request',
  )
  expect(request?.value.foundedAtMs).toBe(5000)
})

test.each([
  ['a person', { user_id: 'u1', domain_userid: null }],
  ['a second identifier', { network_userid: 'n1' }],
  ['the key of another client', { domain_userid: 'd2' }],
])('an event with %s is for GRAPH to decide', (_, parts) => {
  expect(new Client().route(event(parts))).toBe('resolve 1')
})

test('the client key founds a profile when nothing else does', () => {
  const client = new Client()
  const profile = profileIdOf(definitions, 'client', hashOf('client', 'd1'))
  expect(client.route(event({ domain_userid: null }))).toBe(`${profile}, notice 0`)
})

test('while a request is unanswered everything follows it, known or not; answered, what is known goes straight on', () => {
  const client = new Client()
  const login = event({ user_id: 'u1' })
  client.route(event())
  expect(client.route(login)).toBe('resolve 1')
  expect(client.route(event())).toBe('resolve 2')
  client.learn({ requestSeq: 1, setKey: setKeyOf(login), profileId: own, identitySeq: 3 })
  expect(client.route(event())).toBe('resolve 3')
  client.learn({ requestSeq: 3, setKey: setKeyOf(event()), profileId: own, identitySeq: 3 })
  expect(client.route(event())).toBe(own)
  expect(client.route(event({ user_id: 'u1' }))).toBe(own)
  expect(client.route(event({ user_id: 'u2' }))).toBe('resolve 4')
})

test('a person is one fragment everywhere, a cookie one per sitting', () => {
  const client = new Client()
  const fragment = (parts: EventParts) =>
    emitted<IdentifiedEvent>(client.send(event(parts)), 'events.identified', 'event')[0]?.value.fragment
  const login = event({ user_id: 'u1' })
  client.send(login)
  client.learn({ requestSeq: 1, setKey: setKeyOf(login), profileId: 'P' })
  expect(fragment({ user_id: 'u1' })).toBe(`user_id:${hashOf('user_id', 'u1')}`)
  client.learn({ requestSeq: 1, setKey: setKeyOf(event()), profileId: 'P' })
  expect(fragment({})).toBe(`domain_userid:${hashOf('domain_userid', 'd1')}/${login.event_id}`)
})

test('a correction rewrites every older answer that names the profile, and no newer one', () => {
  const client = new Client()
  client.learn({ requestSeq: 1 }) // before any event: nothing to correct
  expect(client.state).toBeUndefined()
  client.route(event())
  client.learn({ requestSeq: 0, setKey: setKeyOf(event({ user_id: 'u1' })), profileId: own, identitySeq: 9 })
  client.learn({ replaces: own, profileId: 'Q', identitySeq: 5 })
  expect(client.state?.decided.map(({ profileId, identitySeq }) => [profileId, identitySeq])).toEqual([
    ['Q', 5],
    [own, 9],
  ])
})

test('answers are bounded; the least recently used is asked for again', () => {
  const client = new Client()
  const users = Array.from({ length: 17 }, (_, i) => `u${i}`)
  users.forEach((user_id, i) => {
    client.route(event({ user_id }))
    client.learn({ requestSeq: i + 1, setKey: setKeyOf(event({ user_id })), profileId: user_id })
    if (i > 0) expect(client.route(event({ user_id: 'u0' }))).toBe('u0')
  })
  expect(client.state?.decided).toHaveLength(16)
  expect(client.route(event({ user_id: 'u1' }))).toBe('resolve 18')
})

test('other rules, other answers: a set decided under an earlier version is decided again', () => {
  const client = new Client()
  const login = event({ user_id: 'u1' })
  client.route(login)
  client.learn({ requestSeq: 1, setKey: setKeyOf(login) })
  const next = shopDefinitions({ ...definitions.identity, ruleVersion: 'rules-2' })
  const later = new OneOperator(identify, next)
  for (const [row, state] of client.operator.rows) later.rows.set(row, state)
  const effects = later.deliver({ kind: 'event', key, value: event({ user_id: 'u1' }) }, { clockMs: 9, logTimeMs: 9 })
  expect(emitted(effects, 'identity.requests', 'request')).toHaveLength(1)
})

test('blocked and conflicting identifiers are counted', () => {
  const effects = new Client().send(event({ user_id: 'a', network_userid: 'null', data: { user_id: 'b' } }))
  expect(effects.slice(-3)).toEqual([count('accepted'), count('identifiers.blocked'), count('identifiers.conflicting')])
})

/** A device of which ada's events, bea's and the anonymous ones of the first sitting were decided. */
function sharedDevice() {
  const client = new Client()
  const anonymous = setKeyOf(event())
  const [ada, bea] = ['ada', 'bea'].map((user_id) => setKeyOf(event({ user_id })))
  client.send(event({ user_id: 'ada' }))
  client.learn({ requestSeq: 1, setKey: ada!, profileId: 'A', identitySeq: 2 })
  client.send(event())
  client.learn({ requestSeq: 2, setKey: anonymous, profileId: 'A', identitySeq: 2 })
  let minutes = 0
  const later = (parts: EventParts = {}) => event({ collector_tstamp: minutes * minuteMs, ...parts })
  const nextSitting = () => {
    minutes += 60
  }
  nextSitting()
  client.send(later({ user_id: 'bea' }))
  client.learn({ requestSeq: 3, setKey: bea!, profileId: 'B', identitySeq: 5 })
  return { client, anonymous, later, nextSitting }
}

const requestOf = (effects: readonly Effect[]) =>
  emitted<IdentityRequest>(effects, 'identity.requests', 'request')[0]?.value

test('when a second person turns up, anonymous events are no longer the first one’s: they are asked for by sitting', () => {
  const { client, anonymous, later, nextSitting } = sharedDevice()
  const request = requestOf(client.send(later()))
  expect(request).toMatchObject({
    kind: 'resolve',
    setKey: anonymous,
    sittingUser: `user_id:${hashOf('user_id', 'bea')}`,
  })
  client.learn({ requestSeq: 4, setKey: anonymous, sittingId: request!.sittingId, profileId: 'B' })
  expect(client.route(later())).toBe('B')
  expect(client.route(later({ user_id: 'bea' }))).toBe('B')
  nextSitting()
  expect(requestOf(client.send(later()))).toMatchObject({ requestSeq: 5, sittingUser: null })
})

test('a second user in the sitting revokes what was decided for it, once', () => {
  const { client, anonymous, later } = sharedDevice()
  const { sittingId } = requestOf(client.send(later()))!
  client.learn({ requestSeq: 4, setKey: anonymous, sittingId, profileId: 'B' })
  expect(client.route(later({ user_id: 'ada' }))).toBe('A')
  expect(requestOf(client.send(later()))).toMatchObject({ requestSeq: 5, sittingId, sittingUser: null })
  client.learn({ requestSeq: 5, setKey: anonymous, sittingId, profileId: 'S' })
  expect(client.route(later())).toBe('S')
  expect(client.route(later({ user_id: 'bea' }))).toBe('B')
  expect(client.route(later())).toBe('S')
})

test('who signs in to a sitting with anonymous events claims them through GRAPH', () => {
  const { client, anonymous, later, nextSitting } = sharedDevice()
  nextSitting()
  const { sittingId } = requestOf(client.send(later()))!
  client.learn({ requestSeq: 4, setKey: anonymous, sittingId, profileId: 'S' })
  expect(client.route(later())).toBe('S')
  const claim = requestOf(client.send(later({ user_id: 'ada' })))
  expect(claim).toMatchObject({ requestSeq: 5, sittingId, sittingUser: `user_id:${hashOf('user_id', 'ada')}` })
  client.learn({ requestSeq: 5, setKey: claim!.setKey, profileId: 'A' })
  expect(client.route(later({ user_id: 'ada' }))).toBe('A')
  expect(client.route(later())).toBe('resolve 6')
})

test('an answer for a sitting is not kept when a later request may have changed whose it is', () => {
  const { client, anonymous, later } = sharedDevice()
  const { sittingId } = requestOf(client.send(later()))!
  expect(client.route(later({ user_id: 'ada' }))).toBe('resolve 5')
  client.learn({ requestSeq: 4, setKey: anonymous, sittingId, profileId: 'B' })
  client.learn({ requestSeq: 5, setKey: setKeyOf(later({ user_id: 'ada' })), profileId: 'A' })
  expect(client.route(later())).toBe('resolve 6')
})
