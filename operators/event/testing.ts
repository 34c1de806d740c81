/** Events for tests of rules: only what a rule reads needs saying. */

import type { Event, SelfDescribing } from '../../schemas/avro/types.ts'
import columns from '../../schemas/enriched-event-columns.json' with { type: 'json' }

export type EventParts = Partial<Omit<Event, 'unstruct_event' | 'contexts' | 'derived_contexts'>> & {
  /** Data of the self-describing event. */
  readonly data?: unknown
  /** Entities as [schema name, data]. */
  readonly entities?: readonly (readonly [name: string, data: unknown])[]
}

/** An event with every other column null, at collector time 0. */
export function eventOf({ data, entities = [], ...parts }: EventParts = {}): Event {
  const empty = Object.fromEntries(columns.map(({ name }) => [name, null]))
  return {
    ...empty,
    tenant: 'shop',
    event_id: '00000000-0000-4000-8000-000000000000',
    collector_tstamp: 0,
    v_collector: 'test',
    v_etl: 'test',
    source: 'test',
    payload_id: 'test',
    payload_index: 0,
    encrypted: [],
    derived_contexts: [],
    ...parts,
    unstruct_event: data === undefined ? null : selfDescribing(parts.event_name ?? 'event', data),
    contexts: entities.map(([name, entity]) => selfDescribing(name, entity)),
  } as unknown as Event
}

function selfDescribing(name: string, data: unknown): SelfDescribing {
  return { schema: `iglu:com.example.shop/${name}/jsonschema/1-0-0`, data: JSON.stringify(data) }
}
