/** SEGMENT: who is in which segment, from when, and until when. */
import {
  type Context,
  count,
  type Effect,
  emit,
  type Inbound,
  type Key,
  type Operator,
  pass,
  put,
  schedule,
} from '../../runtime/operator.ts'
import type {
  Handover,
  Membership,
  MembershipTransition,
  SegmentState,
  TransitionReason,
} from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { uuidV5 } from '../ids.ts'
import { type Cause, departPass, type ProfileUpdate, type profilePass } from '../profile/update.ts'
import { type SegmentRule, type SegmentRules, segmentRules } from './rules.ts'
import { type MembershipUpdate, membershipsPass } from './update.ts'

export type SegmentInbound = Inbound<typeof profilePass, ProfileUpdate> | Inbound<typeof departPass, Handover>

type AdoptionCause = Extract<Cause, { readonly kind: 'adoption' }>
type SegmentContext = Context<SegmentState, Definitions>

/** One timer a profile, at the earliest instant any answer can change. */
const verdictTimer = 'segment'

/**
 * Evaluates the segments an update can change. Key: tenant/profileId. In: the passes of PROFILE.
 * Out: `segments.memberships`, append-only: per profile and segment the statuses alternate, from `entered`, and seq
 * counts from 1 without a gap. Only a certain verdict changes a membership: while a hand-over is pending, one that holds
 * whatever it brings. Passes a MembershipUpdate on for every update.
 * A profile that leaves exits all (reason merge: a re-key, no removal) and keeps its seqs; the survivor enters what it
 * was not in.
 * When a replay is promoted each profile goes on from what was announced last: with a transition (reason merge for one
 * that is another's now, else backfill) where its rule says otherwise, and none where it says the same.
 */
export const segment: Operator<SegmentInbound, SegmentState, Definitions> = {
  name: 'segment',
  state: 'SegmentState',
  process(record, context) {
    if (record.kind === departPass) return onDepart(record.key, record.value, context)
    const { cause } = record.value
    return cause.kind === 'adoption'
      ? onAdoption(record.key, record.value, cause, context)
      : onUpdate(record.key, record.value, context)
  },
}

function onUpdate(key: Key, update: ProfileUpdate, context: SegmentContext): readonly Effect[] {
  const rules = segmentRules(context.definitions)
  const before = context.state(key)
  if (update.view.events === 0) {
    // Nobody yet: a survivor whose first event is still on its way is in no segment, not even in `!count(...)`.
    const memberships = before?.memberships ?? []
    return [pass(membershipsPass, key, { profile: update, memberships, transitions: [] } satisfies MembershipUpdate)]
  }
  const known = before?.memberships ?? []
  const redefined = before !== undefined && before.definitions !== rules.hash
  const changed: Outcome[] = []
  for (const rule of rulesFor(update, rules, before, context)) {
    const stored = storedOf(known, rule.id)
    const reason = redefined && isNews(update, rule, stored, rules) ? 'definition' : reasonOf(update)
    const was = stored ?? rule.outsider
    const is = evaluated(rule, was, reason, update, context.clockMs)
    if (is !== was) changed.push({ was, is, reason })
  }
  if (redefined) {
    const deleted = known.filter(({ segmentId }) => !rules.has(segmentId))
    changed.push(...deleted.map((was): Outcome => ({ was, is: left(was, context.clockMs), reason: 'definition' })))
  }

  const memberships = changed.length === 0 ? known : replaced(known, changed)
  const subject: Subject = {
    tenant: update.tenant,
    profileId: update.profileId,
    causeEventId: 'eventId' in update.cause ? update.cause.eventId : null,
  }
  const transitions = changed
    .filter(({ was, is }) => was.member !== is.member)
    .map(({ is, reason }) => transitionOf(subject, is, reason, context.clockMs))

  const effects: Effect[] = []
  if (changed.length > 0 || before === undefined || redefined) {
    effects.push(put(key, { definitions: rules.hash, memberships } satisfies SegmentState))
  }
  effects.push(...announced(key, transitions), ...rescheduled(key, known, memberships))
  effects.push(pass(membershipsPass, key, { profile: update, memberships, transitions } satisfies MembershipUpdate))
  return effects
}

/** What a rule says of a profile now, where it differs from what it said before. */
type Outcome = { readonly was: Membership; readonly is: Membership; readonly reason: TransitionReason }

