/** What a tenant's Iglu schemas say of events and entities: which there are, which fields they have, of which type. */

import type { ValuePath } from '../schemas/definitions.ts'
import { derivedEntitySchemas } from '../schemas/derived-entities.ts'
import columns from '../schemas/enriched-event-columns.json' with { type: 'json' }
import { hint, quote } from './problem.ts'

/** The type of a value at a path; `timestamp` is milliseconds since 1970. */
export type FieldType = 'string' | 'number' | 'boolean' | 'timestamp' | 'object'

/** Where a path leads; types null: the schema does not tell. */
export type Place = { readonly path: ValuePath; readonly types: ReadonlySet<FieldType> | null }

/** Why a path leads nowhere. `part` is the part of it, from 0, that is wrong. */
export type Astray = { readonly part: number; readonly found: string; readonly expected: string }

type JsonObject = { readonly [name: string]: unknown }

/** Every event of a match, whatever its name. */
export const anyEvent = '*'

/** Event names that the tracker protocol gives without a schema. */
const standardEvents: readonly string[] = ['event', 'page_ping', 'page_view', 'transaction', 'transaction_item']

const columnTypes: ReadonlyMap<string, FieldType> = new Map(
  columns.flatMap(({ name, type }): [string, FieldType][] => {
    if (type === 'json') return []
    if (type === 'integer' || type === 'number') return [[name, 'number']]
    return [[name, type === 'boolean' || type === 'timestamp' ? type : 'string']]
  }),
)

/** Entities that enrichments add, by name: known without a schema of the workspace. */
const derivedEntities: ReadonlyMap<string, readonly JsonObject[]> = new Map(
  Object.entries(derivedEntitySchemas).map(([key, schema]) => [key.split('/')[1]!, [schema]]),
)

export class Catalogue {
  /** All schemas of a name, whatever their vendor and version. */
  readonly #byName = new Map<string, JsonObject[]>()

  /** Schemas by key `iglu:vendor/name/format/M-R-A`, parsed. */
  constructor(schemas: ReadonlyMap<string, JsonObject>) {
    for (const [key, schema] of schemas) {
      const name = key.split('/')[1]!
      const sameName = this.#byName.get(name)
      if (sameName) sameName.push(schema)
      else this.#byName.set(name, [schema])
    }
  }

