/**
 * Snowplow tracker protocol 2: one event as text parameters.
 * https://docs.snowplow.io/docs/sources/snowplow-tracker-protocol/ and the schema payload_data/jsonschema/1-0-4.
 */
import type { RawEvent } from '../../schemas/avro/types.ts'
import { payloadParameters, requiredParameters } from '../../schemas/payload-data.ts'
import { type ColumnName, columnOf, setFromText, uuid } from './columns.ts'
import { typeName } from './compile.ts'
import type { Draft } from './draft.ts'
import { type DataReport, type Findings, invalid, type ProtocolViolation, reportsMax } from './failure.ts'
import { parameterColumns } from './parameters.ts'
import { snowplow } from './schema-key.ts'
import { type Checked, type Checker, readContexts, readUnstruct } from './self-describing.ts'
import { eventTypes, notAnEvent, notAPlatform, platforms } from './vocabulary.ts'

/** Parameters by name. After `protocolViolations` found none, all values are texts. */
export type Params = Readonly<Record<string, unknown>>

/** What payload_data/1-0-4 says against an element of a POST; `index` is its place there. */
export function protocolViolations(params: Params, index: number): readonly ProtocolViolation[] {
  let reports: DataReport[] | null = null
  for (const name of Object.keys(params)) {
    if (payloadParameters.has(name) && typeof params[name] === 'string') continue
    reports ??= []
    if (reports.length < reportsMax) reports.push(complaint(`$[${index}]`, name, params[name]))
  }
  for (const name of requiredParameters) {
    if (Object.hasOwn(params, name)) continue
    reports ??= []
    const message = `$[${index}].${name}: is missing but it is required`
    reports.push({ message, path: `$[${index}]`, keyword: 'required', targets: [name] })
  }
  return reports === null ? none : [invalid(snowplow.payloadData, reports)]
}

/**
 * Reads the parameters into the draft. Answers the self-describing event, if there is one. Parameters that have no
 * column are skipped: those of payload_data that Snowplow does not map either, and any in a querystring.
 */
export function readParams(draft: Draft, params: Params, checker: Checker, findings: Findings): Checked | null {
  for (const name of Object.keys(params)) {
    const read = readers.get(name)
    if (read) read(draft, params[name] as string, findings)
  }
  setFromText(draft, networkColumn, 'nuid', textOf(params, 'tnuid') || textOf(params, 'nuid'), findings)
  const encodedEvent = textOf(params, 'ue_px')
  const plainEvent = textOf(params, 'ue_pr')
  const encodedContexts = textOf(params, 'cx')
  const plainContexts = textOf(params, 'co')
  if (plainContexts) draft.contexts = readContexts('co', plainContexts, checker, findings)
  else if (encodedContexts) draft.contexts = readContexts('cx', decode(encodedContexts), checker, findings)
  if (plainEvent) return readUnstruct('ue_pr', plainEvent, checker, findings)
  return encodedEvent ? readUnstruct('ue_px', decode(encodedEvent), checker, findings) : null
}

/** Parameters of a GET, or those of a POST with the querystring's, which win. */
export function withQuerystring(params: Params, querystring: RawEvent['querystring']): Params {
  if (!querystring) return params
  // without a prototype, a parameter named __proto__ is one like any other
  const merged: Record<string, unknown> = Object.assign(Object.create(null), params)
  for (const [name, value] of new URLSearchParams(querystring)) merged[name] = value
  return merged
}

const none: readonly ProtocolViolation[] = Object.freeze([])

function complaint(at: string, name: string, value: unknown): DataReport {
  if (!payloadParameters.has(name)) {
    const shown = name.slice(0, 128)
    const message = `${at}.${shown}: is not defined in the schema and the schema does not allow additional properties`
    return { message, path: at, keyword: 'additionalProperties', targets: [shown] }
  }
  const found = typeName(value)
  const message = `${at}.${name}: ${found} found, string expected`
  return { message, path: `${at}.${name}`, keyword: 'type', targets: [found, 'string'] }
}

const textOf = (params: Params, name: string): string => (Object.hasOwn(params, name) ? (params[name] as string) : '')

/** Base64 with either alphabet, with or without padding; what is no base64 is skipped, and then is no JSON. */
const decode = (text: string): string => Buffer.from(text, 'base64url').toString('utf8')

type Reader = (draft: Draft, text: string, findings: Findings) => void

/** Those that are not converted by the type of their one column; the last six are read after all others. */
const readersOfTheirOwn: ReadonlyMap<string, Reader | null> = new Map<string, Reader | null>([
  ['e', readEventType],
  ['p', readPlatform],
  ['ip', readIpAddress],
  ['sid', readSessionId],
  ['res', sizeReader('res', 'dvce_screenwidth', 'dvce_screenheight')],
  ['ds', sizeReader('ds', 'doc_width', 'doc_height')],
  ['vp', sizeReader('vp', 'br_viewwidth', 'br_viewheight')],
  ['nuid', null],
  ['tnuid', null],
  ['co', null],
  ['cx', null],
  ['ue_pr', null],
  ['ue_px', null],
])

const readers: ReadonlyMap<string, Reader> = new Map(
  Object.entries(parameterColumns).flatMap(([name, [column]]): [string, Reader][] => {
    const own = readersOfTheirOwn.get(name)
    if (own === null) return []
    return [[name, own ?? columnReader(name, column as ColumnName)]]
  }),
)

function columnReader(parameter: string, name: ColumnName): Reader {
  const column = columnOf(name)
  return (draft, text, findings) => setFromText(draft, column, parameter, text, findings)
}

function readEventType(draft: Draft, text: string, findings: Findings): void {
  const event = eventTypes.get(text)
  if (event !== undefined) draft.event = event
  else if (text !== '') findings.unreadable('e', notAnEvent)
}

function readPlatform(draft: Draft, text: string, findings: Findings): void {
  if (platforms.has(text)) draft.platform = text
  else if (text !== '') findings.unreadable('p', notAPlatform)
}

/** The first of a list that proxies have added to. */
function readIpAddress(draft: Draft, text: string, findings: Findings): void {
  const end = text.indexOf(',')
  setFromText(draft, ipColumn, 'ip', (end < 0 ? text : text.slice(0, end)).trim(), findings)
}

function readSessionId(draft: Draft, text: string, findings: Findings): void {
  if (text !== '' && !uuid.test(text)) findings.unreadable('sid', 'Not a valid UUID')
  else setFromText(draft, sessionColumn, 'sid', text.toLowerCase(), findings)
}

/** `1920x1080`. */
function sizeReader(parameter: string, width: ColumnName, height: ColumnName): Reader {
  const widthColumn = columnOf(width)
  const heightColumn = columnOf(height)
  return (draft, text, findings) => {
    if (text === '') return
    const size = dimensions.exec(text)
    if (!size) {
      findings.unreadable(parameter, 'Does not conform to <width>x<height>')
      return
    }
    setFromText(draft, widthColumn, parameter, size[1]!, findings)
    setFromText(draft, heightColumn, parameter, size[2]!, findings)
  }
}

const networkColumn = columnOf('network_userid')
const ipColumn = columnOf('user_ipaddress')
const sessionColumn = columnOf('domain_sessionid')
const dimensions = /^(\d{1,10})x(\d{1,10})$/