/** The very membership of before when the rule says the same. */
function evaluated(
  rule: SegmentRule,
  was: Membership,
  reason: TransitionReason,
  update: ProfileUpdate,
  clockMs: number,
): Membership {
  const { holds, sinceMs, untilMs } = rule.evaluate(update.view, clockMs, update.pending)
  const member = holds === 'unknown' ? was.member : holds
  const validUntilMs = Number.isFinite(untilMs) ? untilMs : null
  const flips = member !== was.member
  if (!flips && validUntilMs === was.validUntilMs && rule.version === was.version) return was
  return {
    segmentId: rule.id,
    version: rule.version,
    member,
    seq: was.seq + Number(flips),
    effectiveAtMs: flips ? effectiveAt(was, sinceMs, reason, update, clockMs) : was.effectiveAtMs,
    validUntilMs,
  }
}

function onDepart(key: Key, handover: Handover, context: SegmentContext): readonly Effect[] {
  const state = context.state(key)
  if (!state) return [pass(departPass, key, handover)]
  const { tenant, from: profileId, eventId: causeEventId } = handover
  const subject: Subject = { tenant, profileId, causeEventId }
  const atMs = Math.min(handover.effectiveAtMs, context.clockMs)
  const memberships = state.memberships.map((membership) => left(membership, atMs))
  const transitions = memberships
    .filter((_, i) => state.memberships[i]!.member)
    .map((membership) => transitionOf(subject, membership, 'merge', context.clockMs, handover.to))
  return [
    put(key, { ...state, memberships } satisfies SegmentState),
    ...announced(key, transitions),
    ...rescheduled(key, state.memberships, memberships),
    pass(departPass, key, { ...handover, memberships: state.memberships } satisfies Handover),
  ]
}

/** What SEGMENT knew of it in the replay was told to nobody: it begins from what was. */
function onAdoption(
  key: Key,
  update: ProfileUpdate,
  { adoption, mergedInto }: AdoptionCause,
  context: SegmentContext,
): readonly Effect[] {
  const rules = segmentRules(context.definitions)
  const { clockMs } = context
  const reason = mergedInto === null ? 'backfill' : 'merge'
  const adopted = inOrder(adoption.memberships)
  const absent = update.view.events === 0
  const outcomes = absent
    ? adopted.map((was): Outcome => ({ was, is: left(was, clockMs), reason }))
    : [
        ...rules.all.map((rule): Outcome => {
          const was = storedOf(adopted, rule.id) ?? rule.outsider
          return { was, is: evaluated(rule, was, reason, update, clockMs), reason }
        }),
        ...adopted
          .filter(({ segmentId }) => !rules.has(segmentId))
          .map((was): Outcome => ({ was, is: left(was, clockMs), reason: 'definition' })),
      ]
  const memberships = replaced([], outcomes)
  const subject: Subject = { tenant: update.tenant, profileId: update.profileId, causeEventId: null }
  const transitions = outcomes
    .filter(({ was, is }) => was.member !== is.member)
    .map(({ is, reason }) => transitionOf(subject, is, reason, clockMs, mergedInto))
  const before = context.state(key)
  // Should it come, with its first event, all rules look at it.
  const state: SegmentState = { definitions: absent ? '' : rules.hash, memberships }
  return [
    ...(before || memberships.length > 0 ? [put(key, state)] : []),
    ...announced(key, transitions),
    ...rescheduled(key, before?.memberships ?? [], memberships),
    pass(membershipsPass, key, { profile: update, memberships, transitions } satisfies MembershipUpdate),
  ]
}

/** An event concerns the segments that look at its name, time those whose deadline it is; merges and new definitions all. */
function rulesFor(
  { cause }: ProfileUpdate,
  rules: SegmentRules,
  before: SegmentState | undefined,
  { clockMs }: SegmentContext,
): readonly SegmentRule[] {
  if (before?.definitions !== rules.hash || cause.kind === 'handover') return rules.all
  const named = cause.kind === 'event' ? rules.forEvent(cause.eventName) : []
  const due = before.memberships.filter(({ validUntilMs }) => validUntilMs !== null && validUntilMs <= clockMs)
  if (due.length === 0) return named
  return rules.all.filter((rule) => named.includes(rule) || due.some(({ segmentId }) => segmentId === rule.id))
}

/** Whether it must be the new definitions that tell: the rule is not the one of before, and the cause does not touch it. */
function isNews(
  { cause }: ProfileUpdate,
  rule: SegmentRule,
  stored: Membership | undefined,
  rules: SegmentRules,
): boolean {
  if (stored && stored.version !== rule.version) return true
  return cause.kind === 'event' ? !rules.forEvent(cause.eventName).includes(rule) : !stored
}

