/** Reading an `Event` for rules: where a value stands, which entities it carries, when it happened. */
import { invariant } from '../../runtime/errors.ts'
import type { Event, SelfDescribing } from '../../schemas/avro/types.ts'
import type { Literal, ValuePath } from '../../schemas/definitions.ts'

/** How far an event's own clock may run ahead of the collector's before the collector's is taken instead. */
export const aheadMsMax = 5 * 60_000

/** What a path may lead to: a scalar, or an object, which no comparison takes. Null, absence and lists are not leaves. */
export type Leaf = Literal | object

/**
 * One event, its self-describing parts parsed when first asked for, each at most once. Make one reader for an event and
 * share it among the rules. Lists are looked into: a path through a list leads to all of its items, so that
 * `product.sizes` gives each size and `event.items.sku` the sku of each item. Only own properties are followed, so
 * `__proto__` and its like are ordinary names. Throws only on JSON that VALIDATE could not have written.
 */
export class EventReader {
  readonly event: Event
  /** `event_name`; null when the event has none. */
  readonly name: string | null
  readonly timeMs: number
  #data: unknown
  #dataParsed = false
  #entities: readonly Entity[] | null = null

  constructor(event: Event) {
    this.event = event
    this.name = event.event_name
    this.timeMs = eventTimeMs(event)
  }

  /** The first scalar at the path, in the order of the event; undefined when there is none. Decimal columns are text. */
  value(path: ValuePath): Literal | undefined {
    let found: Literal | undefined
    this.some(path, (leaf) => {
      if (typeof leaf === 'object') return false
      found = leaf
      return true
    })
    return found
  }

  /** Every scalar at the path, in the order of the event. */
  values(path: ValuePath): readonly Literal[] {
    const found: Literal[] = []
    this.some(path, (leaf) => {
      if (typeof leaf !== 'object') found.push(leaf)
      return false
    })
    return found
  }

  /** Whether the test holds for any leaf at the path; stops at the first. */
  some(path: ValuePath, test: (leaf: Leaf) => boolean): boolean {
    switch (path.in) {
      case 'column': {
        const value = (this.event as unknown as Readonly<Record<string, unknown>>)[path.name]
        return isScalar(value) && test(value)
      }
      case 'event':
        return someLeaf(this.#eventData(), path.path, 0, test)
      case 'entity': {
        this.#entities ??= entitiesOf(this.event)
        for (const entity of this.#entities) {
          if (entity.name === path.entity && someLeaf(entity.data(), path.path, 0, test)) return true
        }
        return false
      }
    }
  }

  #eventData(): unknown {
    if (!this.#dataParsed) {
      this.#data = this.event.unstruct_event ? parse(this.event.unstruct_event) : undefined
      this.#dataParsed = true
    }
    return this.#data
  }
}

/** When the event happened, on its own corrected clock; the collector's where that is missing or too far ahead. */
export function eventTimeMs(event: Event): number {
  const { derived_tstamp: derivedMs, collector_tstamp: collectorMs } = event
  return derivedMs === null || derivedMs > collectorMs + aheadMsMax ? collectorMs : derivedMs
}

/** The name in `iglu:vendor/name/format/version`; empty when it is no such key. */
export function schemaNameOf(schemaKey: string): string {
  const start = schemaKey.indexOf('/') + 1
  const end = schemaKey.indexOf('/', start)
  return start > 0 && end > 0 ? schemaKey.slice(start, end) : ''
}

class Entity {
  readonly name: string
  readonly #source: SelfDescribing
  #data: unknown
  #parsed = false

  constructor(source: SelfDescribing) {
    this.name = schemaNameOf(source.schema)
    this.#source = source
  }

  data(): unknown {
    if (!this.#parsed) {
      this.#data = parse(this.#source)
      this.#parsed = true
    }
    return this.#data
  }
}

function entitiesOf(event: Event): readonly Entity[] {
  const entities: Entity[] = []
  for (const context of event.contexts) entities.push(new Entity(context))
  for (const context of event.derived_contexts) entities.push(new Entity(context))
  return entities
}

function someLeaf(value: unknown, path: readonly string[], depth: number, test: (leaf: Leaf) => boolean): boolean {
  if (isScalar(value)) return depth === path.length && test(value)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) {
    for (const item of value) if (someLeaf(item, path, depth, test)) return true
    return false
  }
  if (depth === path.length) return test(value)
  const name = path[depth]!
  return Object.hasOwn(value, name) && someLeaf((value as Record<string, unknown>)[name], path, depth + 1, test)
}

/** Also what keeps a column named `constructor` from reading the prototype: that is no scalar. */
function isScalar(value: unknown): value is Literal {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function parse({ schema, data }: SelfDescribing): unknown {
  try {
    return JSON.parse(data)
  } catch {
    invariant(false, `self-describing data of a validated event is JSON (${schema})`)
  }
}
