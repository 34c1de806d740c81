/** Avro in Confluent framing (a zero byte, the schema id as int32, the value) for topics and stores alike. */
import avsc from 'avsc'
import { schemaNames, schemaType } from '../schemas/avro/index.ts'
import type { SchemaName, Schemas } from '../schemas/avro/types.ts'
import { InvariantError, MillraceError } from './errors.ts'
import { recordBytesMax } from './record.ts'

/** What a codec needs of a schema registry: ids for writing, writer schemas for reading. */
export type SchemaIds = {
  /** The id under which the present schema of that name is registered. */
  idOf(name: SchemaName): number
  /**
   * The name and Avro schema registered under an id; undefined when there is none. A registry elsewhere throws
   * SCHEMA_MISSING when it has to fetch it first, and has begun to.
   */
  schemaOf(id: number): { readonly name: SchemaName; readonly schema: avsc.Schema } | undefined
  /** Resolves when nothing is being fetched any more, be it found or not. */
  fetched?(): Promise<void>
}

const headerBytes = 5
/** A dead letter holds a whole record beside its cause. */
const letterBytesMax = 2 * recordBytesMax

/** Encodes and decodes by schema name; a value written under an older schema is read as the present one. */
export class Codec {
  readonly #ids: SchemaIds
  readonly #encoders = new Map<SchemaName, { readonly id: number; readonly type: avsc.Type }>()
  readonly #decoders = new Map<number, { readonly name: SchemaName; readonly read: (bytes: Buffer) => unknown }>()
  readonly #slab = Buffer.allocUnsafeSlow(letterBytesMax)

  constructor(ids: SchemaIds) {
    this.#ids = ids
  }

  /** RECORD_TOO_LARGE above 256 KiB; SCHEMA_INVALID when the value does not fit the schema. */
  encode<Name extends SchemaName>(name: Name, value: Schemas[Name]): Buffer {
    let encoder = this.#encoders.get(name)
    if (!encoder) {
      encoder = { id: this.#ids.idOf(name), type: schemaType(name) }
      this.#encoders.set(name, encoder)
    }
    const slab = this.#slab
    let end: number
    try {
      end = encoder.type.encode(value, slab, headerBytes)
    } catch (cause) {
      throw new MillraceError('SCHEMA_INVALID', `a value does not satisfy ${name}: ${(cause as Error).message}`, {
        cause,
      })
    }
    const bytesMax = name === 'DeadLetter' ? letterBytesMax : recordBytesMax
    if (end < 0 || end > bytesMax) {
      const bytes = end < 0 ? slab.length - end : end
      throw new MillraceError('RECORD_TOO_LARGE', `a ${name} of ${bytes} bytes exceeds ${bytesMax}`)
    }
    slab[0] = 0
    slab.writeInt32BE(encoder.id, 1)
    return Buffer.from(slab.subarray(0, end))
  }

  /**
   * The value, under the present schema of its name. SCHEMA_UNKNOWN when the id is not registered, SCHEMA_MISSING when
   * its schema is still being fetched, REGISTRY_UNAVAILABLE when it cannot be, SCHEMA_INCOMPATIBLE when it cannot be read.
   */
  decode<Name extends SchemaName>(name: Name, bytes: Buffer): Schemas[Name] {
    const decoder = this.#decoderOf(bytes)
    if (decoder.name !== name)
      throw new InvariantError(`broken invariant: a ${decoder.name} stands where a ${name} should`)
    return decoder.read(bytes) as Schemas[Name]
  }

  /** The name of the schema a framed value was written under. */
  nameOf(bytes: Buffer): SchemaName {
    return this.#decoderOf(bytes).name
  }

  /** Resolves when the schemas whose absence ended a decode in SCHEMA_MISSING have been looked for: then decode again. */
  async fetched(): Promise<void> {
    await this.#ids.fetched?.()
  }

  #decoderOf(bytes: Buffer): { readonly name: SchemaName; readonly read: (bytes: Buffer) => unknown } {
    if (bytes.length < headerBytes || bytes[0] !== 0) {
      throw new MillraceError(
        'SCHEMA_UNKNOWN',
        'a value is not in Confluent framing: it does not start with a zero byte and a schema id',
      )
    }
    const id = bytes.readInt32BE(1)
    const known = this.#decoders.get(id)
    if (known) return known
    const registered = this.#ids.schemaOf(id)
    if (!registered) throw new MillraceError('SCHEMA_UNKNOWN', `schema id ${id} is not in the registry`)
    const reader = schemaType(registered.name)
    const writer = avsc.Type.forSchema(registered.schema, { wrapUnions: false })
    const same = writer.fingerprint().equals(reader.fingerprint())
    const resolver = same ? undefined : reader.createResolver(writer)
    const decoder = {
      name: registered.name,
      read: (framed: Buffer): unknown => {
        // decode() from an offset avoids a copy; it answers the offset it stopped at
        const { value, offset } = (reader as AvroType).decode(framed, headerBytes, resolver)
        if (offset !== framed.length)
          throw new MillraceError('SCHEMA_INVALID', `a ${registered.name} ends early or late`)
        return value
      },
    }
    this.#decoders.set(id, decoder)
    return decoder
  }
}

type AvroType = { decode(bytes: Buffer, position: number, resolver?: unknown): { value: unknown; offset: number } }

/** Ids by the place of a schema in the list, with no registry behind them: for tests and the simulator. */
export function fixedSchemaIds(): SchemaIds {
  return {
    idOf: (name) => schemaNames.indexOf(name) + 1,
    schemaOf: (id) => {
      const name = schemaNames[id - 1] as SchemaName | undefined
      return name && { name, schema: schemaType(name).schema({ exportAttrs: true }) }
    },
  }
}
