/** An event as one JSON object: its fields are atomic columns, in their published names and types or as text. */
import type { Event } from '../../schemas/avro/types.ts'
import { columns, setFromJson } from './columns.ts'
import type { Draft } from './draft.ts'
import { selfDescribing } from './envelope.ts'
import type { Findings } from './failure.ts'
import { type Checked, type Checker, checkContexts, checkUnstruct } from './self-describing.ts'
import { eventNames, notAnEvent, notAPlatform, platforms } from './vocabulary.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Left out of the fingerprint: what changes when the same event is sent, or exported, again. */
export const unfingerprinted: ReadonlySet<string> = new Set([
  'event_id',
  'network_userid',
  'dvce_sent_tstamp',
  'collector_tstamp',
  'etl_tstamp',
  'v_collector',
  'v_etl',
])

/** Reads the fields into the draft. Answers the self-describing event, if there is one; an event that has one need not say its type. */
export function readFields(draft: Draft, fields: Fields, checker: Checker, findings: Findings): Checked | null {
  let unstruct: Checked | null = null
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (value === null || value === '') continue
    const column = columns.get(name)
    if (column) setFromJson(draft, column, value instanceof Number ? Number(value) : value, findings)
    else if (name === 'contexts') draft.contexts = checkContexts(value, checker, findings)
    else if (name === 'derived_contexts') draft.derived_contexts = checkContexts(value, checker, findings, name)
    else if (name === 'unstruct_event') unstruct = checkUnstruct(value, checker, findings)
    else findings.unknown(name)
  }
  if (draft.event === null && unstruct) draft.event = 'unstruct'
  if (draft.event !== null && !eventNames.has(draft.event)) findings.unreadable('event', notAnEvent)
  if (draft.platform !== null && !platforms.has(draft.platform)) findings.unreadable('platform', notAPlatform)
  return unstruct
}

/** The event as such an object, in one line: `readFields` reads the same event from it. Decimals are texts, so that no reader rounds them. */
export function ndjsonOf(event: Event): string {
  const members: string[] = []
  for (const { name, type } of columns.values()) {
    const value = event[name]
    if (value === null) continue
    members.push(
      `"${name}":${type === 'timestamp' ? `"${new Date(value as number).toISOString()}"` : JSON.stringify(value)}`,
    )
  }
  const { contexts, derived_contexts, unstruct_event } = event
  if (contexts.length > 0) members.push(`"contexts":[${contexts.map(selfDescribing).join(',')}]`)
  if (derived_contexts.length > 0)
    members.push(`"derived_contexts":[${derived_contexts.map(selfDescribing).join(',')}]`)
  if (unstruct_event) members.push(`"unstruct_event":${selfDescribing(unstruct_event)}`)
  return `{${members.join(',')}}`
}
