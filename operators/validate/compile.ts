/**
 * JSON Schemas of draft 4, compiled to closures that give the verdicts, and the words, of the validator Iglu uses
 * (networknt 1.0.76): people have alerts and dashboards on them. What that one ignores in a schema is ignored here.
 */
import Big from 'big.js'
import { type DataReport, reportsMax } from './failure.ts'
import { type Format, formatOf } from './formats.ts'
import { isObject, parseJson } from './json.ts'
import { type Pattern, patternOf } from './pattern.ts'

/** Whose verdicts are given where Iglu's validator and the published standards differ. */
export type Compat = 'iglu' | 'standard'

/** The complaints about a value; none: it satisfies the schema. Throws on a schema that breaks down over the value. */
export type Check = (data: unknown) => readonly DataReport[]

/**
 * Data without the nulls that stand for optional properties which allow for none, as an author means who writes one for
 * absent; and where they stood.
 */
export type WithoutNulls = (data: unknown) => { readonly kept: unknown; readonly dropped: readonly string[] }

/** A compiled schema, or why it cannot be compiled. */
export type Compiled = { readonly check: Check; readonly withoutNulls: WithoutNulls } | { readonly issue: string }

/**
 * Compiles the text of a schema. `$schema` and `id` are not looked at, and a `$ref` that leads out of the document, or
 * nowhere, accepts anything, as in Iglu.
 */
export function compile(text: string, compat: Compat = 'iglu'): Compiled {
  const parsed = parseJson(text)
  if (parsed.error !== null) return { issue: `the schema is ${parsed.error}` }
  if (!isObject(parsed.value)) return { issue: 'the schema is not a JSON object' }
  try {
    const { check, withoutNulls } = new Compiler(parsed.value, compat)
    return { check, withoutNulls }
  } catch (error) {
    return { issue: (error as Error).message.slice(0, 1_000) }
  }
}

type Schema = Readonly<Record<string, unknown>>

/** Whether a value satisfies a schema. `path` is the value's place; it is only told of where there is an `out`. */
type Visit = (data: unknown, path: string, out: Reports | null) => boolean

type Reports = DataReport[]

const noReports: readonly DataReport[] = Object.freeze([])

/** A schema that sends a value to itself again and again, by many ways, is at fault and no stall. */
const refsMax = 200_000

class Compiler {
  readonly check: Check
  readonly withoutNulls: WithoutNulls
  readonly #root: Schema
  readonly #compat: Compat
  readonly #visits = new Map<unknown, Visit>()
  /** Followed for the present value. */
  #refs = 0

