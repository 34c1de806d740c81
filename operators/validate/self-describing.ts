/** Self-describing JSON: the envelopes of an event's own data and of its entities, opened and checked against their schemas. */
import type { SelfDescribing } from '../../schemas/avro/types.ts'
import {
  type DataReport,
  type FailureSource,
  type Findings,
  invalid,
  type Lookup,
  type SchemaError,
} from './failure.ts'
import { isObject, parseJson } from './json.ts'
import type { Missing, Schema, SchemaBook } from './schema-book.ts'
import { droppedNulls, isSchemaKey, snowplow, uriError } from './schema-key.ts'

/** What is needed to check: the tenant's schemas, and when it was looked (ms). */
export type Checker = { readonly book: SchemaBook; readonly atMs: number }

/** An instance that satisfies its schema. */
export type Checked = { readonly schema: Schema; readonly json: SelfDescribing }

/** The event within an `unstruct_event` envelope given as JSON text; null after something was found. */
export function readUnstruct(field: string, text: string, checker: Checker, findings: Findings): Checked | null {
  findings.reading('unstruct')
  const event = opened(field, text, unstructEvent, checker, findings)
  return event === undefined ? null : checkInstance(event, checker, findings)
}

/** The entities within a `contexts` envelope given as JSON text: those that are as they should be. */
export function readContexts(field: string, text: string, checker: Checker, findings: Findings): Entities {
  findings.reading(field === 'derived_contexts' ? field : 'contexts')
  const list = opened(field, text, contexts, checker, findings)
  return list === undefined ? [] : checkList(list, checker, findings)
}

/** As `readUnstruct`, of a JSON value, which may come without its envelope. */
export function checkUnstruct(value: unknown, checker: Checker, findings: Findings): Checked | null {
  findings.reading('unstruct')
  return checkInstance(unwrapped(value, unstructEvent), checker, findings)
}

/** As `readContexts`, of a JSON value, which may come without its envelope. */
export function checkContexts(
  value: unknown,
  checker: Checker,
  findings: Findings,
  source: FailureSource = 'contexts',
): Entities {
  findings.reading(source)
  return checkList(unwrapped(value, contexts), checker, findings)
}

export type Entities = readonly SelfDescribing[]

/** A kind of envelope: any addition of its schema is taken. */
type Envelope = { readonly prefix: string; readonly criterion: string }

const envelopeOf = (uri: string): Envelope => {
  const prefix = uri.slice(0, uri.lastIndexOf('-') + 1)
  return { prefix, criterion: `${prefix}*` }
}
const unstructEvent = envelopeOf(snowplow.unstructEvent)
const contexts = envelopeOf(snowplow.contexts)

/** What is in the envelope; undefined after something was found. */
function opened(
  field: string,
  text: string,
  { prefix, criterion }: Envelope,
  { book }: Checker,
  findings: Findings,
): unknown {
  const parsed = parseJson(text, book.integers)
  if (parsed.error !== null) {
    findings.schema.push({ field, value: text.slice(0, quotedLengthMax), error: parsed.error })
    return undefined
  }
  const instance = instanceOf(parsed.value, findings)
  if (!instance) return undefined
  const { uri, data } = instance
  if (uri.startsWith(prefix)) return data
  findings.schema.push(
    isSchemaKey(uri)
      ? { schemaKey: uri, schemaCriterion: criterion }
      : { json: shown(parsed.value), error: uriError(uri) },
  )
  return undefined
}

function unwrapped(value: unknown, { prefix }: Envelope): unknown {
  if (!isObject(value) || !Object.hasOwn(value, 'schema') || !Object.hasOwn(value, 'data')) return value
  const uri = value['schema']
  return typeof uri === 'string' && uri.startsWith(prefix) ? value['data'] : value
}

