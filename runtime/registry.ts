/** The schema registry that lives in the log itself: every schema a value was ever written under, by id. */
import type avsc from 'avsc'
import { schemaTypes } from '../schemas/avro/index.ts'
import type { SchemaName } from '../schemas/avro/types.ts'
import type { SchemaIds } from './codec.ts'
import { invariant, MillraceError } from './errors.ts'
import type { Log, TopicSpec } from './log.ts'
import type { AddressedRecord } from './record.ts'
import { schemaDifference } from './schema-difference.ts'

/** One partition; key `<SchemaName>/<id>`, value the JSON of a `RegisteredSchema`, kind `schema`. */
export const schemasTopic: TopicSpec = { name: '_schemas', partitions: 1, cleanup: 'compact', retentionMs: null }

type RegisteredSchema = {
  readonly id: number
  readonly name: SchemaName
  /** Self-contained: every named type it refers to is written out. */
  readonly schema: avsc.Schema
}

export class LocalRegistry implements SchemaIds {
  readonly #byId: ReadonlyMap<number, RegisteredSchema>
  readonly #present: ReadonlyMap<string, number>

  private constructor(byId: ReadonlyMap<number, RegisteredSchema>, present: ReadonlyMap<string, number>) {
    this.#byId = byId
    this.#present = present
  }

  /**
   * Reads what is registered, and registers the present schemas that are new or changed, in their order, with ids that
   * rise from 1. SCHEMA_INCOMPATIBLE, before anything is written, when a present schema cannot read what any earlier
   * one of its name wrote. `schemas` are the present ones, by name.
   */
  static async open(log: Log, schemas: ReadonlyMap<string, avsc.Type> = schemaTypes): Promise<LocalRegistry> {
    await log.createTopics([schemasTopic])
    const byId = new Map((await readAll(log)).map((registered) => [registered.id, registered]))
    let lastId = Math.max(0, ...byId.keys())

    const present = new Map<string, number>()
    const added: RegisteredSchema[] = []
    for (const [name, type] of schemas) {
      const earlier = [...byId.values()].filter((registered) => registered.name === name)
      const schema = selfContained(type)
      const same = earlier.findLast((registered) => JSON.stringify(registered.schema) === JSON.stringify(schema))
      for (const registered of earlier) if (registered !== same) requireReadable(type, registered)
      if (!same) added.push({ id: ++lastId, name: name as SchemaName, schema })
      present.set(name, same?.id ?? lastId)
    }

    await log.append(added.map(toRecord))
    for (const registered of added) byId.set(registered.id, registered)
    return new LocalRegistry(byId, present)
  }

  idOf(name: SchemaName): number {
    const id = this.#present.get(name)
    invariant(id !== undefined, `the schema ${name} was registered when the registry was opened`)
    return id
  }

  schemaOf(id: number): RegisteredSchema | undefined {
    return this.#byId.get(id)
  }
}

/** The schema with every named type it refers to written out. */
export function selfContained(type: avsc.Type): avsc.Schema {
  return type.schema({ exportAttrs: true })
}

function requireReadable(reader: avsc.Type, { id, name, schema }: RegisteredSchema): void {
  const difference = schemaDifference(selfContained(reader), schema)
  if (difference === null) return
  throw new MillraceError(
    'SCHEMA_INCOMPATIBLE',
    `the schema ${name} cannot read what was written under it before (id ${id}): ${difference}`,
  )
}

async function readAll(log: Log): Promise<RegisteredSchema[]> {
  const { name: topic } = schemasTopic
  const { start, stable } = await log.ends(topic, 0)
  const all: RegisteredSchema[] = []
  for (let offset = start; offset < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, 0, offset, { maxRecords: 1000, maxBytes: 8 * 1024 * 1024 })
    for (const { value, offset: at } of records) {
      try {
        all.push(JSON.parse(String(value)))
      } catch (cause) {
        throw new MillraceError('DATA_FOREIGN', 'the topic _schemas holds something that is not a schema', {
          cause,
          place: { topic, partition: 0, offset: at },
        })
      }
    }
    offset = nextOffset
  }
  return all
}

/** Log time is the broker's: it matters to nobody. */
function toRecord(registered: RegisteredSchema): AddressedRecord {
  return {
    topic: schemasTopic.name,
    partition: 0,
    kind: 'schema',
    key: `${registered.name}/${registered.id}`,
    value: Buffer.from(JSON.stringify(registered)),
    timestampMs: Number.NaN,
  }
}
