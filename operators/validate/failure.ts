/** Why an event was refused, in the words of Snowplow's bad rows (snowplow-badrows, Apache-2.0 documentation of the formats). */

import type { SelfDescribing } from '../../schemas/avro/types.ts'

/** One complaint of a JSON Schema validator, or of an atomic field. */
export type DataReport = {
  readonly message: string
  /** JSON path; for an atomic field the tracker parameter or column. */
  readonly path: string
  readonly keyword: string
  readonly targets: readonly string[]
}

export type SchemaError =
  | {
      readonly error: 'ValidationError'
      /** The version that data were held against, where it is another than theirs. */
      readonly supersededBy?: string
      readonly dataReports: readonly DataReport[]
    }
  /** The schema itself is at fault. */
  | { readonly error: 'ValidationError'; readonly schemaIssues: readonly { path: string; message: string }[] }
  | { readonly error: 'ResolutionError'; readonly lookupHistory: readonly Lookup[] }

export type Lookup = {
  readonly repository: string
  readonly errors: readonly { readonly error: 'NotFound' | 'ClientFailure'; readonly message?: string }[]
  readonly attempts: number
  readonly lastAttempt: string
}

export type NotJson = { readonly field: string; readonly value: string | null; readonly error: string }
export type NotIglu = {
  readonly json: unknown
  readonly error: 'INVALID_IGLUURI' | 'INVALID_SCHEMAVER' | 'INVALID_DATA_PAYLOAD'
}
export type CriterionMismatch = { readonly schemaKey: string; readonly schemaCriterion: string }
export type IgluFailure = { readonly schemaKey: string; readonly error: SchemaError }
export type Unexpected = { readonly field: string; readonly value: string | null; readonly expectation: string }

/** A message of schema_violations. */
export type SchemaViolation = NotJson | NotIglu | CriterionMismatch | IgluFailure
/** A message of tracker_protocol_violations or adapter_failures. */
export type ProtocolViolation = SchemaViolation | Unexpected
/** A message of enrichment_failures. */
export type EnrichmentFailure = { readonly enrichment: null; readonly message: Unexpected }

export const invalid = (
  schemaKey: string,
  dataReports: readonly DataReport[],
  supersededBy: string | null = null,
): IgluFailure => ({
  schemaKey,
  error: { error: 'ValidationError', ...(supersededBy !== null && { supersededBy }), dataReports },
})

/** Where in an event a violation of a schema stands. */
export type FailureSource = 'unstruct' | 'contexts' | 'derived_contexts' | 'atomic_field'

/** Reports of one kind in one bad row; what else is wrong is not told. */
export const reportsMax = 100

/**
 * What was found wrong with one event, by phase. A bad row tells of the first phase that failed, and of all that was
 * wrong in it: the mapping and the schemas; what is derived; the entities and the lengths of what came of it.
 */
export class Findings {
  readonly parse: DataReport[] = []
  readonly schema: SchemaViolation[] = []
  readonly derived: EnrichmentFailure[] = []
  /** Derived entities that do not satisfy their schemas. */
  readonly entities: SchemaViolation[] = []
  readonly lengths: DataReport[] = []
  /** What was held against a schema, by the place of its violation in `schema`. */
  readonly refused = new Map<number, unknown>()
  readonly #sources: FailureSource[] = []
  readonly #sourcesFrom: number[] = []

  /** Violations of schemas from here on are in that part of the event. */
  reading(source: FailureSource): void {
    this.#sources.push(source)
    this.#sourcesFrom.push(this.schema.length)
  }

  /** Where the violation at that place in `schema` stands. */
  sourceOf(index: number): FailureSource {
    return this.#sources[this.#sourcesFrom.findLastIndex((from) => from <= index)] ?? 'atomic_field'
  }
  /** What was noted about the event's data, to stand beside its entities. */
  readonly notes = new Map<string, SelfDescribing>()
  /** A schema that registries are only now being asked for: nothing can be said of the event yet. */
  awaited: string | null = null

  /** A field that cannot be converted to its column. `field` is the tracker parameter or the column. */
  unreadable(field: string, message: string): void {
    this.parse.push({ message, path: field, keyword: 'atomic_field_parse_error', targets: [] })
  }

  /** A field that is no column. Its sender chose how many there are, so not all are told. */
  unknown(field: string): void {
    if (this.parse.length >= reportsMax) return
    const name = field.slice(0, 128)
    const message = `$.${name}: is not defined in the schema and the schema does not allow additional properties`
    this.parse.push({ message, path: '$', keyword: 'additionalProperties', targets: [name] })
  }

  tooLong(column: string, maximum: number): void {
    this.lengths.push({
      message: `Field is longer than maximum allowed size ${maximum}`,
      path: column,
      keyword: 'atomic_field_length_exceeded',
      targets: [],
    })
  }

  /** A column that was too long has got a shorter value since. */
  shortened(column: string): void {
    const index = this.lengths.findIndex(({ path }) => path === column)
    if (index >= 0) this.lengths.splice(index, 1)
  }

  underivable(field: string, value: string | null, expectation: string): void {
    this.derived.push({ enrichment: null, message: { field, value, expectation } })
  }
}
