/** JSON Schemas of draft 4, compiled to checks that agree with Iglu's validator where that keeps good events good. */

import type { ErrorObject, Options } from 'ajv'
import ajvDraft4 from 'ajv-draft-04'
import ajvFormats from 'ajv-formats'
import type { DataReport } from './failure.ts'
import { isObject, parseJson } from './json.ts'
import { reportsOf } from './report.ts'

/** The complaints about a value; none: it satisfies the schema. */
export type Check = (data: unknown) => readonly DataReport[]

/** A compiled schema, or why it cannot be compiled. */
export type Compiled = { readonly check: Check } | { readonly issue: string }

/**
 * A longer text satisfies no pattern. Patterns run on JavaScript's backtracking engine: this bounds what a stranger's
 * event can make of a clumsy pattern. A pattern that is exponential in short texts is its author's to mend.
 */
export const patternLengthMax = 10_000

/**
 * Compiles the text of a schema. `$schema` is not looked at, and a `$ref` that leads out of the document, or nowhere,
 * accepts anything, both as in Iglu. A schema that breaks down over a value (a `$ref` to itself) is at fault too: then
 * the check throws.
 */
export function compile(text: string): Compiled {
  const parsed = parseJson(text)
  if (parsed.error !== null) return { issue: `the schema is ${parsed.error}` }
  if (!isObject(parsed.value)) return { issue: 'the schema is not a JSON object' }
  const { $schema: _, ...schema } = parsed.value
  try {
    const local = localised(schema, schema) as object
    draft4.validateSchema(local, true)
    const validate = newAjv({ meta: false, validateSchema: false }).compile(local)
    return { check: (data) => (validate(data) ? noReports : reportsOf(validate.errors as ErrorObject[], data)) }
  } catch (error) {
    return { issue: (error as Error).message.slice(0, 1_000) }
  }
}

const noReports: readonly DataReport[] = Object.freeze([])

/** One for each schema: what a schema calls itself must not collide with another, and goes away with it. */
function newAjv(own: Options = {}) {
  const ajv = new ajvDraft4.default({ ...options, ...own })
  ajvFormats.default(ajv)
  for (const [name, test] of stricterFormats) ajv.addFormat(name, test)
  // ajv compares every pair, which for a long array of a stranger's takes seconds
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (wanted: boolean, items: readonly unknown[]) => !wanted || areUnique(items),
    errors: false,
  })
  return ajv
}

const options: Options = {
  strict: false,
  allErrors: true,
  // reports need the value that was found
  verbose: true,
  // or a property named as one of Object.prototype is taken for present
  ownProperties: true,
  // 0.07 is a multiple of 0.01
  multipleOfPrecision: 9,
  logger: false,
  code: { regExp: Object.assign((pattern: string) => new BoundedPattern(pattern), { code: 'BoundedPattern' }) },
}

/** A pattern of a schema: Java's leading inline flags are understood, Unicode mode is used where the pattern allows it. */
class BoundedPattern {
  readonly #regExp: RegExp

  constructor(pattern: string) {
    const inline = /^\(\?([ims]+)\)/.exec(pattern)
    const source = inline ? pattern.slice(inline[0].length) : pattern
    const flags = inline ? [...new Set(inline[1])].join('') : ''
    this.#regExp = unicodeOrNot(source, flags)
  }

  test(text: string): boolean {
    return text.length <= patternLengthMax && this.#regExp.test(text)
  }

  /** Names the pattern among those of its schema. */
  toString(): string {
    return String(this.#regExp)
  }
}

function unicodeOrNot(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, `${flags}u`)
  } catch {
    // an escape that only the older grammar knows, such as \- outside of a class
    return new RegExp(source, flags)
  }
}

/** Verdicts of Iglu's validator that differ from those of ajv-formats. */
const stricterFormats: ReadonlyMap<string, (text: string) => boolean> = new Map([
  [
    'date-time',
    (text: string) => {
      if (!dateTime.test(text) || text.endsWith('-00:00')) return false
      const day = new Date(`${text.slice(0, 10)}T00:00:00Z`)
      return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10))
    },
  ],
  ['uuid', (text: string) => /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)],
])
const dateTime =
  /^\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{0,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Holds schemas against draft 4's own, which takes longer to compile than most of them and so is compiled once. */
const draft4 = newAjv()

/** The schema with every `$ref` that does not lead to a place in `root` replaced by one that accepts anything. */
function localised(node: unknown, root: object): unknown {
  if (Array.isArray(node)) return node.map((item) => localised(item, root))
  if (!isObject(node)) return node
  if (Object.hasOwn(node, '$ref') && typeof node['$ref'] === 'string' && !leadsInto(node['$ref'], root)) return {}
  const entries = Object.entries(node).map(([name, value]) => [
    name,
    name === 'enum' && Array.isArray(value) ? value : localised(value, root),
  ])
  return Object.fromEntries(entries)
}

function leadsInto(ref: string, root: object): boolean {
  if (ref === '#') return true
  if (!ref.startsWith('#/')) return false
  let place: unknown = root
  for (const step of ref.slice(2).split('/')) {
    const name = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof place !== 'object' || place === null || !Object.hasOwn(place, name)) return false
    place = (place as Record<string, unknown>)[name]
  }
  return true
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}

function areUnique(items: readonly unknown[]): boolean {
  const seen = new Set<string>()
  for (const item of items) {
    const text = canonical(item)
    if (seen.has(text)) return false
    seen.add(text)
  }
  return true
}

/** One text for equal values, whatever the order of their properties. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}