function reasonOf({ cause }: ProfileUpdate): TransitionReason {
  switch (cause.kind) {
    case 'timer':
      return 'timer'
    case 'handover':
      return 'merge'
    case 'adoption':
      return 'backfill'
    case 'event':
      return cause.late ? 'late_event' : 'event'
  }
}

/** When it became true: never after the clock, nor before what was said last, or before the profiles were one. */
function effectiveAt(
  membership: Membership,
  sinceMs: number,
  reason: TransitionReason,
  { cause }: ProfileUpdate,
  clockMs: number,
): number {
  const fallbackMs = cause.kind === 'event' ? cause.eventTimeMs : clockMs
  const ownMs = reason === 'definition' ? clockMs : Number.isFinite(sinceMs) ? sinceMs : fallbackMs
  const mergedMs = cause.kind === 'handover' ? cause.effectiveAtMs : ownMs
  return Math.max(Math.min(Math.max(ownMs, mergedMs), clockMs), membership.seq > 0 ? membership.effectiveAtMs : 0)
}

function transitionOf(
  { tenant, profileId, causeEventId }: Subject,
  { segmentId, version, seq, member, effectiveAtMs }: Membership,
  reason: TransitionReason,
  evaluatedAtMs: number,
  mergedInto: string | null = null,
): MembershipTransition {
  return {
    id: uuidV5(`transition|${segmentId}|${version}|${tenant}|${profileId}|${seq}`),
    tenant,
    segmentId,
    version,
    profileId,
    status: member ? 'entered' : 'exited',
    seq,
    effectiveAtMs,
    evaluatedAtMs,
    reason,
    causeEventId,
    mergedInto,
    origin: 'live',
  }
}

type Subject = { readonly tenant: string; readonly profileId: string; readonly causeEventId: string | null }

function announced(key: Key, transitions: readonly MembershipTransition[]): readonly Effect[] {
  return transitions.flatMap((transition) => [
    emit('segments.memberships', 'transition', key, transition),
    count(transition.status),
  ])
}

/** The timer follows the earliest deadline. One that is due has fired, so that an old deadline is still set or lies behind. */
function rescheduled(key: Key, before: readonly Membership[], after: readonly Membership[]): readonly Effect[] {
  const [beforeMs, afterMs] = [earliest(before), earliest(after)]
  return beforeMs === afterMs ? [] : [schedule(key, verdictTimer, afterMs)]
}

function earliest(memberships: readonly Membership[]): number | null {
  let earliestMs: number | null = null
  for (const { validUntilMs } of memberships) {
    if (validUntilMs !== null && (earliestMs === null || validUntilMs < earliestMs)) earliestMs = validUntilMs
  }
  return earliestMs
}

/** As they are kept: in the order of the segments' ids. */
function inOrder(memberships: readonly Membership[]): readonly Membership[] {
  return memberships.toSorted((a, b) => (a.segmentId < b.segmentId ? -1 : 1))
}

function storedOf(memberships: readonly Membership[], segmentId: string): Membership | undefined {
  const found = memberships[placeOf(memberships, segmentId)]
  return found?.segmentId === segmentId ? found : undefined
}

/** By halving, as they stand in the order of the segments' ids: where it stands, or would. */
function placeOf(memberships: readonly Membership[], segmentId: string): number {
  let low = 0
  let high = memberships.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (memberships[middle]!.segmentId < segmentId) low = middle + 1
    else high = middle
  }
  return low
}

function left(membership: Membership, atMs: number): Membership {
  const { member, seq, effectiveAtMs } = membership
  if (!member) return { ...membership, validUntilMs: null }
  return {
    ...membership,
    member: false,
    seq: seq + 1,
    effectiveAtMs: Math.max(effectiveAtMs, atMs),
    validUntilMs: null,
  }
}

/** In the order of the segments' ids, without those of which nothing needs to be known. */
function replaced(known: readonly Membership[], changed: readonly Outcome[]): readonly Membership[] {
  const next = known.slice()
  for (const { is } of changed) {
    const place = placeOf(next, is.segmentId)
    const present = Number(next[place]?.segmentId === is.segmentId)
    if (is.seq > 0 || is.validUntilMs !== null) next.splice(place, present, is)
    else next.splice(place, present)
  }
  return next
}
