import { expect, test } from 'vitest'
import { type Effect, type Inbound, put } from '../../runtime/operator.ts'
import type { Handover, Learned, MergeOrder, Profile, ProfileState } from '../../schemas/avro/types.ts'
import { identified, keyOf, mergeOrders, onEvent, shop, traitOf } from '../../test/profile-stage/shop.ts'
import { type ProfileInbound, profile } from './profile.ts'
import type { ProfileUpdate } from './update.ts'

const definitions = shop({
  traits: [
    traitOf('views', 'number', { kind: 'count', match: onEvent('view'), windowMs: 100 }),
    traitOf('title', 'string', {
      kind: 'field',
      policy: 'recency',
      match: onEvent('view'),
      value: [{ in: 'column', name: 'page_title' }],
      trust: 1,
    }),
  ],
})

function process(record: Inbound, state?: ProfileState, clockMs = 50, offset = 7): readonly Effect[] {
  return profile.process(record as ProfileInbound, {
    clockMs,
    logTimeMs: clockMs,
    offset,
    partition: 0,
    generation: 0,
    definitions,
    state: (key) => (key === record.key ? state : undefined),
  })
}

const kinds = (effects: readonly Effect[]) =>
  effects.map((effect) =>
    effect.effect === 'emit' || effect.effect === 'emitLatest'
      ? `emit ${effect.topic} ${effect.kind} ${effect.key}${effect.value === null ? ' tombstone' : ''}`
      : effect.effect === 'schedule'
        ? `schedule ${effect.id} ${effect.atMs}`
        : effect.effect === 'pass'
          ? `pass ${effect.kind} ${effect.key}`
          : effect.effect,
  )

const theValue = <Value>(effects: readonly Effect[], effect: Effect['effect'], kind?: string): Value => {
  const found = effects.find((each) => each.effect === effect && (!kind || ('kind' in each && each.kind === kind)))
  return (found as { readonly value: Value }).value
}
const theProfile = (effects: readonly Effect[]) => theValue<() => Profile>(effects, 'emitLatest')()
const stateOf = (effects: readonly Effect[]) => theValue<ProfileState>(effects, 'put')
const live = (record: Inbound, state?: ProfileState) => stateOf(process(record, state))

const [leave, announcement] = mergeOrders('p', 'q', 3, 40) as readonly [
  Inbound<'merge', MergeOrder>,
  Inbound<'merge', MergeOrder>,
]
const forwarder: ProfileState = {
  tenant: 'shop',
  profileId: 'p',
  createdAtMs: 10,
  forward: { to: 'q', mergeId: 'm3', identitySeq: 3 },
  handovers: [],
  fragments: [],
}

test('the first event makes the profile: state, record, timer of the window, update', () => {
  const effects = process(identified({ name: 'view', atMs: 10 }))
  expect(kinds(effects)).toEqual(['put', 'emit profiles profile shop/p', 'schedule profile 110', 'pass profile shop/p'])
  expect(stateOf(effects)).toMatchObject({
    tenant: 'shop',
    profileId: 'p',
    createdAtMs: 10,
    forward: null,
    handovers: [],
  })
  expect(theProfile(effects)).toEqual({
    tenant: 'shop',
    profileId: 'p',
    generation: 0,
    sequence: 7,
    createdAtMs: 10,
    firstSeenMs: 10,
    lastSeenMs: 10,
    events: 1,
    traits: { views: { value: 1, eventTimeMs: 10, source: 'computed', eventId: 'view@10' } },
    identifiers: [],
    consents: {},
    fragments: ['user_id:p'],
  })
  const { view, ...update } = theValue<ProfileUpdate>(effects, 'pass')
  expect(update).toEqual({
    tenant: 'shop',
    profileId: 'p',
    cause: {
      kind: 'event',
      eventId: 'view@10',
      eventName: 'view',
      eventTimeMs: 10,
      collectorTstampMs: 10,
      late: false,
    },
    pending: false,
    arrived: null,
  })
  expect(view.total(definitions.traits[0]!.source.match)).toBe(1)
})

test('an event that no window counts sets no timer; one that is older than the newest is late', () => {
  const state = live(identified({ name: 'view', atMs: 10 }))
  const effects = process(identified({ name: 'log_in', atMs: 5 }), state)
  expect(kinds(effects)).toEqual(['put', 'emit profiles profile shop/p', 'pass profile shop/p'])
  expect(stateOf(effects).createdAtMs).toBe(5)
  expect(theValue<ProfileUpdate>(effects, 'pass').cause).toMatchObject({ late: true })
})

test('before any definitions a profile still knows who and when', () => {
  const event = identified({ name: 'view', atMs: 10 })
  const context = {
    clockMs: 10,
    logTimeMs: 10,
    offset: 1,
    partition: 0,
    generation: 0,
    definitions: undefined,
    state: () => undefined,
  }
  const effects = profile.process(event, context)
  expect(theProfile(effects)).toMatchObject({ events: 1, traits: {} })
})