function checkList(list: unknown, checker: Checker, findings: Findings): Entities {
  if (!Array.isArray(list)) {
    findings.schema.push({ json: shown(list), error: 'INVALID_DATA_PAYLOAD' })
    return []
  }
  const entities: SelfDescribing[] = []
  for (const item of list) {
    const checked = checkInstance(item, checker, findings)
    if (checked) entities.push(checked.json)
  }
  return entities
}

function checkInstance(value: unknown, checker: Checker, findings: Findings): Checked | null {
  const violations = findings.schema.length
  const checked = checkedInstance(value, checker, findings)
  if (!checked) findings.refused.set(violations, value)
  return checked
}

function checkedInstance(value: unknown, { book, atMs }: Checker, findings: Findings): Checked | null {
  const instance = instanceOf(value, findings)
  if (!instance) return null
  const { uri, data } = instance
  if (!isSchemaKey(uri)) {
    findings.schema.push({ json: shown(value), error: uriError(uri) })
    return null
  }
  const schema = book.find(uri, atMs)
  if (schema === null) {
    findings.awaited = uri
    return null
  }
  if ('failures' in schema) {
    findings.schema.push({ schemaKey: uri, error: notFound(schema, atMs) })
    return null
  }
  if ('issue' in schema) {
    findings.schema.push({ schemaKey: uri, error: brokenSchema(schema.issue) })
    return null
  }
  const version = schema.uri === uri ? null : schema.version
  try {
    const { kept, dropped } = schema.nulls === 'drop' ? schema.withoutNulls(data) : { kept: data, dropped: [] }
    const reports: readonly DataReport[] = schema.check(kept)
    if (reports.length > 0) {
      findings.schema.push(invalid(uri, reports, version))
      return null
    }
    if (version !== null) note(findings, snowplow.validationInfo, { originalSchema: uri, validatedWith: version })
    if (dropped.length > 0) note(findings, droppedNulls, { schema: schema.uri, paths: dropped })
    return { schema, json: { schema: schema.uri, data: JSON.stringify(kept) } }
  } catch (error) {
    findings.schema.push({ schemaKey: uri, error: brokenSchema((error as Error).message) })
    return null
  }
}

/** The same is noted once. */
function note(findings: Findings, schema: string, data: object): void {
  const text = JSON.stringify(data)
  findings.notes.set(schema + text, { schema, data: text })
}

/** Both parts of {schema, data}; undefined after something was found. */
function instanceOf(value: unknown, findings: Findings): { readonly uri: string; readonly data: unknown } | undefined {
  if (!isObject(value) || !Object.hasOwn(value, 'schema') || !Object.hasOwn(value, 'data')) {
    findings.schema.push({ json: shown(value), error: 'INVALID_DATA_PAYLOAD' })
    return undefined
  }
  const uri = value['schema']
  if (typeof uri !== 'string') {
    findings.schema.push({ json: shown(value), error: 'INVALID_IGLUURI' })
    return undefined
  }
  return { uri, data: value['data'] }
}

function notFound({ repositories, failures }: Missing, atMs: number): SchemaError {
  const lastAttempt = new Date(atMs).toISOString()
  const lookupHistory = repositories.map((repository): Lookup => {
    const failed = failures.find((failure) => failure.repository === repository)
    const error = failed
      ? ({ error: 'ClientFailure', message: failed.message } as const)
      : ({ error: 'NotFound' } as const)
    return { repository, errors: [error], attempts: 1, lastAttempt }
  })
  return { error: 'ResolutionError', lookupHistory }
}

const brokenSchema = (message: string): SchemaError => ({
  error: 'ValidationError',
  schemaIssues: [{ path: '$', message: `the schema cannot be used: ${message}` }],
})

/** Of a text that is no JSON, and of JSON that is not self-describing, this much is told. */
const quotedLengthMax = 1_000

function shown(value: unknown): unknown {
  const text = JSON.stringify(value)
  return text.length <= quotedLengthMax ? value : text.slice(0, quotedLengthMax)
}
