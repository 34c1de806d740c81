import { expect, test } from 'vitest'
import { count, type Effect, emit, pass, put, schedule } from '../../runtime/operator.ts'
import type { Handover, MembershipTransition, SegmentState } from '../../schemas/avro/types.ts'
import type { Definitions, Expression } from '../../schemas/definitions.ts'
import { type EventParts, keyOf, onEvent, segmentOf, shop, viewOf } from '../../test/profile-stage/shop.ts'
import { uuidV5 } from '../ids.ts'
import type { Cause, ProfileUpdate } from '../profile/update.ts'
import { type SegmentInbound, segment } from './segment.ts'

const viewed: Expression = { op: 'count', match: onEvent('view'), windowMs: 100, comparison: '>=', threshold: 1 }
const bought: Expression = { op: 'count', match: onEvent('buy'), windowMs: null, comparison: '>=', threshold: 1 }
const definitions = shop({ segments: [segmentOf('viewers', viewed), segmentOf('buyers', bought)] })

const byEvent = (eventName: string, eventTimeMs: number, late = false): Cause => ({
  kind: 'event',
  eventId: `${eventName}@${eventTimeMs}`,
  eventName,
  eventTimeMs,
  collectorTstampMs: eventTimeMs,
  late,
})

type Given = {
  readonly events: readonly EventParts[]
  readonly cause: Cause
  readonly state?: SegmentState
  readonly definitions?: Definitions
  readonly pending?: boolean
}

function updateOf({ events, cause, pending = false, ...given }: Given): ProfileUpdate {
  const view = viewOf(given.definitions ?? definitions, events)
  return { tenant: 'shop', profileId: 'p', view, cause, pending, arrived: null }
}

function process(
  record: SegmentInbound,
  given: Pick<Given, 'state' | 'definitions'>,
  clockMs: number,
): readonly Effect[] {
  return segment.process(record, {
    clockMs,
    logTimeMs: clockMs,
    offset: 1,
    partition: 0,
    generation: 0,
    definitions: given.definitions ?? definitions,
    state: () => given.state,
  })
}

const update = (given: Given, clockMs: number) =>
  process({ kind: 'profile', key: keyOf('p'), value: updateOf(given) }, given, clockMs)

const stateOf = (effects: readonly Effect[]) =>
  (effects.find(({ effect }) => effect === 'put') as { readonly value: SegmentState } | undefined)?.value

const transitions = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => {
    if (effect.effect !== 'emit') return []
    const { segmentId, status, seq, effectiveAtMs, reason } = effect.value as MembershipTransition
    return [`${status} ${segmentId} #${seq} at ${effectiveAtMs}: ${reason}`]
  })

const view10 = { events: [{ name: 'view', atMs: 10 }], cause: byEvent('view', 10) }

test('a transition is written and counted, the timer set, the update passed on', () => {
  const value = updateOf(view10)
  const membership = {
    segmentId: 'viewers',
    version: 'viewers-v1',
    member: true,
    seq: 1,
    effectiveAtMs: 10,
    validUntilMs: 110,
  }
  const transition: MembershipTransition = {
    id: uuidV5('transition|viewers|viewers-v1|shop|p|1'),
    tenant: 'shop',
    segmentId: 'viewers',
    version: 'viewers-v1',
    profileId: 'p',
    status: 'entered',
    seq: 1,
    effectiveAtMs: 10,
    evaluatedAtMs: 12,
    reason: 'event',
    causeEventId: 'view@10',
    mergedInto: null,
    origin: 'live',
  }
  expect(process({ kind: 'profile', key: keyOf('p'), value }, {}, 12)).toEqual([
    put(keyOf('p'), { definitions: 'v1', memberships: [membership] }),
    emit('segments.memberships', 'transition', keyOf('p'), transition),
    count('entered'),
    schedule(keyOf('p'), 'segment', 110),
    pass('memberships', keyOf('p'), { profile: value, memberships: [membership], transitions: [transition] }),
  ])
})