  /** What was expected instead of the name of an event, or null when the name is one. */
  astrayEvent(name: string): string | null {
    if (name === anyEvent || standardEvents.includes(name) || this.#byName.has(name)) return null
    return `the name of an event that a schema of the workspace defines${hint(name, [...this.#byName.keys(), ...standardEvents])}`
  }

  /**
   * The place that dotted parts name, in an event of the given name: `column.user_id` or `user_id`, `event.total`,
   * `product.category`. An entity alone is a place too.
   */
  resolve(parts: readonly string[], event: string): Place | Astray {
    const [head, ...rest] = parts as [string, ...string[]]
    if (head === 'column' || (rest.length === 0 && columnTypes.has(head))) return resolveColumn(head, rest)
    if (head === 'event') {
      if (rest.length === 0) return { part: 0, found: quote('event'), expected: 'a field of it, such as event.total' }
      const schemas = event === anyEvent ? [...this.#byName.values()].flat() : (this.#byName.get(event) ?? null)
      if (!schemas && standardEvents.includes(event)) {
        const expected = `a column or an entity: ${quote(event)} has no fields of its own`
        return { part: 0, found: quote(parts.join('.')), expected }
      }
      const owner = event === anyEvent ? 'any event' : `the event ${quote(event)}`
      return this.#resolveField(schemas, owner, { in: 'event', path: rest }, rest)
    }
    const schemas = this.#byName.get(head) ?? derivedEntities.get(head)
    if (!schemas) {
      const near = hint(head, [
        ...this.#byName.keys(),
        ...derivedEntities.keys(),
        ...(rest.length === 0 ? columnTypes.keys() : []),
        'event',
        'column',
      ])
      const expected = `event.<field>, <entity>.<field> of an entity that a schema defines, or column.<name>${near}`
      return { part: 0, found: quote(parts.join('.')), expected }
    }
    return this.#resolveField(schemas, `the entity ${quote(head)}`, { in: 'entity', entity: head, path: rest }, rest)
  }

  #resolveField(
    schemas: readonly JsonObject[] | null,
    owner: string,
    path: ValuePath,
    parts: readonly string[],
  ): Place | Astray {
    if (!schemas) return { path, types: null }
    const types = new Set<FieldType>()
    let astray: Missing | null = null
    let unknown = false
    for (const schema of schemas) {
      const led = follow(schema, parts, 0)
      if (led === null) unknown = true
      else if (led instanceof Set) for (const type of led) types.add(type)
      else if (!astray || led.part > astray.part) astray = led
      else if (led.part === astray.part)
        astray = { part: led.part, fields: [...new Set([...astray.fields, ...led.fields])] }
    }
    if (unknown) return { path, types: null }
    if (types.size > 0 || !astray) return { path, types }
    const name = parts[astray.part]!
    const fields = astray.fields.length > 0 ? ` (${listed(astray.fields)})` : ''
    return {
      part: astray.part + 1,
      found: quote(name),
      expected: `a field of ${owner}${fields}${hint(name, astray.fields)}`,
    }
  }
}

function resolveColumn(head: string, rest: readonly string[]): Place | Astray {
  const name = head === 'column' ? rest[0] : head
  const type = name === undefined ? undefined : columnTypes.get(name)
  if (name === undefined || type === undefined || rest.length > 1) {
    const found = quote([head, ...rest].join('.'))
    return {
      part: 0,
      found,
      expected: `a column of the event${hint(name ?? '', columnTypes.keys())}`,
    }
  }
  return { path: { in: 'column', name }, types: new Set([type]) }
}

type Missing = { readonly part: number; readonly fields: readonly string[] }

/** The types at the end of the path; null when the schema leaves them open; what is missing when it rules the path out. */
function follow(schema: unknown, parts: readonly string[], depth: number): Set<FieldType> | null | Missing {
  if (!isObject(schema)) return null
  if (['$ref', 'oneOf', 'anyOf', 'allOf', 'not'].some((keyword) => Object.hasOwn(schema, keyword))) return null
  const types = typesOf(schema)
  if (!types) return null
  const found = new Set<FieldType>()
  let missing: Missing | null = null
  if (types.includes('array')) {
    const items = follow(own(schema, 'items'), parts, depth)
    if (items === null) return null
    if (items instanceof Set) for (const type of items) found.add(type)
    else missing = items
  }
  if (depth === parts.length) {
    for (const type of types) {
      if (type === 'string' || type === 'boolean' || type === 'object') found.add(type)
      if (type === 'number' || type === 'integer') found.add('number')
    }
    return found
  }
  if (types.includes('object')) {
    const properties = own(schema, 'properties')
    const names = isObject(properties) ? Object.keys(properties) : []
    if (isObject(properties) && names.includes(parts[depth]!)) {
      const field = follow(properties[parts[depth]!], parts, depth + 1)
      if (field === null) return null
      if (field instanceof Set) for (const type of field) found.add(type)
      else missing = field
    } else if (own(schema, 'additionalProperties') !== false || Object.hasOwn(schema, 'patternProperties')) return null
    else missing = { part: depth, fields: names }
  }
  if (found.size > 0) return found
  return missing ?? { part: depth, fields: [] }
}

function typesOf(schema: JsonObject): readonly string[] | null {
  const type = own(schema, 'type')
  if (typeof type === 'string') return [type]
  if (Array.isArray(type) && type.every((each) => typeof each === 'string')) return type
  return isObject(own(schema, 'properties')) ? ['object'] : null
}

function own(schema: JsonObject, name: string): unknown {
  return Object.hasOwn(schema, name) ? schema[name] : undefined
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listed(names: readonly string[]): string {
  const shown = [...names].sort().slice(0, 12)
  return shown.join(', ') + (names.length > shown.length ? ', …' : '')
}
