/** PROFILE: events become the golden record of each customer, and merges move what was learned to the survivor. */
import { invariant } from '../../runtime/errors.ts'
import {
  type Context,
  type Effect,
  emit,
  emitLatest,
  erase,
  type Inbound,
  type Key,
  type Operator,
  pass,
  put,
  schedule,
  type timerKind,
} from '../../runtime/operator.ts'
import type {
  Adoption,
  Forwarder,
  Fragment,
  Handover,
  IdentifiedEvent,
  Learned,
  MergeOrder,
  ProfileState,
} from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { EventReader } from '../event/event.ts'
import { foldClosed, foldEvent, joinAll } from './fragment.ts'
import { announce, arrive, isPending } from './handover.ts'
import { type ProfileRules, profileRules } from './rules.ts'
import { type Cause, departPass, type ProfileUpdate, profilePass } from './update.ts'
import { FragmentsView } from './view.ts'

export type ProfileInbound =
  | Inbound<'event', IdentifiedEvent>
  | Inbound<'merge', MergeOrder>
  | Inbound<'handover', Handover>
  | Inbound<'adoption', Adoption>
  | Inbound<typeof timerKind, { readonly id: string; readonly atMs: number }>

type ProfileContext = Context<ProfileState, Definitions>

/** The timer at which a windowed count of the profile falls. */
const expiryTimer = 'profile'
/** No chain of merges is this long, unless it is a circle. */
const hopsMax = 32

/**
 * Keeps what was learned from events, per fragment. Key in and out: tenant/profileId.
 * In: `event`, `merge` (at `from` an order to leave, elsewhere the news that somebody will come), `handover`, timers;
 * `adoption`, for each profile there is or was, when a replay is promoted.
 * Out: `profiles`, one record for each change of the view, its version the offset of the cause; a tombstone when the
 * profile leaves, or was published before a promotion and is no more. Passes a ProfileUpdate on for each event, timer and hand-over, and the Handover of a profile that leaves.
 * A profile that has left is a forwarder: whatever comes for it goes on to where it went, and the client of an event
 * is corrected. Events may come in any order; each exactly once.
 */
export const profile: Operator<ProfileInbound, ProfileState, Definitions> = {
  name: 'profile',
  state: 'ProfileState',
  process(record, context) {
    switch (record.kind) {
      case 'event':
        return onEvent(record.key, record.value, context)
      case 'merge':
        return onMerge(record.key, record.value, context)
      case 'handover':
        return onHandover(record.key, record.value, context)
      case 'adoption':
        return onAdoption(record.key, record.value, context)
      case 'timer':
        return onTimer(record.key, record.value.id, context)
    }
  },
}

function onEvent(key: Key, identified: IdentifiedEvent, context: ProfileContext): readonly Effect[] {
  const state = context.state(key)
  if (state?.forward) return forwardEvent(identified, state, state.forward)
  const rules = profileRules(context.definitions)
  const { event } = identified
  const reader = new EventReader(event)
  const eventRules = rules.forEvent(reader.name)

  const before = state?.fragments ?? []
  const fragment = before.find(({ key: known }) => known === identified.fragment)
  const folded = foldEvent(fragment, identified, reader, eventRules)
  const fragments = fragment
    ? before.map((each) => (each === fragment ? folded : each))
    : joinAll(before, [folded], rules)
  const cause: Cause = {
    kind: 'event',
    eventId: event.event_id,
    eventName: reader.name,
    eventTimeMs: reader.timeMs,
    collectorTstampMs: event.collector_tstamp,
    late: before.some(({ lastSeenMs }) => lastSeenMs > reader.timeMs),
  }
  const next: ProfileState = {
    tenant: identified.tenant,
    profileId: profileIdOf(key, identified.tenant),
    createdAtMs: before.length === 0 ? reader.timeMs : Math.min(state!.createdAtMs, reader.timeMs),
    forward: null,
    handovers: state?.handovers ?? [],
    fragments: foldClosed(fragments, context.clockMs, rules),
  }
  return changed(key, next, rules, cause, null, eventRules.windowed, context)
}

function onMerge(key: Key, order: MergeOrder, context: ProfileContext): readonly Effect[] {
  const state = context.state(key)
  if (profileIdOf(key, order.tenant) === order.from) return depart(key, order, state, context)
  if (state?.forward) return [emit('events.identified', 'merge', `${order.tenant}/${state.forward.to}`, order)]
  const known = state ?? emptyProfile(key, order.tenant, order.effectiveAtMs)
  return [put(key, { ...known, handovers: announce(known.handovers, order) })]
}

/** Leaves for the survivor. A profile whose first event is still on its way leaves too, with empty hands. */
function depart(
  key: Key,
  order: MergeOrder,
  state: ProfileState | undefined,
  context: ProfileContext,
): readonly Effect[] {
  invariant(!state?.forward, 'only a profile that has not left is ordered to leave')
  const { tenant, mergeId, from, to, identitySeq, effectiveAtMs, eventId } = order
  const left = state ?? emptyProfile(key, tenant, effectiveAtMs)
  const handover: Handover = {
    tenant,
    mergeId,
    from,
    to,
    identitySeq,
    part: 1,
    parts: 1,
    createdAtMs: left.createdAtMs,
    effectiveAtMs,
    eventId,
    fragments: left.fragments,
    handovers: left.handovers,
    memberships: [],
    sent: [],
  }
  const effects: Effect[] = [
    put(key, { ...left, forward: { to, mergeId, identitySeq }, handovers: [], fragments: [] } satisfies ProfileState),
  ]
  if (left.fragments.length > 0) effects.push(erase('profiles', 'profile', key))
  const windowed = new FragmentsView(left.fragments, profileRules(context.definitions)).nextExpiryMs(context.clockMs)
  if (Number.isFinite(windowed)) effects.push(schedule(key, expiryTimer, null))
  effects.push(pass(departPass, key, handover))
  return effects
}