  constructor(root: Schema, compat: Compat) {
    this.#root = root
    this.#compat = compat
    const visit = this.#visit(root)
    this.check = (data) => {
      this.#refs = 0
      if (visit(data, '', null)) return noReports
      const out: Reports = []
      visit(data, '$', out)
      return out
    }
    this.withoutNulls = (data) => {
      const dropped: string[] = []
      return { kept: this.#withoutNulls(root, data, '$', dropped), dropped }
    }
  }

  /** The data themselves where there is nothing to drop. Follows references, properties and items, and no alternatives. */
  #withoutNulls(schema: unknown, data: unknown, path: string, dropped: string[]): unknown {
    const ref = isObject(schema) && typeof schema['$ref'] === 'string' ? this.#target(schema['$ref']) : undefined
    const own = ref ?? schema
    if (!isObject(own)) return data
    if (Array.isArray(data)) {
      const items = data.map((item, at) => this.#withoutNulls(own['items'], item, `${path}[${at}]`, dropped))
      return items.some((item, at) => item !== data[at]) ? items : data
    }
    const { properties } = own
    if (!isRecord(data) || !isObject(properties)) return data
    const required: readonly unknown[] = Array.isArray(own['required']) ? own['required'] : []
    let changed = false
    const entries = Object.entries(data).flatMap(([name, value]): [string, unknown][] => {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined
      if (
        value === null &&
        property !== undefined &&
        !required.includes(name) &&
        !this.#visit(property)(null, '', null)
      ) {
        if (dropped.length < reportsMax) dropped.push(member(path, name))
        changed = true
        return []
      }
      const kept = this.#withoutNulls(property, value, member(path, name), dropped)
      if (kept !== value) changed = true
      return [[name, kept]]
    })
    return changed ? Object.fromEntries(entries) : data
  }

  /** Of a subschema; what is none accepts anything. */
  #visit(schema: unknown): Visit {
    if (!isObject(schema)) return accept
    const known = this.#visits.get(schema)
    if (known) return known
    // a schema within itself finds this one, which then leads to what has been made meanwhile
    let made: Visit | undefined
    this.#visits.set(schema, (data, path, out) => made!(data, path, out))
    made = all(keywordsOf(schema).flatMap((keyword) => this.#keyword(keyword, schema) ?? []))
    this.#visits.set(schema, made)
    return made
  }

  /** Undefined: nothing to look at. */
  #keyword(keyword: string, schema: Schema): Visit | undefined {
    const value = schema[keyword]
    switch (keyword) {
      case '$ref':
        return this.#ref(value)
      case 'type':
        return typeVisit(value)
      case 'enum':
        return enumVisit(Array.isArray(value) ? value : ['none'])
      case 'properties':
        return isObject(value) ? this.#properties(value) : undefined
      case 'patternProperties':
        return this.#patternProperties(value)
      case 'additionalProperties':
        return value === true || value === undefined ? undefined : this.#additionalProperties(value, schema)
      case 'required':
        return Array.isArray(value) ? requiredVisit(value.map(plain)) : undefined
      case 'dependencies':
        return isObject(value) ? this.#dependencies(value) : undefined
      case 'items':
        return Array.isArray(value) ? this.#tuple(value, schema['additionalItems']) : this.#items(value)
      case 'uniqueItems':
        return value === true ? uniqueVisit(this.#compat) : undefined
      case 'pattern':
        return typeof value === 'string' ? patternVisit(value, patternOf(value)) : undefined
      case 'format': {
        const format = typeof value === 'string' ? formatOf(value, this.#compat) : undefined
        return format && formatVisit(value as string, format)
      }
      case 'minimum':
      case 'maximum':
        return limitVisit(keyword, value, schema)
      case 'multipleOf':
        return typeof value === 'number' && value > 0 ? multipleVisit(value) : undefined
      case 'allOf':
        return Array.isArray(value) ? all(value.map((branch) => this.#visit(branch))) : undefined
      case 'anyOf':
        return Array.isArray(value) && value.length > 0
          ? anyVisit(value.map((branch) => this.#branch(branch)))
          : undefined
      case 'oneOf':
        return Array.isArray(value) && value.length > 0
          ? oneVisit(value.map((branch) => this.#branch(branch)))
          : undefined
      case 'not':
        return notVisit(this.#visit(value), `"not" : ${JSON.stringify(value)}`)
      default: {
        const size = sizes.get(keyword)
        return size && typeof value === 'number' && Number.isInteger(value)
          ? sizeVisit(keyword, size, value)
          : undefined
      }
    }
  }

  #ref(ref: unknown): Visit | undefined {
    if (typeof ref !== 'string') return undefined
    const target = this.#target(ref)
    if (target === undefined) return undefined
    const visit = this.#visit(target)
    return (data, path, out) => {
      if (++this.#refs > refsMax) throw new Error(`it follows more than ${refsMax} references for one value`)
      return visit(data, path, out)
    }
  }

  /** What a reference leads to within the document. */
  #target(ref: string): unknown {
    if (ref === '#' || ref === '') return this.#root
    if (!ref.startsWith('#/')) return undefined
    let place: unknown = this.#root
    for (const step of ref.slice(2).split('/')) {
      const name = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
      if (typeof place !== 'object' || place === null || !Object.hasOwn(place, name)) return undefined
      place = (place as Record<string, unknown>)[name]
    }
    return place
  }

  #properties(properties: Schema): Visit {
    const visits = Object.keys(properties)
      .map((name) => ({ name, visit: this.#visit(properties[name]), inherited: name in Object.prototype }))
      .filter(({ visit }) => visit !== accept)
    return (data, path, out) => {
      if (!isRecord(data)) return true
      let valid = true
      for (const { name, visit, inherited } of visits) {
        const value = data[name]
        if (value === undefined || (inherited && !Object.hasOwn(data, name))) continue
        if (visit(value, out ? member(path, name) : '', out)) continue
        if (!out) return false
        valid = false
      }
      return valid
    }
  }

  #patternProperties(value: unknown): Visit {
    if (!isObject(value)) throw new Error('patternProperties must be an object')
    const visits = Object.keys(value).map((source) => ({
      pattern: patternOf(source),
      visit: this.#visit(value[source]),
    }))
    return (data, path, out) => {
      if (!isRecord(data)) return true
      let valid = true
      for (const name of Object.keys(data)) {
        for (const { pattern, visit } of visits) {
          if (!pattern.test(name) || visit(data[name], out ? member(path, name) : '', out)) continue
          if (!out) return false
          valid = false
        }
      }
      return valid
    }
  }

  #additionalProperties(value: unknown, schema: Schema): Visit {
    const known = new Set(isObject(schema['properties']) ? Object.keys(schema['properties']) : [])
    const named = isObject(schema['patternProperties']) ? Object.keys(schema['patternProperties']) : []
    const patterns = named.map(patternOf)
    const visit = isObject(value) ? this.#visit(value) : null
    return (data, path, out) => {
      if (!isRecord(data)) return true
      let valid = true
      for (const name in data) {
        if (known.has(name) || patterns.some((pattern) => pattern.test(name))) continue
        if (visit?.(data[name], out ? member(path, name) : '', out)) continue
        if (!out) return false
        valid = false
        if (visit) continue
        const message = 'is not defined in the schema and the schema does not allow additional properties'
        report(out, path, 'additionalProperties', message, [quoted(name)], member(path, name))
      }
      return valid
    }
  }

  #dependencies(dependencies: Schema): Visit {
    const lists = new Map<string, readonly string[]>()
    const visits = new Map<string, Visit>()
    for (const [name, value] of Object.entries(dependencies)) {
      if (Array.isArray(value)) lists.set(name, value.map(plain))
      else visits.set(name, this.#visit(value))
    }
    const told = `{${[...lists].map(([name, wanted]) => `${name}=[${wanted.join(', ')}]`).join(', ')}}`
    return (data, path, out) => {
      if (!isRecord(data)) return true
      let valid = true
      for (const name of Object.keys(data)) {
        const missing = lists.get(name)?.some((wanted) => !Object.hasOwn(data, wanted))
        if (missing) report(out, path, 'dependencies', `has an error with dependencies ${told}`, [told])
        if (missing || visits.get(name)?.(data, path, out) === false) {
          if (!out) return false
          valid = false
        }
      }
      return valid
    }
  }

  #items(value: unknown): Visit | undefined {
    if (!isObject(value)) return undefined
    const visit = this.#visit(value)
    if (visit === accept) return undefined
    return (data, path, out) => {
      if (!Array.isArray(data)) return true
      let valid = true
      for (let at = 0; at < data.length; at++) {
        if (visit(data[at], out ? `${path}[${at}]` : '', out)) continue
        if (!out) return false
        valid = false
      }
      return valid
    }
  }

  #tuple(items: readonly unknown[], additional: unknown): Visit {
    const visits = items.map((item) => this.#visit(item))
    const rest = additional === false ? null : this.#visit(additional)
    return (data, path, out) => {
      if (!Array.isArray(data)) return true
      let valid = true
      for (let at = 0; at < data.length; at++) {
        const visit = at < visits.length ? visits[at] : rest
        const place = out ? `${path}[${at}]` : ''
        if (visit?.(data[at], place, out)) continue
        if (!out) return false
        valid = false
        if (!visit) report(out, path, 'items', 'no validator found at this index', [String(at)], place)
      }
      return valid
    }
  }

  #branch(schema: unknown): Branch {
    const type = isObject(schema) && Object.hasOwn(schema, 'type') ? typeVisit(schema['type']) : undefined
    return { visit: this.#visit(schema), type: type ?? accept, text: JSON.stringify(schema) }
  }
}

/** A branch of anyOf or oneOf. */
type Branch = { readonly visit: Visit; readonly type: Visit; readonly text: string }

// --- keywords ---

const accept: Visit = () => true

/** In the order in which Iglu tells of them. */
const keywordsOf = (schema: Schema): readonly string[] =>
  Object.keys(schema).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
const rank = (keyword: string): number => (keyword === 'properties' ? 0 : 1)

function all(visits: readonly Visit[]): Visit {
  const [first, second, ...more] = visits.filter((visit) => visit !== accept)
  if (!first) return accept
  if (!second) return first
  const rest = [first, second, ...more]
  return (data, path, out) => {
    let valid = true
    for (const visit of rest) {
      if (visit(data, path, out)) continue
      if (!out) return false
      valid = false
    }
    return valid
  }
}

function anyVisit(branches: readonly Branch[]): Visit {
  return (data, path, out) => {
    for (const { visit } of branches) if (visit(data, '', null)) return true
    if (out) for (const { visit, type } of branches) if (type(data, path, out)) visit(data, path, out)
    return false
  }
}

function oneVisit(branches: readonly Branch[]): Visit {
  return (data, path, out) => {
    const valid = branches.filter(({ visit }) => visit(data, '', null))
    if (valid.length === 1) return true
    if (!out) return false
    if (valid.length === 0) {
      for (const { visit } of branches) visit(data, path, out)
      return false
    }
    const texts = valid.map(({ text }) => text).join('')
    const message = `should be valid to one and only one of schema, but more than one are valid: ${texts}`
    report(out, path, 'oneOf', message, [texts])
    return false
  }
}

const notVisit =
  (visit: Visit, text: string): Visit =>
  (data, path, out) =>
    !visit(data, '', null) || report(out, path, 'not', `should not be valid to the schema ${text}`, [text])

function typeVisit(value: unknown): Visit | undefined {
  if (Array.isArray(value)) {
    const names = value.map(typeWord)
    const wanted = new Set(names)
    const told = `[${names.join(', ')}]`
    return (data, path, out) => {
      if (isOfType(data, wanted)) return true
      if (!out) return false
      const found = typeName(data)
      return report(out, path, 'unionType', `${found} found, but ${told} is required`, [found, told])
    }
  }
  if (value === 'any') return undefined
  const wanted = typeWord(value)
  const test = typeTests.get(wanted) ?? never
  return (data, path, out) => {
    if (test(data)) return true
    if (!out) return false
    const found = typeName(data)
    return report(out, path, 'type', `${found} found, ${wanted} expected`, [found, wanted])
  }
}

const never = (): boolean => false
const typeTests: ReadonlyMap<string, (data: unknown) => boolean> = new Map([
  ['null', (data: unknown) => data === null],
  ['boolean', (data: unknown) => typeof data === 'boolean'],
  ['string', (data: unknown) => typeof data === 'string'],
  ['integer', (data: unknown) => Number.isInteger(data)],
  ['number', (data: unknown) => typeof data === 'number' || data instanceof Number],
  ['array', (data: unknown) => Array.isArray(data)],
  ['object', (data: unknown) => isRecord(data)],
])
const typeWord = (name: unknown): string => (typeof name === 'string' && typeTests.has(name) ? name : 'unknown')

function isOfType(data: unknown, wanted: ReadonlySet<string>): boolean {
  const found = typeName(data)
  return wanted.has(found) || (found === 'integer' && wanted.has('number'))
}

function enumVisit(values: readonly unknown[]): Visit {
  const known = new Set(values.map(canonical))
  const plainTexts = new Set(values.filter((value) => typeof value === 'string'))
  const told = `[${values.map((value) => (typeof value === 'object' && value !== null ? '' : plain(value))).join(', ')}]`
  return (data, path, out) =>
    (typeof data === 'string' ? plainTexts.has(data) : known.has(canonical(data))) ||
    report(out, path, 'enum', `does not have a value in the enumeration ${told}`, [told])
}

function requiredVisit(names: readonly string[]): Visit {
  const wanted = names.map((name) => ({ name, inherited: name in Object.prototype }))
  return (data, path, out) => {
    if (!isRecord(data)) return true
    let valid = true
    for (const { name, inherited } of wanted) {
      if (inherited ? Object.hasOwn(data, name) : data[name] !== undefined) continue
      if (!out) return false
      valid = report(out, path, 'required', 'is missing but it is required', [name], member(path, name))
    }
    return valid
  }
}

const uniqueVisit =
  (compat: Compat): Visit =>
  (data, path, out) => {
    const items = Array.isArray(data) ? data : compat === 'iglu' && isRecord(data) ? Object.values(data) : noReports
    if (items.length < 2) return true
    const unique = new Set(items.map(canonical)).size === items.length
    return unique || report(out, path, 'uniqueItems', 'the items in the array must be unique', [])
  }

const patternVisit =
  (source: string, pattern: Pattern): Visit =>
  (data, path, out) =>
    typeof data !== 'string' ||
    pattern.test(data) ||
    report(out, path, 'pattern', `does not match the regex pattern ${source}`, [source])

function formatVisit(name: string, { test, told }: Format): Visit {
  return (data, path, out) => {
    if (typeof data !== 'string' || test(data)) return true
    if (!out) return false
    const value = quoted(data)
    switch (told) {
      case 'dateTime':
      case 'uuid':
        return report(out, path, told, `${value} is an invalid ${name}`, [value, name])
      case 'value':
        return report(out, path, 'format', `does not match the ${value} pattern ${name}`, [value, name])
      default:
        return report(out, path, 'format', `does not match the ${name} pattern ${told}`, [name, told])
    }
  }
}

function limitVisit(keyword: 'minimum' | 'maximum', limit: unknown, schema: Schema): Visit {
  if (typeof limit !== 'number') throw new Error(`${keyword} value is not a number`)
  const isMinimum = keyword === 'minimum'
  const exclusive = schema[isMinimum ? 'exclusiveMinimum' : 'exclusiveMaximum'] === true
  const text = String(limit)
  return (data, path, out) => {
    if (typeof data !== 'number' && !(data instanceof Number)) return true
    const over = isMinimum ? Number(data) - limit : limit - Number(data)
    return (
      over > 0 ||
      (over === 0 && !exclusive) ||
      report(out, path, keyword, `must have a ${keyword} value of ${text}`, [text])
    )
  }
}

function multipleVisit(divisor: number): Visit {
  const text = javaDouble(divisor)
  const isMultiple = multiplesOf(divisor)
  return (data, path, out) => {
    if (typeof data !== 'number' && !(data instanceof Number)) return true
    return isMultiple(Number(data)) || report(out, path, 'multipleOf', `must be multiple of ${text}`, [text])
  }
}

/**
 * Exact, in decimals: 0.07 is a multiple of 0.01. Where the step has few decimals and the number no more than 15 digits,
 * both are whole numbers of the same unit, and doubles tell them apart.
 */
export function multiplesOf(step: number): (value: number) => boolean {
  let scale = 1
  while (scale < 1e9 && Math.round(step * scale) / scale !== step) scale *= 10
  const units = Math.round(step * scale)
  const isDecimal = units / scale === step && units < 1e15
  return (value) => {
    if (isDecimal && Math.abs(value) * scale < 1e15) {
      const scaled = Math.round(value * scale)
      return scaled / scale === value && scaled % units === 0
    }
    return Number.isFinite(value) && new Big(value).mod(step).eq(0)
  }
}

type Size = {
  /** Of a value that the keyword is about; undefined of others. */
  readonly fits: (data: unknown, limit: number) => boolean
  readonly words: (limit: number) => string
}

const sizes: ReadonlyMap<string, Size> = new Map([
  [
    'maxLength',
    {
      fits: (data, limit) => typeof data !== 'string' || !isLonger(data, limit),
      words: (limit) => `may only be ${limit} characters long`,
    },
  ],
  [
    'minLength',
    {
      fits: (data, limit) => typeof data !== 'string' || limit <= 0 || isLonger(data, limit - 1),
      words: (limit) => `must be at least ${limit} characters long`,
    },
  ],
  [
    'maxItems',
    {
      fits: (data, limit) => !Array.isArray(data) || data.length <= limit,
      words: (limit) => `there must be a maximum of ${limit} items in the array`,
    },
  ],
  [
    'minItems',
    {
      fits: (data, limit) => !Array.isArray(data) || data.length >= limit,
      words: (limit) => `there must be a minimum of ${limit} items in the array`,
    },
  ],
  [
    'maxProperties',
    {
      fits: (data, limit) => !isRecord(data) || Object.keys(data).length <= limit,
      words: (limit) => `may only have a maximum of ${limit} properties`,
    },
  ],
  [
    'minProperties',
    {
      fits: (data, limit) => !isRecord(data) || Object.keys(data).length >= limit,
      words: (limit) => `should have a minimum of ${limit} properties`,
    },
  ],
])

const sizeVisit =
  (keyword: string, { fits, words }: Size, limit: number): Visit =>
  (data, path, out) =>
    fits(data, limit) || report(out, path, keyword, words(limit), [String(limit)])

// --- values ---

const isRecord: (value: unknown) => value is Schema = isObject

/** The name of a JSON value's type, where an integer is told from a number. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return value instanceof Number ? 'number' : typeof value
}

/** In characters, of which a pair of UTF-16 units is one. */
function isLonger(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  if (text.length > 2 * limit) return true
  let length = 0
  for (const _ of text) length++
  return length > limit
}

/** One text for equal values, whatever the order of their properties. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isRecord(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

/** As Java writes a double. */
function javaDouble(value: number): string {
  if (value >= 1e-3 && value < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value)
  const [digits, exponent] = value.toExponential().split('e')
  return `${digits!.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
}

// --- reports ---

/** Answers false, as whoever reports has found the value wanting. */
function report(
  out: Reports | null,
  path: string,
  keyword: string,
  message: string,
  targets: readonly string[],
  at = path,
): false {
  if (out && out.length < reportsMax) out.push({ message: `${at}: ${message}`, path, keyword, targets })
  return false
}

/** Texts of the event in a message are cut to this many characters. */
const quotedLengthMax = 256

const member = (path: string, name: string): string => `${path}.${quoted(name)}`

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const quoted = (text: string): string =>
  text.length <= quotedLengthMax ? text : text.slice(0, quotedLengthMax).replace(/[\ud800-\udbff]$/, '')

function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}