test('nothing changes, nothing is written', () => {
  const state = stateOf(update(view10, 12))!
  const effects = update({ ...view10, state, cause: byEvent('log_in', 20) }, 20)
  expect(effects.map(({ effect }) => effect)).toEqual(['pass'])
})

test('an exit has its deadline for its time, and the timer goes', () => {
  const state = stateOf(update(view10, 12))!
  const effects = update({ ...view10, state, cause: { kind: 'timer' } }, 110)
  expect(transitions(effects)).toEqual(['exited viewers #2 at 110: timer'])
  expect(effects).toContainEqual(count('exited'))
  expect(effects).toContainEqual(schedule(keyOf('p'), 'segment', null))
})

test('while a hand-over is pending nobody exits for want of events, but enough are enough', () => {
  const state = stateOf(update(view10, 12))!
  expect(transitions(update({ ...view10, state, cause: { kind: 'timer' }, pending: true }, 110))).toEqual([])
  expect(transitions(update({ ...view10, pending: true }, 12))).toEqual(['entered viewers #1 at 10: event'])
})

test('before its first event a survivor is in no segment and keeps no state', () => {
  const nobody = { events: [], cause: { kind: 'handover', eventId: 'e', effectiveAtMs: 5 } } as const
  expect(update(nobody, 12).map(({ effect }) => effect)).toEqual(['pass'])
})

test('who leaves exits all, re-keyed, and keeps the seqs; the survivor is told what was', () => {
  const events = [{ name: 'view', atMs: 10 }]
  const state = stateOf(update({ events, cause: byEvent('view', 10) }, 12))!
  const value = {
    tenant: 'shop',
    from: 'p',
    to: 'q',
    eventId: 'e7',
    effectiveAtMs: 30,
    memberships: [],
  } as unknown as Handover
  const effects = process({ kind: 'depart', key: keyOf('p'), value }, { state }, 40)
  expect(transitions(effects)).toEqual(['exited viewers #2 at 30: merge'])
  expect(effects).toContainEqual(schedule(keyOf('p'), 'segment', null))
  expect(effects.at(-1)).toEqual(pass('depart', keyOf('p'), { ...value, memberships: state.memberships }))
  expect(stateOf(effects)?.memberships).toEqual([
    { ...state.memberships[0], member: false, seq: 2, effectiveAtMs: 30, validUntilMs: null },
  ])
  expect(process({ kind: 'depart', key: keyOf('p'), value }, {}, 40)).toEqual([pass('depart', keyOf('p'), value)])
})

test('new definitions show at the next touch: edited and added segments for that reason, deleted ones exit', () => {
  const both = [
    { name: 'view', atMs: 10 },
    { name: 'buy', atMs: 11 },
  ]
  const state = stateOf(update({ events: both, cause: byEvent('buy', 11) }, 12))!
  expect(state.memberships.map(({ segmentId }) => segmentId)).toEqual(['buyers', 'viewers'])
  const edited = shop({
    hash: 'v2',
    segments: [
      { ...segmentOf('viewers', { op: 'not', of: viewed }), version: 'viewers-v2' },
      segmentOf('everyone', { op: 'or', of: [viewed, { op: 'not', of: viewed }] }),
    ],
  })
  const effects = update({ events: both, cause: byEvent('log_in', 20), state, definitions: edited }, 20)
  expect(transitions(effects)).toEqual([
    'exited viewers #2 at 20: definition',
    'entered everyone #1 at 20: definition',
    'exited buyers #2 at 20: definition',
  ])
  const after = stateOf(effects)!
  expect(after).toMatchObject({ definitions: 'v2', memberships: { length: 3 } })
  // A segment that comes back goes on with its seq.
  const back = update({ events: both, cause: byEvent('log_in', 30), state: after }, 30)
  expect(transitions(back)).toEqual([
    'entered viewers #3 at 30: definition',
    'entered buyers #3 at 30: definition',
    'exited everyone #2 at 30: definition',
  ])
})

test('a late event is the reason when the profile had newer ones', () => {
  const late = update({ ...view10, cause: byEvent('view', 10, true) }, 12)
  expect(transitions(late)).toEqual(['entered viewers #1 at 10: late_event'])
})
