/** The schemas of a tenant's definitions, compiled when they are first needed. */
import { perDefinitions } from '../memo.ts'
import { builtInSchemas } from './built-in-schemas.ts'
import { type Check, type Compiled, compile } from './compile.ts'
import { type SchemaKey, schemaKeyOf } from './schema-key.ts'

export type Schema = SchemaKey & Compiled

export type SchemaBook = {
  /** Undefined: the definitions have no schema of that key. */
  find(uri: string): Schema | undefined
}

/** The book of these definitions; one each, for as long as they are in use. */
export const schemaBookOf = perDefinitions(({ schemas }): SchemaBook => new LazyBook(schemas))

class LazyBook implements SchemaBook {
  readonly #texts: ReadonlyMap<string, string>
  readonly #schemas = new Map<string, Schema>()

  constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts
  }

  find(uri: string): Schema | undefined {
    const known = this.#schemas.get(uri)
    if (known) return known
    const text = this.#texts.get(uri) ?? builtInSchemas.get(uri)
    const key = schemaKeyOf(uri)
    if (text === undefined || !key) return undefined
    const schema = { ...key, ...compiled(text) }
    this.#schemas.set(uri, schema)
    return schema
  }
}

// A new version of the definitions changes few schemas: what was compiled of a text is kept, the least recent go first.

const compiledMax = 1_000
const compiledTexts = new Map<string, Compiled>()

function compiled(text: string): Compiled {
  const made = compiledTexts.get(text) ?? compile(text)
  compiledTexts.delete(text)
  compiledTexts.set(text, made)
  if (compiledTexts.size > compiledMax) compiledTexts.delete(compiledTexts.keys().next().value!)
  return made
}

export type { Check }
