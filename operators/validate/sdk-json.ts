/**
 * An event as the JSON of Snowplow's Analytics SDKs: flat, with a member for each schema of its entities. Columns without
 * a value are left out, as in the SDKs of JavaScript and Go. Other than there, entities of one name that come from the
 * tracker and from enrichments stand side by side, and decimals are numbers with all their digits.
 */
import type { Event, SelfDescribing } from '../../schemas/avro/types.ts'
import { columns } from './columns.ts'
import { schemaKeyOf } from './schema-key.ts'
import { float32Text } from './tsv.ts'

/** One JSON text, without a line break. */
export function sdkJsonOf(event: Event): string {
  const members: string[] = []
  for (const { name, type } of columns.values()) {
    const value = event[name]
    if (value === null) continue
    if (type === 'timestamp') members.push(`"${name}":"${new Date(value as number).toISOString()}"`)
    else if (type === 'decimal') members.push(`"${name}":${value}`)
    else if (type === 'float') members.push(`"${name}":${float32Text(value as number)}`)
    else members.push(`"${name}":${JSON.stringify(value)}`)
  }
  const { geo_latitude, geo_longitude, unstruct_event } = event
  if (geo_latitude !== null && geo_longitude !== null) {
    members.push(`"geo_location":"${float32Text(geo_latitude)},${float32Text(geo_longitude)}"`)
  }
  const entities = new Map<string, string[]>()
  for (const entity of [...event.contexts, ...event.derived_contexts]) {
    const name = memberName('contexts', entity)
    const data = entities.get(name)
    if (data) data.push(entity.data)
    else entities.set(name, [entity.data])
  }
  for (const [name, data] of entities) members.push(`${JSON.stringify(name)}:[${data.join(',')}]`)
  if (unstruct_event)
    members.push(`${JSON.stringify(memberName('unstruct_event', unstruct_event))}:${unstruct_event.data}`)
  return `{${members.join(',')}}`
}

/** `contexts_org_w3_performance_timing_1` for `iglu:org.w3/PerformanceTiming/jsonschema/1-0-0`. */
export function memberName(prefix: 'contexts' | 'unstruct_event', { schema }: Pick<SelfDescribing, 'schema'>): string {
  const key = schemaKeyOf(schema)
  // what was checked against a schema has a key
  if (!key) return `${prefix}_${schema}`
  const vendor = key.vendor.replace(/[.-]/g, '_').toLowerCase()
  const name = key.name
    .replace(/[.-]/g, '_')
    .replace(/([^A-Z_])([A-Z])/g, '$1_$2')
    .toLowerCase()
  return `${prefix}_${vendor}_${name}_${key.version.split('-', 1)[0]}`
}
