/**
 * The ids of a schema registry that all processes share, at hand for a codec that does not wait.
 *
 * Everything registered for our subjects is fetched at the start. An id that turns up later, a newer version's, is fetched
 * when it is first met: `schemaOf` throws SCHEMA_MISSING and begins to, `fetched` tells when to decode again.
 */
import type avsc from 'avsc'
import { schemaTypes } from '../../schemas/avro/index.ts'
import type { SchemaName } from '../../schemas/avro/types.ts'
import type { SchemaIds } from '../codec.ts'
import { invariant, MillraceError } from '../errors.ts'
import { selfContained } from '../registry.ts'
import { schemaDifference } from '../schema-difference.ts'
import { RegistryClient, type RegistryOptions, type SubjectVersion } from './registry-client.ts'

type Writer = { readonly name: SchemaName; readonly schema: avsc.Schema }
/** A schema that no value of ours can be read under is kept as the reason why. */
type Known = Writer | MillraceError

/** At a time; more wait for the next round of whoever needs them. */
const fetchesMax = 16
/** Ids that nobody registered are asked for again after a while, and not remembered without bound. */
const absentMs = 60_000
const absentMax = 1000

export class ConfluentRegistry implements SchemaIds {
  readonly #client: RegistryClient
  readonly #schemas: ReadonlyMap<string, avsc.Type>
  readonly #present = new Map<string, number>()
  readonly #known = new Map<number, Known>()
  readonly #absent = new Map<number, { readonly untilMs: number }>()
  readonly #fetches = new Map<number, Promise<void>>()
  /** Why the last fetch failed; null after one that did not. */
  #outage: MillraceError | null = null

  private constructor(client: RegistryClient, schemas: ReadonlyMap<string, avsc.Type>) {
    this.#client = client
    this.#schemas = schemas
  }

  /**
   * SCHEMA_UNREGISTERED when a present schema is not in the registry: `topics apply` puts it there, and nothing else
   * does. REGISTRY_UNAVAILABLE when it cannot be told, REGISTRY_REFUSED when we are not let in. `schemas` are the present ones, by name.
   */
  static async open(
    options: RegistryOptions,
    schemas: ReadonlyMap<string, avsc.Type> = schemaTypes,
  ): Promise<ConfluentRegistry> {
    const registry = new ConfluentRegistry(new RegistryClient(options), schemas)
    const waiting = [...schemas.keys()].values()
    const inTurn = async () => {
      for (const name of waiting) await registry.#openSubject(name)
    }
    await Promise.all(Array.from({ length: fetchesMax }, inTurn))
    return registry
  }

  idOf(name: SchemaName): number {
    const id = this.#present.get(name)
    invariant(id !== undefined, `the schema ${name} was found when the registry was opened`)
    return id
  }

  /** Throws SCHEMA_INCOMPATIBLE for a schema that the present one of its name cannot read. */
  schemaOf(id: number): Writer | undefined {
    const known = this.#known.get(id)
    if (known instanceof MillraceError) throw known
    if (known) return known
    const absent = this.#absent.get(id)
    if (absent && Date.now() < absent.untilMs) return undefined
    if (!this.#fetches.has(id) && this.#fetches.size < fetchesMax) this.#fetches.set(id, this.#fetch(id))
    throw (
      this.#outage ?? new MillraceError('SCHEMA_MISSING', `the schema of id ${id} is being fetched from the registry`)
    )
  }

  async fetched(): Promise<void> {
    await Promise.all(this.#fetches.values())
  }

  async #openSubject(name: string): Promise<void> {
    const subject = this.#client.subjectOf(name)
    const present = await this.#client.registered(subject, selfContained(this.#schemas.get(name)!))
    if (!present)
      throw new MillraceError('SCHEMA_UNREGISTERED', `the schema registry does not have this version's ${subject}`)
    this.#present.set(name, present.id)
    this.#known.set(present.id, { name: name as SchemaName, schema: present.schema })
    const latest = await this.#client.latest(subject)
    for (let version = 1; version <= (latest?.version ?? 0); version++) {
      const registered = version === latest?.version ? latest : await this.#client.version(subject, version)
      if (registered) this.#keep(name, registered)
    }
  }

  /** Ends well whatever comes of it; what went wrong is told to those who ask for the id again. */
  async #fetch(id: number): Promise<void> {
    try {
      const schema = await this.#client.schema(id)
      const name = schema && this.#nameOf(schema)
      if (name) {
        const version = await this.#client.registered(this.#client.subjectOf(name), schema)
        this.#keep(name, { id, schema, version: version?.version ?? 0 })
      } else {
        this.#absent.set(id, { untilMs: Date.now() + absentMs })
        if (this.#absent.size > absentMax) this.#absent.delete(this.#absent.keys().next().value!)
      }
      this.#outage = null
    } catch (cause) {
      this.#outage = outageOf(id, cause)
    } finally {
      this.#fetches.delete(id)
    }
  }

  /** Null for a schema that is none of ours. */
  #nameOf(schema: avsc.Schema): string | null {
    const { name, namespace } = schema as { readonly name?: string; readonly namespace?: string }
    const fullName = namespace && !name?.includes('.') ? `${namespace}.${name}` : String(name)
    const [, ours] = /^millrace\.(\w+)$/.exec(fullName) ?? []
    return ours && this.#schemas.has(ours) ? ours : null
  }

  #keep(name: string, { id, version, schema }: SubjectVersion): void {
    if (this.#known.has(id)) return
    const difference = schemaDifference(selfContained(this.#schemas.get(name)!), schema)
    const known: Known =
      difference === null
        ? { name: name as SchemaName, schema }
        : new MillraceError(
            'SCHEMA_INCOMPATIBLE',
            `this version cannot read values of ${this.#client.subjectOf(name)} version ${version} (id ${id}): ${difference}`,
          )
    this.#known.set(id, known)
  }
}

/** Why a schema cannot be had now. What is read waits for it, also where we are no longer let in: nothing is buried for that. */
function outageOf(id: number, cause: unknown): MillraceError {
  if (cause instanceof MillraceError && cause.code !== 'REGISTRY_REFUSED') return cause
  const why = cause instanceof MillraceError ? cause.message : `the schema of id ${id} makes no sense: ${String(cause)}`
  return new MillraceError('REGISTRY_UNAVAILABLE', why, { cause })
}
