/**
 * IDENTIFY: which profile an event belongs to, as far as its client has learned. What is known goes straight on; all
 * else goes through GRAPH, which decides and teaches the client.
 *
 *   event ─► duplicate? ─► sitting ─► known? ──────────────► events.identified
 *                                      │ own new key only ─► events.identified, and a notice
 *                                      └ no, or a request is unanswered ─► identity.requests
 *
 * In: `event` from VALIDATE, `learned` from GRAPH (answers) and PROFILE (corrections), timers that forget old event ids.
 * Key: tenant/client. While a request of the client is unanswered its later events follow it into GRAPH, so that they
 * stay in order. Every event is either accepted (counted, and emitted exactly once) or a duplicate (counted).
 */
import { invariant } from '../../runtime/errors.ts'
import {
  type Context,
  count,
  type DueTimer,
  type Effect,
  emit,
  type Inbound,
  type Key,
  type Operator,
  put,
  remove,
  schedule,
  tenantOf,
} from '../../runtime/operator.ts'
import type {
  ClientState,
  DecidedSet,
  Event,
  IdentifiedEvent,
  IdentifyState,
  IdentityRequest,
  Learned,
  Sitting,
} from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { EventReader } from '../event/event.ts'
import { fragmentOf, profileIdOf } from '../ids.ts'
import { answerFor, learn, revoked, used } from './decided.ts'
import { type Admission, admit, idsToRead, rememberedMs, seenKey } from './duplicates.ts'
import { type Identifiers, identifiersOf } from './identifiers.ts'
import { sit, soleUser } from './sittings.ts'

export type IdentifyRecord = Inbound<'event', Event> | Inbound<'learned', Learned> | DueTimer

/** Key of the requests to GRAPH: a tenant has one shard. */
export const shardOf = (tenant: string): string => `${tenant}/s0`

const expireTimer = 'expire'

export const identify: Operator<IdentifyRecord, IdentifyState, Definitions> = {
  name: 'identify',
  state: 'IdentifyState',

  needs({ kind, key, value }, known) {
    if (kind !== 'event') return []
    const client = known.state(key)?.client
    return client ? idsToRead(value, client).map((eventId) => seenKey(key, eventId)) : []
  },

  process(record, context) {
    switch (record.kind) {
      case 'event':
        return processEvent(record.key, record.value, context)
      case 'learned':
        return processLearned(record.key, record.value, context)
      case 'timer':
        return forget(record.key, context)
    }
  },
}

type IdentifyContext = Context<IdentifyState, Definitions>

const newClient: ClientState = {
  requestSeq: 0,
  answeredSeq: 0,
  decided: [],
  sittings: [],
  recent: [],
  spilledUntilMs: 0,
  conflictUntilMs: 0,
}

function processEvent(key: Key, received: Event, context: IdentifyContext): readonly Effect[] {
  const { definitions } = context
  invariant(definitions, 'events of a tenant come after its definitions')
  const client = context.state(key)?.client ?? newClient
  const admission = admit(received, client, context.clockMs, (eventId) => context.state(seenKey(key, eventId))?.seen)
  if (!admission) return [count('duplicates')]

  const { event } = admission
  const reader = new EventReader(event)
  const identifiers = identifiersOf(reader, clientOf(key), definitions)
  const sittings = sit(client.sittings, { eventId: event.event_id, timeMs: reader.timeMs, user: identifiers.user })
  const sitting = sittings.at(-1)!
  const before = client.sittings.find(({ id }) => id === sitting.id)
  const contested = before !== undefined && soleUser(before) !== null && soleUser(sitting) === null
  const decided = contested ? revoked(client.decided, sitting) : client.decided

  const step = route({ key, event, identifiers, sitting, definitions, client, decided })
  const next: ClientState = {
    requestSeq: step.requestSeq,
    answeredSeq: client.answeredSeq,
    decided: step.decided,
    sittings,
    recent: admission.recent,
    spilledUntilMs: admission.spilledUntilMs,
    conflictUntilMs: admission.conflictUntilMs,
  }
  const effects = [putClient(key, next, context), ...spill(key, admission, context), ...step.emissions, accepted]
  if (identifiers.blocked > 0) effects.push(count('identifiers.blocked', identifiers.blocked))
  if (identifiers.conflicting > 0) effects.push(count('identifiers.conflicting', identifiers.conflicting))
  return effects
}

const accepted = count('accepted')

// --- where an event goes ---

type Arrival = {
  readonly key: Key
  readonly event: Event
  readonly identifiers: Identifiers
  readonly sitting: Sitting
  readonly definitions: Definitions
  readonly client: ClientState
  /** What of the client's decisions still holds. */
  readonly decided: ClientState['decided']
}

