/** ACTIVATE: what leaves for the destinations, and what was sent before. */
import {
  type Context,
  count,
  type Effect,
  emit,
  type Inbound,
  type Key,
  type Operator,
  put,
} from '../../runtime/operator.ts'
import type {
  Activation,
  ActivationOp,
  ActivationState,
  Adoption,
  Handover,
  Sent,
  SentIdentifier,
  TransitionReason,
} from '../../schemas/avro/types.ts'
import type { Definitions, DestinationDefinition } from '../../schemas/definitions.ts'
import { uuidV5 } from '../ids.ts'
import { type Cause, departPass } from '../profile/update.ts'
import type { MembershipUpdate, membershipsPass } from '../segment/update.ts'
import { type Payload, payloadFor, sameIdentifiers } from './audience.ts'
import { partsOf } from './parts.ts'

export type ActivateInbound = Inbound<typeof membershipsPass, MembershipUpdate> | Inbound<typeof departPass, Handover>

type ActivateContext = Context<ActivationState, Definitions>

const noState: ActivationState = { seq: 0, sent: [] }

/**
 * Compares what a destination should hold of a profile with what it was sent, and sends the difference. Key:
 * tenant/profileId. In: the passes of SEGMENT. Out: `connect.<destination>`, per profile in order, each with an
 * idempotency key from the profile's own seq. A destination should hold the members of its segments whose every purpose
 * is granted and of whom it can name an identifier: `add`, `update` when identifiers or traits change, `remove` with
 * the identifiers that were sent. What another profile had sent before it merged into this one becomes a `rekey`.
 * Does nothing while a hand-over is pending: it may bring a consent, or what was sent.
 * When a replay is promoted it goes on from what was really sent; what it would have sent in the replay, nobody has.
 * As the last operator of the stage it sends the hand-over of a profile that leaves, in as many parts as it takes.
 */
export const activate: Operator<ActivateInbound, ActivationState, Definitions> = {
  name: 'activate',
  state: 'ActivationState',
  process(record, context) {
    return record.kind === departPass
      ? onDepart(record.key, record.value, context)
      : onUpdate(record.key, record.value, context)
  },
}

function onUpdate(key: Key, update: MembershipUpdate, context: ActivateContext): readonly Effect[] {
  const { arrived, pending, cause } = update.profile
  const stored = context.state(key) ?? noState
  const before = cause.kind === 'adoption' ? adopted(cause.adoption, stored) : stored
  const known = arrived ? [...before.sent, ...arrived.sent] : before.sent
  if (pending || !context.definitions) {
    const same = before === stored && known.length === before.sent.length
    return same ? [] : [put(key, { ...before, sent: known } satisfies ActivationState)]
  }

  let { seq } = before
  const sent = new Set(known)
  const effects: Effect[] = []
  for (const destination of context.definitions.destinations) {
    for (const { steps, previous, payload, segmentId } of differencesOf(destination, update, known, context.clockMs)) {
      for (const step of steps) {
        seq += 1
        const topic = `connect.${destination.id}`
        const activation = activationOf(destination, segmentId, step, update, seq, context.clockMs)
        effects.push(emit(topic, 'activation', key, activation), count('activated'))
      }
      for (const each of previous) sent.delete(each)
      if (payload) sent.add(sentOf(destination, segmentId, payload, update.profile.profileId, seq))
    }
  }
  if (effects.length === 0 && before === stored && known === before.sent) return []
  return [put(key, { seq, sent: [...sent] } satisfies ActivationState), ...effects]
}

/** The stored state when there is nothing to take over, nor to forget. */
function adopted({ activations: seq, sent }: Adoption, stored: ActivationState): ActivationState {
  const nothing = stored === noState && seq === 0 && sent.length === 0
  return nothing ? stored : { seq, sent }
}

function onDepart(key: Key, departing: Handover, context: ActivateContext): readonly Effect[] {
  const { tenant, to } = departing
  const state = context.state(key)
  const handover: Handover = { ...departing, sent: state?.sent ?? [] }
  const effects: Effect[] = state ? [put(key, { ...state, sent: [] } satisfies ActivationState)] : []
  for (const part of partsOf(handover)) effects.push(emit('events.identified', 'handover', `${tenant}/${to}`, part))
  return effects
}

/** What separates a destination from what it should hold of a profile in one segment. */
type Difference = {
  readonly segmentId: string
  readonly steps: readonly Step[]
  /** What it was sent so far, under this profile and those that merged into it. */
  readonly previous: readonly Sent[]
  /** What it holds after the steps; null for nothing. */
  readonly payload: Payload | null
}