function onHandover(key: Key, handover: Handover, context: ProfileContext): readonly Effect[] {
  const { tenant, identitySeq } = handover
  const state = context.state(key)
  if (state?.forward) {
    const { to } = state.forward
    return [emit('events.identified', 'handover', `${tenant}/${to}`, { ...handover, to } satisfies Handover)]
  }
  const rules = profileRules(context.definitions)
  const known = state ?? emptyProfile(key, tenant, handover.effectiveAtMs)
  const arrived = handover.fragments.map(
    (fragment): Fragment => ({ ...fragment, ownerSeq: Math.max(fragment.ownerSeq, identitySeq) }),
  )
  const next: ProfileState = {
    ...known,
    createdAtMs: createdAtMs(known, handover),
    handovers: arrive(known.handovers, handover),
    fragments: foldClosed(joinAll(known.fragments, arrived, rules), context.clockMs, rules),
  }
  const cause: Cause = { kind: 'handover', eventId: handover.eventId, effectiveAtMs: handover.effectiveAtMs }
  return changed(key, next, rules, cause, handover, arrived.length > 0, context)
}

/** The profile is as the replay made it. What readers have of it, if it is no more, is taken back. */
function onAdoption(key: Key, adoption: Adoption, context: ProfileContext): readonly Effect[] {
  const { tenant, published } = adoption
  const state = context.state(key) ?? emptyProfile(key, tenant, context.clockMs)
  const view = new FragmentsView(state.fragments, profileRules(context.definitions))
  const effects: Effect[] = []
  if (state.fragments.length > 0) effects.push(profileRecord(key, state, view, context))
  else if (published) effects.push(erase('profiles', 'profile', key))
  const cause: Cause = { kind: 'adoption', adoption, mergedInto: state.forward?.to ?? null }
  effects.push(pass(profilePass, key, updateOf(state, view, cause, null)))
  return effects
}

/** Whose timer it is does not matter here: time has moved, so all look again. */
function onTimer(key: Key, id: string, context: ProfileContext): readonly Effect[] {
  const state = context.state(key)
  if (!state || state.forward) return []
  const rules = profileRules(context.definitions)
  const view = new FragmentsView(state.fragments, rules)
  const effects: Effect[] = []
  if (id === expiryTimer) {
    effects.push(profileRecord(key, state, view, context), ...scheduleExpiry(key, view, context))
  }
  effects.push(pass(profilePass, key, updateOf(state, view, { kind: 'timer' }, null)))
  return effects
}

/** The effects of a new state of a live profile. */
function changed(
  key: Key,
  next: ProfileState,
  rules: ProfileRules,
  cause: Cause,
  arrived: Handover | null,
  windowed: boolean,
  context: ProfileContext,
): readonly Effect[] {
  const view = new FragmentsView(next.fragments, rules)
  const effects: Effect[] = [put(key, next)]
  if (next.fragments.length > 0) effects.push(profileRecord(key, next, view, context))
  if (windowed) effects.push(...scheduleExpiry(key, view, context))
  effects.push(pass(profilePass, key, updateOf(next, view, cause, arrived)))
  return effects
}

function profileRecord(key: Key, state: ProfileState, view: FragmentsView, context: ProfileContext): Effect {
  const { tenant, profileId, createdAtMs } = state
  const { offset: sequence, generation, clockMs } = context
  const version = { generation, sequence }
  return emitLatest('profiles', 'profile', key, () => view.record(tenant, profileId, createdAtMs, version, clockMs))
}

function scheduleExpiry(key: Key, view: FragmentsView, { clockMs }: ProfileContext): readonly Effect[] {
  const atMs = view.nextExpiryMs(clockMs)
  return [schedule(key, expiryTimer, Number.isFinite(atMs) ? atMs : null)]
}

function updateOf(state: ProfileState, view: FragmentsView, cause: Cause, arrived: Handover | null): ProfileUpdate {
  const { tenant, profileId, handovers } = state
  return { tenant, profileId, view, cause, pending: isPending(handovers), arrived }
}

/** Sends the event after the profile, and tells its client where to send the next. */
function forwardEvent(
  identified: IdentifiedEvent,
  { profileId }: ProfileState,
  { to, identitySeq }: Forwarder,
): readonly Effect[] {
  const { tenant, client, hops } = identified
  invariant(hops < hopsMax, 'forwarders do not lead in a circle')
  const forwarded: IdentifiedEvent = { ...identified, profileId: to, hops: hops + 1 }
  const correction: Learned = {
    tenant,
    client,
    requestSeq: 0,
    setKey: '',
    sittingId: null,
    profileId: to,
    replaces: profileId,
    identitySeq,
  }
  return [
    emit('events.identified', 'event', `${tenant}/${to}`, forwarded),
    emit('events.raw', 'learned', `${tenant}/${client}`, correction),
  ]
}

function emptyProfile(key: Key, tenant: string, createdAtMs: number): ProfileState {
  return { tenant, profileId: profileIdOf(key, tenant), createdAtMs, forward: null, handovers: [], fragments: [] }
}

/** The time of the first event; of the merge, while there is none. */
function createdAtMs(known: ProfileState, handover: Handover): number {
  if (handover.fragments.length === 0) return known.createdAtMs
  return known.fragments.length === 0 ? handover.createdAtMs : Math.min(known.createdAtMs, handover.createdAtMs)
}

function profileIdOf(key: Key, tenant: string): string {
  return key.slice(tenant.length + 1)
}
