/**
 * Failed events: what was good of an event that was refused, in the shape of an event, with all that is wrong in it as
 * entities `iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0`.
 * https://docs.snowplow.io/docs/fundamentals/failed-events/
 */
import { schemaType } from '../../schemas/avro/index.ts'
import type { Event, SelfDescribing } from '../../schemas/avro/types.ts'
import { type ColumnName, columns } from './columns.ts'
import type { Draft } from './draft.ts'
import {
  type DataReport,
  type EnrichmentFailure,
  type FailureSource,
  type Findings,
  invalid,
  type SchemaViolation,
} from './failure.ts'
import { isObject } from './json.ts'
import { processor } from './processor.ts'
import { snowplow } from './schema-key.ts'

/**
 * The event of a draft that is at its end, which is changed: columns that are too long are emptied, those that cannot be
 * empty are cut. `fields` are those it was read from, by parameter or column. Of an event that would be larger than
 * `bytesMax` less is told and kept.
 */
export function failedEvent(
  draft: Draft,
  findings: Findings,
  fields: Readonly<Record<string, unknown>>,
  atMs: number,
  bytesMax: number,
): Event {
  const failures = failuresOf(draft, findings, fields)
  for (const { path } of findings.lengths) {
    const column = columns.get(path)
    if (!column) continue
    const value = draft[column.name]
    const kept = required.has(path) ? String(value).slice(0, column.maxLength) : null
    ;(draft as Record<ColumnName, unknown>)[column.name] = kept
  }
  const derived = draft.derived_contexts
  for (const told of [failures, failures.map(brief)]) {
    draft.derived_contexts = [...derived, ...told.map((failure) => entityOf(failure, atMs))]
    if (eventType.toBuffer(draft).length <= bytesMax) return draft
  }
  draft.contexts = []
  draft.unstruct_event = null
  draft.derived_contexts = failures.slice(0, briefMax).map((failure) => entityOf(brief(failure), atMs))
  return draft
}

const eventType = schemaType('Event')
const required: ReadonlySet<string> = new Set(['v_collector', 'v_etl'])

type Failure = {
  readonly failureType: string
  readonly errors: readonly FailureError[]
  readonly schema?: string
  readonly data?: unknown
}
type FailureError = {
  readonly message: string
  readonly source: FailureSource | string
  readonly path?: string
  readonly keyword?: string
  readonly targets?: readonly string[]
  readonly lookupHistory?: unknown
  readonly criterion?: string
}

/** One failure for each thing that is wrong, in the order of the phases. */
function failuresOf(draft: Draft, findings: Findings, fields: Readonly<Record<string, unknown>>): readonly Failure[] {
  const valueAt = ({ path }: DataReport): unknown => fields[path] ?? (draft as Readonly<Record<string, unknown>>)[path]
  const atomic = (reports: readonly DataReport[]): Failure => ({
    ...ofViolation(invalid(snowplow.atomic, reports), 'atomic_field', undefined),
    data: Object.fromEntries(reports.map((report) => [report.path, valueAt(report) ?? null])),
  })
  return [
    ...findings.schema.flatMap((violation, index) =>
      isAtomic(violation) ? [] : [ofViolation(violation, findings.sourceOf(index), findings.refused.get(index))],
    ),
    ...(findings.parse.length > 0 ? [atomic(findings.parse)] : []),
    ...findings.derived.map(ofEnrichment),
    ...findings.entities.map((violation) => ofViolation(violation, 'derived_contexts', undefined)),
    ...(findings.lengths.length > 0 ? [atomic(findings.lengths)] : []),
  ]
}

const isAtomic = (violation: SchemaViolation): boolean =>
  'schemaKey' in violation && violation.schemaKey === snowplow.atomic

function ofViolation(violation: SchemaViolation, source: FailureSource, instance: unknown): Failure {
  if ('field' in violation) {
    return { failureType: 'NotJSON', errors: [{ message: violation.error, source, path: violation.field }] }
  }
  if ('json' in violation) {
    return { failureType: 'NotIglu', errors: [{ message: violation.error, source }], data: instance }
  }
  const { schemaKey: schema } = violation
  if ('schemaCriterion' in violation) {
    const { schemaCriterion: criterion } = violation
    const message = `${schema} is not of ${criterion}`
    return { failureType: 'CriterionMismatch', errors: [{ message, source, criterion }], schema }
  }
  const { error } = violation
  const data = isObject(instance) ? instance['data'] : undefined
  if ('lookupHistory' in error) {
    const message = 'the schema was not found'
    return { failureType: error.error, errors: [{ message, source, lookupHistory: error.lookupHistory }], schema, data }
  }
  const reports =
    'dataReports' in error
      ? error.dataReports.map((report): FailureError => ({ ...report, source }))
      : error.schemaIssues.map(({ message, path }): FailureError => ({ message, source, path }))
  return { failureType: error.error, errors: reports, schema, data }
}

function ofEnrichment({ message }: EnrichmentFailure): Failure {
  const { field, value, expectation } = message
  return {
    failureType: 'EnrichmentError',
    errors: [{ message: `${field}: ${expectation}`, source: field }],
    data: { [field]: value },
  }
}

/** A failure without the data, and not with all of its errors. */
const brief = ({ data: _, errors, ...failure }: Failure): Failure => ({ ...failure, errors: errors.slice(0, briefMax) })
const briefMax = 10

const entityOf = ({ data, ...failure }: Failure, atMs: number): SelfDescribing => ({
  schema: snowplow.failure,
  data: JSON.stringify({
    ...failure,
    // the schema takes objects alone
    ...(isObject(data) && { data }),
    timestamp: new Date(atMs).toISOString(),
    componentName: processor.artifact,
    componentVersion: processor.version,
  }),
})
