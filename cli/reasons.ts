/** Why rows are bad, counted: so that a person sees what to mend first. */
import type { BadRow } from '../schemas/avro/types.ts'

export type Reason = {
  /** Of the bad rows, such as schema_violations. */
  readonly kind: string
  /** The same for all values: what is wrong, with which schema, and where. */
  readonly reason: string
  readonly events: number
  /** The words of one of them. */
  readonly example: string
}

/** Strangers decide how many reasons there are; those beyond are counted as one. */
const reasonsMax = 10_000

/** Counts bad rows by kind and by reason. A row counts once for each reason it gives. */
export class Reasons {
  readonly #kinds = new Map<string, number>()
  readonly #reasons = new Map<string, { kind: string; reason: string; events: number; example: string }>()

  add({ schema, data }: Pick<BadRow, 'schema' | 'data'>): void {
    const kind = schema.split('/')[1] ?? schema
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1)
    const { failure } = JSON.parse(data) as { failure: Failure }
    const given = new Map(findingsOf(failure).map(({ reason, example }) => [reason, example]))
    for (const [reason, example] of given) {
      const name = `${kind} ${reason}`
      const known = this.#reasons.get(name)
      if (known) known.events++
      else if (this.#reasons.size < reasonsMax) this.#reasons.set(name, { kind, reason, events: 1, example })
      else this.#count(kind)
    }
  }

  #count(kind: string): void {
    const other = this.#reasons.get(kind) ?? { kind, reason: 'other reasons', events: 0, example: '' }
    other.events++
    this.#reasons.set(kind, other)
  }

  /** Bad rows by kind, the most first. */
  get kinds(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#kinds].sort(([, a], [, b]) => b - a))
  }

  /** The commonest, the most first. */
  top(count: number): readonly Reason[] {
    return [...this.#reasons.values()].sort((a, b) => b.events - a.events).slice(0, count)
  }
}

type Finding = { readonly reason: string; readonly example: string }

/** The members of a failure that say why, of all kinds. */
type Failure = {
  readonly messages?: readonly Message[]
  readonly message?: { readonly error: string }
  readonly expectation?: string
  readonly errors?: readonly (string | { readonly key: string; readonly message: string })[]
  readonly type?: string
  readonly error?: string
}
type Message = {
  readonly schemaKey?: string
  readonly schemaCriterion?: string
  readonly field?: string
  readonly expectation?: string
  readonly error?: string | SchemaError
  readonly message?: Message
}
type SchemaError = {
  readonly error: string
  readonly dataReports?: readonly {
    readonly path: string
    readonly keyword: string
    readonly message: string
    readonly targets: readonly string[]
  }[]
  readonly schemaIssues?: readonly { readonly message: string }[]
}

function findingsOf(failure: Failure): readonly Finding[] {
  if (failure.messages) return failure.messages.flatMap(findingsOfMessage)
  if (failure.errors) {
    return failure.errors.map((error) =>
      typeof error === 'string' ? same(error) : { reason: error.message, example: error.message },
    )
  }
  return [same(failure.message?.error ?? failure.expectation ?? failure.error ?? failure.type ?? 'no reason')]
}

const same = (text: string): Finding => ({ reason: text, example: text })

function findingsOfMessage({
  message,
  schemaKey,
  schemaCriterion,
  field,
  expectation,
  error,
}: Message): readonly Finding[] {
  if (message) return findingsOfMessage(message)
  if (schemaCriterion) return [same(`${schemaKey} is not ${schemaCriterion}`)]
  if (typeof error === 'object') return findingsOfSchema(schemaKey ?? '', error)
  return [same([field, expectation ?? error].filter(Boolean).join(': '))]
}

function findingsOfSchema(schemaKey: string, { error, dataReports, schemaIssues }: SchemaError): readonly Finding[] {
  if (dataReports) {
    return dataReports.map(({ path, keyword, message, targets }) => {
      const place = ofParent.has(keyword) ? `${path}.${targets[0]}` : path
      return { reason: `${schemaKey} ${place.replace(/\[\d+\]/g, '[*]')}: ${keyword}`, example: message }
    })
  }
  if (schemaIssues) return [{ reason: `${schemaKey} cannot be used`, example: schemaIssues[0]?.message ?? error }]
  return [same(`${schemaKey}: ${error}`)]
}

/** Reports of these name the member as a target, and where it is missing or too much as the path. */
const ofParent: ReadonlySet<string> = new Set(['required', 'additionalProperties'])