type Step = {
  readonly op: ActivationOp
  readonly previousProfileId: string | null
  readonly identifiers: readonly SentIdentifier[]
  readonly traits: Activation['traits']
}

function differencesOf(
  destination: DestinationDefinition,
  { profile, memberships }: MembershipUpdate,
  sent: readonly Sent[],
  clockMs: number,
): readonly Difference[] {
  const here = sent.filter(({ destinationId }) => destinationId === destination.id)
  const members = memberships.filter(({ segmentId, member }) => member && destination.segments.includes(segmentId))
  if (here.length === 0 && members.length === 0) return []
  const payload = members.length === 0 ? null : payloadFor(destination, profile.view, clockMs)
  if (here.length === 0 && payload === null) return []
  const differences: Difference[] = []
  for (const segmentId of new Set([...destination.segments, ...here.map(({ segmentId }) => segmentId)])) {
    const desired = members.some((each) => each.segmentId === segmentId) ? payload : null
    const previous = here.filter((each) => each.segmentId === segmentId)
    const steps = desired ? stepsTo(desired, previous, profile.profileId) : removals(previous, profile.profileId)
    if (steps.length > 0) differences.push({ segmentId, steps, previous, payload: desired })
  }
  return differences
}

function stepsTo(
  { identifiers, traits, traitsDigest }: Payload,
  previous: readonly Sent[],
  profileId: string,
): readonly Step[] {
  const step = (op: ActivationOp, previousProfileId: string | null = null): Step => ({
    op,
    previousProfileId,
    identifiers,
    traits,
  })
  const merged = previous.filter((sent) => sent.profileId !== profileId)
  if (merged.length > 0) return merged.map((sent) => step('rekey', sent.profileId))
  const own = previous[0]
  if (!own) return [step('add')]
  const same = own.traitsDigest === traitsDigest && sameIdentifiers(own.identifiers, identifiers)
  return same ? [] : [step('update')]
}

/** With the identifiers that were sent, whatever the profile's are by now. */
function removals(previous: readonly Sent[], profileId: string): readonly Step[] {
  return previous.map((sent) => ({
    op: 'remove',
    previousProfileId: sent.profileId === profileId ? null : sent.profileId,
    identifiers: sent.identifiers,
    traits: {},
  }))
}

function sentOf(
  { id: destinationId }: DestinationDefinition,
  segmentId: string,
  { identifiers, traitsDigest }: Payload,
  profileId: string,
  seq: number,
): Sent {
  return { destinationId, segmentId, profileId, identifiers, traitsDigest, seq }
}

function activationOf(
  destination: DestinationDefinition,
  segmentId: string,
  step: Step,
  update: MembershipUpdate,
  seq: number,
  clockMs: number,
): Activation {
  const { tenant, profileId, cause } = update.profile
  const transition = update.transitions.find((each) => each.segmentId === segmentId)
  return {
    op: step.op,
    tenant,
    destinationId: destination.id,
    segmentId,
    profileId,
    previousProfileId: step.previousProfileId,
    identifiers: step.identifiers,
    traits: step.traits,
    idempotencyKey: uuidV5(`activation|${destination.id}|${segmentId}|${tenant}|${profileId}|${seq}`),
    effectiveAtMs: transition?.effectiveAtMs ?? Math.min(causeTimeMs(cause, clockMs), clockMs),
    reason: transition?.reason ?? reasonOf(destination, segmentId, update),
    collectorTstampMs: cause.kind === 'event' ? cause.collectorTstampMs : null,
  }
}

/** Why a destination changes though the membership did not. */
function reasonOf(
  destination: DestinationDefinition,
  segmentId: string,
  { profile }: MembershipUpdate,
): TransitionReason {
  const { cause, view } = profile
  if (!destination.segments.includes(segmentId)) return 'definition'
  switch (cause.kind) {
    case 'timer':
      return 'timer'
    case 'handover':
      return 'merge'
    case 'adoption':
      return 'backfill'
    case 'event': {
      const decided = destination.purposes.some((purpose) => view.consent(purpose)?.eventId === cause.eventId)
      return decided ? 'consent' : cause.late ? 'late_event' : 'event'
    }
  }
}

function causeTimeMs(cause: Cause, clockMs: number): number {
  switch (cause.kind) {
    case 'event':
      return cause.eventTimeMs
    case 'handover':
      return cause.effectiveAtMs
    case 'timer':
    case 'adoption':
      return clockMs
  }
}
