/** The words an event may use for what it is and where it came from. */
import { type SchemaKey, schemaKeyOf } from './schema-key.ts'

/** By the tracker's abbreviation. */
export const eventTypes: ReadonlyMap<string, string> = new Map([
  ['pv', 'page_view'],
  ['pp', 'page_ping'],
  ['ue', 'unstruct'],
  ['se', 'struct'],
  ['ev', 'struct'],
  ['tr', 'transaction'],
  ['ti', 'transaction_item'],
  ['ad', 'ad_impression'],
])

export const eventNames: ReadonlySet<string> = new Set(eventTypes.values())

export const platforms: ReadonlySet<string> = new Set([
  'web',
  'mob',
  'pc',
  'srv',
  'app',
  'tv',
  'cnsl',
  'iot',
  'headset',
])

export const notAnEvent = 'Not a valid event type'
export const notAPlatform = 'Not a valid platform'

/** The schema that stands for an event which has none of its own; undefined for a type of event without one. */
export function schemaKeyOfEvent(event: string | null): SchemaKey | undefined {
  return event === null ? undefined : eventKeys.get(event)
}

const eventKeys: ReadonlyMap<string, SchemaKey> = new Map(
  [
    ['page_view', 'com.snowplowanalytics.snowplow/page_view'],
    ['page_ping', 'com.snowplowanalytics.snowplow/page_ping'],
    ['transaction', 'com.snowplowanalytics.snowplow/transaction'],
    ['transaction_item', 'com.snowplowanalytics.snowplow/transaction_item'],
    ['struct', 'com.google.analytics/event'],
  ].map(([event, name]) => [event!, schemaKeyOf(`iglu:${name}/jsonschema/1-0-0`)!]),
)
