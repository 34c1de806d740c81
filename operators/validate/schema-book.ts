/** The schemas of a tenant: those of its workspace, and those that its registries have; compiled when they are needed. */

import type { IgluRules, NullPolicy, SchemaAnswer } from '../../schemas/definitions.ts'
import { type Definitions, igluDefaults } from '../../schemas/definitions.ts'
import { memoised, perDefinitions } from '../memo.ts'
import { builtInSchemas } from './built-in-schemas.ts'
import { type Compiled, compile } from './compile.ts'
import { type SchemaKey, schemaKeyOf } from './schema-key.ts'

export type Schema = SchemaKey & Compiled & { readonly nulls: NullPolicy }

/** No repository has it. */
export type Missing = { readonly repositories: readonly string[]; readonly failures: SchemaAnswer['failures'] }

export type SchemaBook = {
  readonly integers: IgluRules['integers']
  /**
   * The schema to hold data of that key against, which may be a later version that supersedes it. Null: registries are
   * being asked for it, and nothing can be said of the record before they have answered.
   */
  find(uri: string, logTimeMs: number): Schema | Missing | null
}

/** The book of these definitions; one each, for as long as they are in use. */
export const schemaBookOf = perDefinitions((definitions): SchemaBook => new LazyBook(definitions))

const workspace = 'Millrace definitions'

class LazyBook implements SchemaBook {
  readonly integers: IgluRules['integers']
  readonly #definitions: Definitions
  readonly #rules: IgluRules
  readonly #superseding: ReadonlyMap<string, string>
  readonly #missing: Missing
  readonly #recent = new Map<string, { readonly text: string; readonly schema: Schema }>()
  readonly #policies: readonly { readonly fits: RegExp; readonly nulls: NullPolicy }[]

  constructor(definitions: Definitions) {
    const { iglu = igluDefaults, schemas } = definitions
    const { registries, integers, nullsOf } = iglu
    this.integers = integers
    this.#definitions = definitions
    this.#rules = iglu
    this.#superseding = supersedingOf(schemas)
    this.#missing = {
      repositories: [workspace, ...(registries?.repositories ?? []).map(({ name }) => name)],
      failures: [],
    }
    this.#policies = nullsOf.map(({ schema, nulls }) => ({ fits: criterionOf(schema), nulls }))
  }

  find(uri: string, logTimeMs: number): Schema | Missing | null {
    const { schemas, lookup } = this.#definitions
    const own = this.#superseding.get(uri) ?? uri
    const text = schemas.get(own) ?? builtInSchemas.get(own)
    if (text !== undefined) return this.#compiled(own, text)
    if (!lookup || schemaKeyOf(uri)?.format !== 'jsonschema') return this.#missing
    const answer = lookup(uri, logTimeMs)
    if (!answer) return null
    const { schema, failures } = answer
    if (schema) return this.#compiled(schema.uri, schema.text)
    return failures.length === 0 ? this.#missing : { ...this.#missing, failures }
  }

  #compiled(uri: string, text: string): Schema {
    const recent = this.#recent.get(uri)
    if (recent?.text === text) return recent.schema
    const { compat, nulls } = this.#rules
    const policy = this.#policies.find(({ fits }) => fits.test(uri))?.nulls ?? nulls
    const schema = { ...schemaKeyOf(uri)!, ...compiled[compat](text), nulls: policy }
    if (this.#recent.size >= compiledMax) this.#recent.clear()
    this.#recent.set(uri, { text, schema })
    return schema
  }
}

const criterionOf = (schema: string): RegExp =>
  new RegExp(`^${schema.replaceAll(/[.]/g, '\\.').replaceAll('*', '[^/]*')}$`)

/**
 * Schemas of the workspace that others say they supersede, by what does; with `$supersedes` in the newer one, or
 * `$supersededBy` in the older. The newest of a chain.
 */
function supersedingOf(schemas: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const direct = new Map<string, string>()
  const note = (older: string, newer: string): void => {
    const known = direct.get(older)
    if (isLater(newer, older) && schemas.has(newer) && (!known || isLater(newer, known))) direct.set(older, newer)
  }
  for (const [uri, text] of schemas) {
    if (!text.includes('"$supersede')) continue
    const { $supersedes, $supersededBy } = JSON.parse(text) as Record<string, unknown>
    const sibling = (version: unknown): string => uri.slice(0, uri.lastIndexOf('/') + 1) + String(version)
    for (const version of Array.isArray($supersedes) ? $supersedes : []) note(sibling(version), uri)
    if (typeof $supersededBy === 'string') note(uri, sibling($supersededBy))
  }
  return new Map(
    [...direct].map(([older, newer]) => {
      let newest = newer
      // every step leads to a later version, so it ends
      for (let next = direct.get(newest); next; next = direct.get(newest)) newest = next
      return [older, newest]
    }),
  )
}

/** Whether a version of a schema is later than another of the same. */
function isLater(uri: string, than: string): boolean {
  const [a, b] = [schemaKeyOf(uri), schemaKeyOf(than)].map((key) => key?.version.split('-').map(Number))
  if (!a || !b) return false
  const at = a.findIndex((part, place) => part !== b[place])
  return at >= 0 && a[at]! > b[at]!
}

// A new version of the definitions changes few schemas: what was compiled of a text is kept. At most twice as many are,
// some 12 KiB each; more of them in use at a time are compiled again and again, a fifth of a millisecond each.

const compiledMax = 1_000

type Compat = IgluRules['compat']
const compiled: Readonly<Record<Compat, (text: string) => Compiled>> = {
  iglu: memoised((text) => compile(text, 'iglu'), compiledMax),
  standard: memoised((text) => compile(text, 'standard'), compiledMax),
}
