import { expect, test } from 'vitest'
import { count, type Effect, emit, put } from '../../runtime/operator.ts'
import type { Activation, ActivationState, Handover, Membership, Sent } from '../../schemas/avro/types.ts'
import type { DestinationDefinition } from '../../schemas/definitions.ts'
import { type EventParts, keyOf, onEvent, shop, traitOf, viewOf } from '../../test/profile-stage/shop.ts'
import { digest, uuidV5 } from '../ids.ts'
import type { Cause } from '../profile/update.ts'
import { type ActivateInbound, activate } from './activate.ts'

const destination: DestinationDefinition = {
  id: 'mail',
  description: '',
  type: 'webhook',
  segments: ['buyers'],
  purposes: ['marketing'],
  identifiers: [{ type: 'address', namespace: 'email', encoding: 'plain' }],
  traits: ['visits', 'unset'],
  settings: {},
}
const definitions = shop({
  traits: [
    traitOf('visits', 'number', { kind: 'count', match: onEvent('visit'), windowMs: null }),
    traitOf('unset', 'string', {
      kind: 'field',
      policy: 'first',
      match: onEvent('never'),
      value: { literal: 'x' },
      trust: 1,
    }),
  ],
  destinations: [destination],
  consent: {
    purposes: ['marketing'],
    signals: [
      { match: onEvent('agree'), granted: true, purposes: ['marketing'] },
      { match: onEvent('refuse'), granted: false, purposes: ['marketing'] },
    ],
  },
})

const agree: EventParts = {
  name: 'agree',
  atMs: 5,
  identifiers: [
    { namespace: 'email', value: 'b@x', hash: '1' },
    { namespace: 'email', value: 'a@x', hash: '2' },
    { namespace: 'email', value: 'b@x', hash: '3' },
    { namespace: 'cookie', value: 'c', hash: '4' },
  ],
}
const refuse: EventParts = { name: 'refuse', atMs: 6 }
const visit: EventParts = { name: 'visit', atMs: 7 }

type Given = {
  readonly events: readonly EventParts[]
  readonly member?: boolean
  readonly state?: ActivationState
  readonly pending?: boolean
  readonly arrived?: readonly Sent[]
  readonly destinations?: readonly DestinationDefinition[]
}

function update({ events, member = true, state, pending = false, arrived, destinations }: Given): readonly Effect[] {
  const last = events.at(-1)!
  const cause: Cause = {
    kind: 'event',
    eventId: `${last.name}@${last.atMs}`,
    eventName: last.name,
    eventTimeMs: last.atMs,
    collectorTstampMs: last.atMs,
    late: false,
  }
  const membership: Membership = {
    segmentId: 'buyers',
    version: 'v',
    member,
    seq: 1,
    effectiveAtMs: 1,
    validUntilMs: null,
  }
  const inForce = destinations ? { ...definitions, destinations } : definitions
  const record: ActivateInbound = {
    kind: 'memberships',
    key: keyOf('p'),
    value: {
      profile: {
        tenant: 'shop',
        profileId: 'p',
        view: viewOf(definitions, events),
        cause,
        pending,
        arrived: arrived ? ({ sent: arrived } as unknown as Handover) : null,
      },
      memberships: [membership],
      transitions: [],
    },
  }
  const context = {
    clockMs: 10,
    logTimeMs: 10,
    offset: 1,
    partition: 0,
    generation: 0,
    definitions: inForce,
    state: () => state,
  }
  return activate.process(record, context)
}

const stateOf = (effects: readonly Effect[]) => {
  const found = effects.find(({ effect }) => effect === 'put')
  return (found as { readonly value: ActivationState } | undefined)?.value
}
const told = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => {
    if (effect.effect !== 'emit') return []
    const { op, profileId, previousProfileId, identifiers, reason } = effect.value as Activation
    const from = previousProfileId ? ` from ${previousProfileId}` : ''
    return [`${op} ${profileId}${from}: ${identifiers.map(({ value }) => value).join(' ')} (${reason})`]
  })

const identifiers = [
  { type: 'address', value: 'a@x' },
  { type: 'address', value: 'b@x' },
]
const sent: Sent = {
  destinationId: 'mail',
  segmentId: 'buyers',
  profileId: 'p',
  identifiers,
  traitsDigest: digest('{"visits":0}'),
  seq: 1,
}

