/** The atomic columns: how a text or a JSON value becomes a column's value, and how long that may be. */
import Big from 'big.js'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { epochMs, isTimestampMs, timestampMs } from '../../schemas/timestamp.ts'
import type { Draft } from './draft.ts'
import type { Findings } from './failure.ts'

export type ColumnName = Exclude<
  keyof Draft,
  'tenant' | 'source' | 'payload_id' | 'payload_index' | 'encrypted' | JsonColumnName
>

/** The three that hold self-describing JSON. */
export type JsonColumnName = 'contexts' | 'derived_contexts' | 'unstruct_event'

export type ColumnType = 'string' | 'integer' | 'boolean' | 'timestamp' | 'decimal' | 'float' | 'uuid'

export type Column = {
  readonly name: ColumnName
  readonly type: ColumnType
  /** UTF-16 units, as Snowplow counts; Infinity where the type itself bounds it. */
  readonly maxLength: number
}

/** The columns an event may state directly: all 131 but the three of self-describing JSON. */
export const columns: ReadonlyMap<string, Column> = new Map(
  contract
    .filter(({ type }) => type !== 'json')
    .map((column) => [
      column.name,
      {
        name: column.name as ColumnName,
        type: typeOf(column),
        maxLength: column.enrichDefaultMaxLength ?? column.maxLength ?? Number.POSITIVE_INFINITY,
      },
    ]),
)

export function columnOf(name: ColumnName): Column {
  const column = columns.get(name)
  if (!column) throw new Error(`no atomic column is named ${name}`)
  return column
}

/**
 * Sets a column from the text of a tracker parameter. An empty text is no value; what cannot be converted is found
 * unreadable under the parameter's name, and the column stays as it is.
 */
export function setFromText(draft: Draft, column: Column, field: string, text: string, findings: Findings): void {
  if (text === '') return
  const value = fromText[column.type](text)
  if (value === undefined) findings.unreadable(field, complaints[column.type])
  else setColumn(draft, column, value, findings)
}

/** Sets a column from a JSON value: the column's own type, or a text of it. Null and an empty text are no value. */
export function setFromJson(draft: Draft, column: Column, json: unknown, findings: Findings): void {
  if (json === null || json === '') return
  const value = fromJson(column.type, json)
  if (value === undefined) findings.unreadable(column.name, complaints[column.type])
  else setColumn(draft, column, value, findings)
}

/** The value of a text in the spelling of JSON or TSV, where timestamps are no numbers; undefined when it is none of the type. */
export const valueOfText = (column: Column, text: string): ColumnValue | undefined => fromJson(column.type, text)

/** Sets a column to a value of its type. */
export function setColumn(draft: Draft, column: Column, value: ColumnValue, findings: Findings): void {
  if (typeof value === 'string' && value.length > column.maxLength) findings.tooLong(column.name, column.maxLength)
  ;(draft as Record<ColumnName, ColumnValue>)[column.name] = value
}

export type ColumnValue = string | number | boolean | null

/** Undefined: not of that type. Null: of that type, and no value. */
type Conversion = (text: string) => ColumnValue | undefined

const fromText: Readonly<Record<ColumnType, Conversion>> = {
  // half of a pair has no UTF-8: the event would read back from the log as another one
  string: (text) => (text.isWellFormed() ? text : text.toWellFormed()),
  integer: (text) => (text === 'null' ? null : integer.test(text) ? asInt32(Number(text)) : undefined),
  boolean: (text) => (text === '1' ? true : text === '0' ? false : undefined),
  timestamp: epochMs,
  decimal: (text) => (text === 'null' ? null : decimalText(text)),
  float: (text) => (text === 'null' ? null : asFloat32(decimalText(text))),
  uuid: (text) => (uuid.test(text) ? text.toLowerCase() : undefined),
}

function fromJson(type: ColumnType, json: unknown): ColumnValue | undefined {
  if (typeof json === 'string') {
    if (type === 'timestamp') return timestampMs(json)
    if (type === 'boolean' && (json === 'true' || json === 'false')) return json === 'true'
    return fromText[type](json)
  }
  if (typeof json === 'boolean') return type === 'boolean' ? json : undefined
  if (typeof json !== 'number') return undefined
  switch (type) {
    case 'integer':
      return asInt32(json)
    case 'boolean':
      return json === 1 ? true : json === 0 ? false : undefined
    case 'timestamp':
      return isTimestampMs(json) ? json : undefined
    case 'decimal':
      return decimalText(String(json))
    case 'float':
      return asFloat32(String(json))
    default:
      return undefined
  }
}

const complaints: Readonly<Record<ColumnType, string>> = {
  string: 'Cannot be converted to java.lang.String',
  integer: 'Cannot be converted to java.lang.Integer',
  boolean: 'Cannot be converted to a boolean: 0 or 1 is expected',
  timestamp: 'Cannot be converted to a timestamp of the years 0 to 9999',
  decimal: 'Cannot be converted to java.math.BigDecimal',
  float: 'Cannot be converted to java.lang.Float',
  uuid: 'Not a valid UUID',
}

const integer = /^[+-]?\d{1,32}$/
/** Canonical only, in either case. */
export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const plainDecimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/
const anyDecimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,4}))?$/
const decimalLengthMax = 128
const decimalExponentMax = 100

const asInt32 = (value: number): number | undefined =>
  Number.isInteger(value) && value >= -2_147_483_648 && value <= 2_147_483_647 ? value + 0 : undefined

const asFloat32 = (text: string | undefined): number | undefined => {
  const value = text === undefined ? Number.NaN : Math.fround(Number(text))
  // never -0, which no text tells from 0
  return Number.isFinite(value) ? value + 0 : undefined
}

/** A decimal without exponent, every digit kept: `1E+2` is `100`. Exponents are bounded, or a few characters would become gigabytes. */
function decimalText(text: string): string | undefined {
  if (text.length > decimalLengthMax) return undefined
  if (plainDecimal.test(text)) return text
  const parts = anyDecimal.exec(text)
  if (!parts || Math.abs(Number(parts[1] ?? 0)) > decimalExponentMax) return undefined
  return new Big(text.replace(/^\+/, '').replace(/\.(?=e|$)/i, '')).toFixed()
}

function typeOf({ type, numeric }: { type: string; numeric?: string }): ColumnType {
  if (type === 'number') return numeric === 'float32' ? 'float' : 'decimal'
  return type as ColumnType
}