test('at its own timer the profile is written again, at others only looked at', () => {
  const state = live(identified({ name: 'view', atMs: 10 }))
  const at = (id: string) => process({ kind: 'timer', key: keyOf('p'), value: { id, atMs: 110 } }, state, 110)
  expect(kinds(at('profile'))).toEqual(['emit profiles profile shop/p', 'schedule profile null', 'pass profile shop/p'])
  expect(theProfile(at('profile')).traits['views']?.value).toBe(0)
  expect(kinds(at('segment'))).toEqual(['pass profile shop/p'])
  expect(process({ kind: 'timer', key: keyOf('p'), value: { id: 'segment', atMs: 110 } }, forwarder)).toEqual([])
})

test('an order to leave: a forwarder stays, the record goes, what was learned is passed on', () => {
  const state = live(identified({ name: 'view', atMs: 10 }))
  const effects = process(leave, state)
  expect(kinds(effects)).toEqual([
    'put',
    'emit profiles profile shop/p tombstone',
    'schedule profile null',
    'pass depart shop/p',
  ])
  expect(stateOf(effects)).toEqual(forwarder)
  expect(theValue<Handover>(effects, 'pass')).toEqual({
    tenant: 'shop',
    mergeId: 'm3',
    from: 'p',
    to: 'q',
    identitySeq: 3,
    part: 1,
    parts: 1,
    createdAtMs: 10,
    effectiveAtMs: 40,
    eventId: 'e3',
    fragments: state.fragments,
    handovers: [],
    memberships: [],
    sent: [],
  })
})

test('a profile that has no events yet leaves with empty hands, and what it waits for', () => {
  const [, comes] = mergeOrders('o', 'p', 2, 30)
  const waiting = live(comes!)
  expect(kinds(process(leave))).toEqual(['put', 'pass depart shop/p'])
  expect(theValue<Handover>(process(leave, waiting), 'pass')).toMatchObject({
    fragments: [],
    handovers: [{ mergeId: 'm2', from: 'o', announced: true, partsSeen: 0, parts: 0 }],
  })
})

test('news of a hand-over is only noted', () => {
  const handovers = [{ mergeId: 'm3', from: 'p', announced: true, partsSeen: 0, parts: 0 }]
  expect(process(announcement)).toEqual([
    put(keyOf('q'), {
      tenant: 'shop',
      profileId: 'q',
      createdAtMs: 40,
      forward: null,
      handovers,
      fragments: [],
    }),
  ])
})

test('a hand-over is taken in: fragments of one key are added up, the update says what arrived', () => {
  const gone = live(identified({ name: 'view', atMs: 10, fragment: 'user_id:x' }))
  const handover = theValue<Handover>(process(leave, gone), 'pass')
  const before = live(announcement, live(identified({ name: 'view', atMs: 20, profileId: 'q', fragment: 'user_id:x' })))
  const record = { kind: 'handover', key: keyOf('q'), value: handover }
  const effects = process(record, before)
  expect(kinds(effects)).toEqual(['put', 'emit profiles profile shop/q', 'schedule profile 110', 'pass profile shop/q'])
  expect(stateOf(effects)).toMatchObject({
    createdAtMs: 10,
    handovers: [],
    fragments: [{ key: 'user_id:x', events: 2, ownerSeq: 3 }],
  })
  expect(theValue<ProfileUpdate>(effects, 'pass')).toMatchObject({
    cause: { kind: 'handover', eventId: 'e3', effectiveAtMs: 40 },
    pending: false,
    arrived: handover,
  })
  const early = process({ ...record, value: { ...handover, parts: 2 } })
  expect(theValue<ProfileUpdate>(early, 'pass').pending).toBe(true)
})

test('what comes for a forwarder goes on: events with a correction for the client, orders and hand-overs as they are', () => {
  const event = identified({ name: 'view', atMs: 20 })
  const effects = process(event, forwarder)
  expect(kinds(effects)).toEqual(['emit events.identified event shop/q', 'emit events.raw learned shop/client-p'])
  expect(theValue(effects, 'emit')).toEqual({ ...event.value, profileId: 'q', hops: 1 })
  expect(theValue<Learned>(effects, 'emit', 'learned')).toEqual({
    tenant: 'shop',
    client: 'client-p',
    requestSeq: 0,
    setKey: '',
    sittingId: null,
    profileId: 'q',
    replaces: 'p',
    identitySeq: 3,
  })

  const [, comes] = mergeOrders('o', 'p', 2, 30)
  expect(process(comes!, forwarder)).toEqual([
    { effect: 'emit', topic: 'events.identified', kind: 'merge', key: keyOf('q'), value: comes!.value },
  ])
  const handover = { ...theValue<Handover>(process(leave), 'pass'), from: 'o', to: 'p' }
  expect(process({ kind: 'handover', key: keyOf('p'), value: handover }, forwarder)).toEqual([
    {
      effect: 'emit',
      topic: 'events.identified',
      kind: 'handover',
      key: keyOf('q'),
      value: { ...handover, to: 'q' },
    },
  ])
})

test('forwarders in a circle, and a second order to leave, break an invariant', () => {
  const { key, kind, value } = identified({ name: 'view', atMs: 20 })
  expect(() => process({ key, kind, value: { ...value, hops: 32 } }, forwarder)).toThrow(
    'forwarders do not lead in a circle',
  )
  expect(() => process(leave, forwarder)).toThrow('only a profile that has not left is ordered to leave')
})