test('a member who agreed is added, with identifiers sorted and each once, and the traits that are set', () => {
  const activation: Activation = {
    op: 'add',
    tenant: 'shop',
    destinationId: 'mail',
    segmentId: 'buyers',
    profileId: 'p',
    previousProfileId: null,
    identifiers,
    traits: { visits: 0 },
    idempotencyKey: uuidV5('activation|mail|buyers|shop|p|1'),
    effectiveAtMs: 5,
    reason: 'consent',
    collectorTstampMs: 5,
  }
  expect(update({ events: [agree] })).toEqual([
    put(keyOf('p'), { seq: 1, sent: [sent] }),
    emit('connect.mail', 'activation', keyOf('p'), activation),
    count('activated'),
  ])
})

test('what the destination holds already is not sent again', () => {
  expect(update({ events: [agree], state: { seq: 1, sent: [sent] } })).toEqual([])
  expect(told(update({ events: [agree, visit], state: { seq: 1, sent: [sent] } }))).toEqual([
    'update p: a@x b@x (event)',
  ])
})

test('nobody is sent who has not agreed, is no member, or has no identifier', () => {
  expect(update({ events: [visit] })).toEqual([])
  expect(update({ events: [agree, refuse] })).toEqual([])
  expect(update({ events: [agree], member: false })).toEqual([])
  expect(update({ events: [{ ...agree, identifiers: [] }] })).toEqual([])
})

test('a removal names what was sent, whatever the profile says by now', () => {
  const state = { seq: 4, sent: [{ ...sent, identifiers: [{ type: 'address', value: 'old@x' }] }] }
  const effects = update({ events: [agree, refuse], state })
  expect(told(effects)).toEqual(['remove p: old@x (consent)'])
  expect(stateOf(effects)).toEqual({ seq: 5, sent: [] })
  expect(told(update({ events: [agree], state, member: false }))).toEqual(['remove p: old@x (consent)'])
})

test('a segment that the destination takes no more is removed; a destination that is gone can be told nothing', () => {
  const state = { seq: 1, sent: [sent] }
  const without = { ...destination, segments: [] }
  expect(told(update({ events: [visit], state, destinations: [without] }))).toEqual(['remove p: a@x b@x (definition)'])
  expect(update({ events: [visit], state, destinations: [] })).toEqual([])
})

test('what a merged profile had sent is noted while others are awaited, then re-keyed or removed', () => {
  const theirs = { ...sent, profileId: 'q', identifiers: [{ type: 'address', value: 'q@x' }] }
  const waiting = update({ events: [agree], pending: true, arrived: [theirs] })
  expect(waiting).toEqual([put(keyOf('p'), { seq: 0, sent: [theirs] })])
  const state = stateOf(waiting)!
  const rekeyed = update({ events: [agree], state: { seq: 1, sent: [sent, ...state.sent] } })
  expect(told(rekeyed)).toEqual(['rekey p from q: a@x b@x (consent)'])
  expect(stateOf(rekeyed)).toEqual({ seq: 2, sent: [{ ...sent, seq: 2 }] })
  expect(told(update({ events: [agree, refuse], state }))).toEqual(['remove p from q: q@x (consent)'])
})

test('who leaves sends what was sent along, and starts afresh with the seq', () => {
  const value = { tenant: 'shop', from: 'p', to: 'q', fragments: [], memberships: [], handovers: [], sent: [] }
  const handover = {
    ...value,
    mergeId: 'm',
    identitySeq: 1,
    part: 1,
    parts: 1,
    createdAtMs: 0,
    effectiveAtMs: 0,
    eventId: 'e',
  }
  const depart = (state?: ActivationState) =>
    activate.process(
      { kind: 'depart', key: keyOf('p'), value: handover },
      { clockMs: 10, logTimeMs: 10, offset: 1, partition: 0, generation: 0, definitions, state: () => state },
    )
  expect(depart({ seq: 3, sent: [sent] })).toEqual([
    put(keyOf('p'), { seq: 3, sent: [] }),
    emit('events.identified', 'handover', keyOf('q'), { ...handover, sent: [sent] }),
  ])
  expect(depart()).toEqual([emit('events.identified', 'handover', keyOf('q'), handover)])
})