type Step = Pick<ClientState, 'decided' | 'requestSeq'> & { readonly emissions: readonly Effect[] }

function route(arrival: Arrival): Step {
  const { client, decided, identifiers, sitting } = arrival
  const { requestSeq } = client
  const unanswered = requestSeq > client.answeredSeq
  const answer = unanswered ? undefined : answerFor(decided, identifiers, sitting)
  if (answer) {
    return { decided: used(decided, answer), requestSeq, emissions: [identified(arrival, answer)] }
  }
  if (isOwnNewKey(arrival)) {
    const founded = found(arrival)
    return {
      decided: [founded],
      requestSeq,
      emissions: [identified(arrival, founded), requested(arrival, 'notice', requestSeq)],
    }
  }
  return {
    decided,
    requestSeq: requestSeq + 1,
    emissions: [requested(arrival, 'resolve', requestSeq + 1)],
  }
}

/** Nobody else can know a client's own new key, unless they have it from the client; GRAPH is told, and mends that case. */
function isOwnNewKey({ key, client, decided, identifiers }: Arrival): boolean {
  return (
    client.requestSeq === 0 &&
    decided.length === 0 &&
    identifiers.all.length === 1 &&
    identifiers.bestClass !== 'person' &&
    !identifiers.unique &&
    identifiers.all[0]!.value === clientOf(key)
  )
}

function found({ identifiers, definitions }: Arrival): DecidedSet {
  const { namespace, hash } = identifiers.all[0]!
  const profileId = profileIdOf(definitions, namespace, hash)
  return { setKey: identifiers.setKey, sittingId: null, profileId, identitySeq: 0 }
}

function identified({ key, event, identifiers, sitting }: Arrival, answer: DecidedSet): Effect {
  const tenant = tenantOf(key)
  const { profileId, identitySeq } = answer
  const personal = identifiers.bestClass === 'person' && answer.sittingId === null
  const value: IdentifiedEvent = {
    tenant,
    profileId,
    fragment: fragmentOf(identifiers.all[0]!, personal ? null : sitting.id),
    client: clientOf(key),
    sittingId: sitting.id,
    identitySeq,
    hops: 0,
    identifiers: identifiers.all,
    event,
  }
  return emit('events.identified', 'event', `${tenant}/${profileId}`, value)
}

function requested(
  { key, event, identifiers, sitting }: Arrival,
  kind: IdentityRequest['kind'],
  requestSeq: number,
): Effect {
  const tenant = tenantOf(key)
  const value: IdentityRequest = {
    tenant,
    kind,
    client: clientOf(key),
    requestSeq: kind === 'notice' ? 0 : requestSeq,
    setKey: identifiers.setKey,
    sittingId: sitting.id,
    sittingUser: soleUser(sitting),
    identifiers: identifiers.all,
    foundedAtMs: Math.min(event.derived_tstamp ?? event.collector_tstamp, event.collector_tstamp),
    eventId: event.event_id,
    collectorTstampMs: event.collector_tstamp,
    event: kind === 'notice' ? null : event,
  }
  return emit('identity.requests', 'request', shardOf(tenant), value)
}

// --- what is learned, and forgotten ---

/** Answers come in the order of the requests. A client without state has nothing to correct. */
function processLearned(key: Key, learned: Learned, context: IdentifyContext): readonly Effect[] {
  const client = context.state(key)?.client
  if (!client) return []
  const answeredSeq = Math.max(client.answeredSeq, learned.requestSeq)
  const decided = learn(client.decided, learned, learned.requestSeq >= client.requestSeq)
  return [putClient(key, { ...client, answeredSeq, decided }, context)]
}

/** The event id in this key was remembered for long enough. */
function forget(key: Key, context: IdentifyContext): readonly Effect[] {
  const state = context.state(key)
  if (!state?.seen) return []
  return [state.client ? put(key, { ...state, seen: null }) : remove(key)]
}

/** Client keys are free text: one may be spelt as another's key with an event id, and then they share a row. */
function putClient(key: Key, client: ClientState, context: IdentifyContext): Effect {
  const state: IdentifyState = { client, seen: context.state(key)?.seen ?? null }
  return put(key, state)
}

function spill(key: Key, { spilled }: Admission, context: IdentifyContext): readonly Effect[] {
  return spilled.flatMap(({ eventId, fingerprint, atMs }) => {
    const row = seenKey(key, eventId)
    const state: IdentifyState = { client: context.state(row)?.client ?? null, seen: { fingerprint, atMs } }
    return [put(row, state), schedule(row, expireTimer, atMs + rememberedMs)]
  })
}

const clientOf = (key: Key): string => key.slice(tenantOf(key).length + 1)
