/**
 * Enriched TSV: an event as one line of 131 texts, in the order of the columns. Spelling and complaints are those of
 * Snowplow's Enrich and Analytics SDK (docs/fundamentals/canonical-event; snowplow-scala-analytics-sdk, Apache-2.0).
 */
import Big from 'big.js'
import type { Event } from '../../schemas/avro/types.ts'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { timestampText } from '../../schemas/timestamp.ts'
import { type ColumnName, type ColumnType, type ColumnValue, columns, setColumn, valueOfText } from './columns.ts'
import type { Draft } from './draft.ts'
import { contextsText, unstructText } from './envelope.ts'
import { type Findings, reportsMax } from './failure.ts'
import { type Checked, type Checker, readContexts, readUnstruct } from './self-describing.ts'
import { eventNames, notAnEvent, notAPlatform, platforms } from './vocabulary.ts'

export const columnCount: number = contract.length

/** Why a line is no enriched event: the failure of Snowplow's loader_parsing_error. */
export type RowError =
  | { readonly type: 'NotTSV' }
  | { readonly type: 'FieldNumberMismatch'; readonly fieldCount: number }
  | { readonly type: 'RowDecodingError'; readonly errors: readonly InvalidValue[] }
export type InvalidValue = {
  readonly type: 'InvalidValue'
  readonly key: string
  readonly value: string
  readonly message: string
}

/** An event as a line, without its end: nothing is quoted, null is an empty text, tabs become four spaces. */
export function tsvOf(event: Event): string {
  return fields.map((field) => field.text(event)).join('\t')
}

/** The columns of a line by name, those that are empty left out; or why it is none. Types are not looked at. */
export function rowOf(line: string): { readonly row: Row } | { readonly error: RowError } {
  const texts = line.split('\t')
  if (texts.length === 1) return { error: { type: 'NotTSV' } }
  if (texts.length !== columnCount) {
    return { error: { type: 'FieldNumberMismatch', fieldCount: Math.min(texts.length, fieldCountMax) } }
  }
  const row: Record<string, string> = {}
  for (const [index, text] of texts.entries()) if (text !== '') row[fields[index]!.name] = text
  return { row }
}

/** Texts by column. */
export type Row = Readonly<Record<string, string>>

/** What loader_parsing_error allows. */
const fieldCountMax = 1_024

/** What cannot be converted to its column, and what is required and not there. Empty: `readRow` will take it. */
export function rowErrors(row: Row): readonly InvalidValue[] {
  const errors: InvalidValue[] = []
  for (const { name, required } of fields) {
    const text = row[name]
    const column = columns.get(name)
    if (text === undefined) {
      if (required)
        errors.push({ type: 'InvalidValue', key: name, value: '', message: `Field ${name} cannot be empty` })
    } else if (column && (valueOfText(column, text) ?? null) === null) {
      const message = `Cannot parse key ${name} into ${kindNames[column.type]}`
      errors.push({ type: 'InvalidValue', key: name, value: text.slice(0, quotedLengthMax), message })
    }
  }
  return errors.slice(0, reportsMax)
}

const quotedLengthMax = 256
const kindNames: Readonly<Record<ColumnType, string>> = {
  string: 'string',
  integer: 'integer',
  boolean: 'boolean',
  timestamp: 'datetime',
  decimal: 'double',
  float: 'double',
  uuid: 'UUID',
}

/** Reads a row in which `rowErrors` found nothing into the draft. Answers the self-describing event, if there is one. */
export function readRow(draft: Draft, row: Row, checker: Checker, findings: Findings): Checked | null {
  let unstruct: Checked | null = null
  for (const name of Object.keys(row)) {
    const text = row[name]!
    const column = columns.get(name)
    if (column) setColumn(draft, column, valueOfText(column, text) as ColumnValue, findings)
    else if (name === 'unstruct_event') unstruct = readUnstruct(name, text, checker, findings)
    else draft[name as 'contexts' | 'derived_contexts'] = readContexts(name, text, checker, findings)
  }
  if (draft.event !== null && !eventNames.has(draft.event)) findings.unreadable('event', notAnEvent)
  if (draft.platform !== null && !platforms.has(draft.platform)) findings.unreadable('platform', notAPlatform)
  return unstruct
}

/** A float of 32 bits in the fewest digits that tell it from every other, without exponent. */
export function float32Text(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return new Big(text).toFixed()
  }
  return new Big(value.toPrecision(9)).toFixed()
}

type Field = { readonly name: string; readonly required: boolean; readonly text: (event: Event) => string }

function textOf(name: string): Field['text'] {
  switch (name) {
    case 'contexts':
      return ({ contexts }) => contextsText(contexts) ?? ''
    case 'derived_contexts':
      return ({ derived_contexts }) => contextsText(derived_contexts) ?? ''
    case 'unstruct_event':
      return ({ unstruct_event }) => (unstruct_event ? unstructText(unstruct_event) : '')
  }
  const spelled = spelling[columns.get(name)!.type]
  return (event) => {
    const value = event[name as ColumnName]
    return value === null ? '' : spelled(value)
  }
}

const plain = (value: ColumnValue): string => String(value)
const spelling: Readonly<Record<ColumnType, (value: ColumnValue) => string>> = {
  string: (value) => withoutControls(value as string),
  integer: plain,
  boolean: (value) => (value ? '1' : '0'),
  timestamp: (value) => timestampText(value as number),
  decimal: plain,
  // as Java writes one
  float: (value) => float32Text(value as number).replace(/^-?\d+$/, '$&.0'),
  uuid: plain,
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const control = /[\x00-\x1f\x7f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const controls = /[\x00-\x1f\x7f]/g

const withoutControls = (text: string): string =>
  control.test(text) ? text.replaceAll('\t', '    ').replace(controls, '') : text

const fields: readonly Field[] = contract.map(({ name, required = false }) => ({ name, required, text: textOf(name) }))
