/**
 * Absorbing duplicates. An event is a duplicate when its client has sent the same event id with the same fingerprint
 * within the last 7 days of log time. The same id with another fingerprint is another event: it is accepted under an id
 * derived from both, and says so in a `duplicate` context, as Snowplow does.
 *
 * The newest accepted ids stand in the client's state; older ones have rows of their own, which a timer removes.
 */
import type { Key } from '../../runtime/operator.ts'
import type { ClientState, Event, SeenEvent, SeenEventState } from '../../schemas/avro/types.ts'
import { uuidV5 } from '../ids.ts'

export const rememberedMs = 7 * 24 * 3600 * 1000
export const recentMax = 24

const duplicateSchema = 'iglu:com.snowplowanalytics.snowplow/duplicate/jsonschema/1-0-0'

/** An accepted event and what is remembered of it; `spilled` leaves the client's state for rows of their own. */
export type Admission = {
  readonly event: Event
  readonly recent: readonly SeenEvent[]
  readonly spilled: readonly SeenEvent[]
  readonly spilledUntilMs: number
  readonly conflictUntilMs: number
}

export type SeenRows = (eventId: string) => SeenEventState | null | undefined

/** Where a busy client's accepted event id is kept. */
export const seenKey = (clientKey: Key, eventId: string): Key => `${clientKey}#${eventId}`

/** The event ids whose rows `admit` may read or write; the clock is not known yet, so these may be more than it will. */
export function idsToRead(event: Event, client: ClientState): readonly string[] {
  const ids = client.spilledUntilMs > 0 ? [event.event_id, derivedId(event)] : []
  const leaving = client.recent.length + admittedMax - recentMax
  for (let i = 0; i < leaving; i++) ids.push(client.recent[i]!.eventId)
  return ids
}

/** Null for a duplicate. */
export function admit(event: Event, client: ClientState, clockMs: number, rows: SeenRows): Admission | null {
  const sinceMs = clockMs - rememberedMs
  const fingerprint = fingerprintOf(event)
  const recent = client.recent.filter(({ atMs }) => atMs > sinceMs)
  const spilling = client.spilledUntilMs > clockMs
  const seen = (eventId: string): string | undefined => {
    const inline = recent.find((each) => each.eventId === eventId)
    if (inline) return inline.fingerprint
    const row = spilling ? rows(eventId) : null
    return row && row.atMs > sinceMs ? row.fingerprint : undefined
  }

  const before = seen(event.event_id)
  if (before === fingerprint) return null
  const conflict = before !== undefined
  // Once the first event of an id is forgotten, those accepted under derived ids may still be remembered.
  if ((conflict || client.conflictUntilMs > clockMs) && seen(derivedId(event)) !== undefined) return null

  const accepted = conflict ? renamed(event) : event
  recent.push({ eventId: accepted.event_id, fingerprint, atMs: clockMs })
  const spilled = recent.splice(0, Math.max(0, recent.length - recentMax))
  const last = spilled.at(-1)
  return {
    event: accepted,
    recent,
    spilled,
    spilledUntilMs: last ? last.atMs + rememberedMs : spilling ? client.spilledUntilMs : 0,
    conflictUntilMs: conflict ? clockMs + rememberedMs : client.conflictUntilMs > clockMs ? client.conflictUntilMs : 0,
  }
}

/** An event adds one id to what is remembered. */
const admittedMax = 1

function fingerprintOf(event: Event): string {
  return event.event_fingerprint ?? ''
}

function derivedId(event: Event): string {
  return uuidV5(`event|${event.event_id}|${fingerprintOf(event)}`)
}

function renamed(event: Event): Event {
  const context = { schema: duplicateSchema, data: JSON.stringify({ originalEventId: event.event_id }) }
  return { ...event, event_id: derivedId(event), derived_contexts: [...event.derived_contexts, context] }
}
