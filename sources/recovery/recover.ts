/** Bad rows become raw events again, once a flow has mended what was wrong with them. */

import type { BadRow } from '../../schemas/avro/types.ts'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { payloadParameters, requiredParameters } from '../../schemas/payload-data.ts'
import { timestampMs } from '../../schemas/timestamp.ts'
import { isObject, splitPayload } from '../payload.ts'
import { noRequest, type Origin, rawEvent, type Sourced } from '../raw-event.ts'
import { eventOfGet, eventsOfPost } from '../request.ts'
import { splitCalls } from '../segment.ts'
import type { Flows, Row } from './flow.ts'
import { Unrecoverable } from './place.ts'

export type Recovery =
  /** No flow is for it. */
  | { readonly outcome: 'unmatched' }
  /** Of a kind that does not hold enough of an event. */
  | { readonly outcome: 'unrecoverable' }
  | { readonly outcome: 'recovered'; readonly events: readonly Sourced[] }
  /** The flow did not fit. `row` says so, in the place of the one that stays bad; null: that one said so already. */
  | { readonly outcome: 'failed'; readonly error: string; readonly row: BadRow | null }

const badRows = 'iglu:com.snowplowanalytics.snowplow.badrows/'
const recoveryError = `${badRows}recovery_error/jsonschema/1-0-1`

/**
 * The raw events of a bad row, mended: with the ids and the time of receipt they had, so that whatever is recovered
 * twice is known for a duplicate. A row of a recovery that failed stands for the row it holds.
 */
export function recover(bad: BadRow, flows: Flows, processor: Processor): Recovery {
  const data = JSON.parse(bad.data) as Row['data']
  const again = bad.schema === recoveryError
  const row = again ? (data.payload as Row) : { schema: bad.schema, data }
  const flow = flows(row)
  if (!flow) return { outcome: 'unmatched' }
  const kind = row.schema.slice(badRows.length).split('/', 1)[0] ?? ''
  const rebuild = rebuilders.get(kind)
  if (!rebuild) return { outcome: 'unrecoverable' }
  try {
    return { outcome: 'recovered', events: rebuild(flow.apply(row.data.payload), bad) }
  } catch (error) {
    if (!(error instanceof Unrecoverable)) throw error
    const failure = { error: error.message, configName: flow.name }
    return { outcome: 'failed', error: error.message, row: again ? null : failedRow(bad, row, failure, processor) }
  }
}

export type Processor = { readonly artifact: string; readonly version: string }

function failedRow(bad: BadRow, row: Row, failure: object, processor: Processor): BadRow {
  return { ...bad, schema: recoveryError, data: JSON.stringify({ processor, failure, payload: row, recoveries: 1 }) }
}

type Rebuild = (payload: unknown, bad: BadRow) => readonly Sourced[]

const rebuilders: ReadonlyMap<string, Rebuild> = new Map<string, Rebuild>([
  ['schema_violations', ofParameters],
  ['enrichment_failures', ofParameters],
  ['tracker_protocol_violations', ofRequest],
  ['adapter_failures', ofRequest],
])

/** Of parameters that were merged, converted, and found wanting. */
function ofParameters(payload: unknown, bad: BadRow): readonly Sourced[] {
  const { raw, enriched } = objectOf(payload, 'the payload')
  const request = objectOf(raw, 'payload.raw')
  const parameters = Object.fromEntries(pairsOf(request['parameters']))
  const source = textIn(request, 'loaderName') ?? 'recover'
  const collector = isObject(enriched) ? textIn(enriched, 'v_collector') : null
  const origin: Origin = {
    ...originOf(request, bad),
    source,
    // ours is named for the source again
    collector: collector?.startsWith(`millrace-${source}-`) ? null : collector,
    networkUserId: textIn(request, 'userId'),
  }
  switch (formatOf(request)) {
    case 'ndjson':
      return [jsonEvent(origin, 'ndjson', bad.index, parameters)]
    case 'segment':
      return [jsonEvent(origin, 'segment', bad.index, parameters)]
    case 'tsv': {
      const line = contract.map(({ name }) => parameters[name] ?? '').join('\t')
      return [rawEvent(origin, 'tsv', bad.index, line, parameters)]
    }
    default:
      return [trackerEvent(origin, bad.index, parameters)]
  }
}

type Parameters = Readonly<Record<string, string | null>>

function jsonEvent(origin: Origin, format: 'ndjson' | 'segment', index: number, parameters: Parameters): Sourced {
  const fields = Object.fromEntries(Object.entries(parameters).map(([name, text]) => [name, text && jsonIn(text)]))
  return rawEvent(origin, format, index, JSON.stringify(fields), fields)
}

/** What a POST may have goes into a body, the rest into a querystring, where anything goes. */
function trackerEvent(origin: Origin, index: number, parameters: Parameters): Sourced {
  const posted = requiredParameters.every((name) => Object.hasOwn(parameters, name))
  const isIn = ([name]: readonly [string, unknown]): boolean => posted && payloadParameters.has(name)
  const entries = Object.entries(parameters)
  const querystring = querystringOf(entries.filter((entry) => !isIn(entry)))
  const body = posted ? JSON.stringify(Object.fromEntries(entries.filter(isIn))) : ''
  const known = origin.vendor === null ? {} : trackerEndpoint
  return rawEvent({ ...origin, ...known, querystring }, 'tp2', index, body, parameters)
}

const trackerEndpoint = { vendor: 'com.snowplowanalytics.snowplow', version: 'tp2' } as const

/** Of a request that no event could be read from. */
function ofRequest(payload: unknown, bad: BadRow): readonly Sourced[] {
  const request = objectOf(payload, 'the payload')
  const origin: Origin = {
    ...originOf(request, bad),
    source: textIn(request, 'collector') ?? 'recover',
    networkUserId: textIn(request, 'networkUserId'),
    querystring: querystringOf(pairsOf(request['querystring'])),
  }
  const events = eventsOfBody(origin, formatOf(request), textIn(request, 'body'))
  // one event stands where it stood in its payload, on which its id may rest
  return events.length === 1 ? events.map(({ key, raw }) => ({ key, raw: { ...raw, index: bad.index } })) : events
}

function eventsOfBody(origin: Origin, format: string, body: string | null): readonly Sourced[] {
  if (format === 'segment') return splitCalls(origin, body ?? '')
  if (body === null) return [eventOfGet(origin)]
  return origin.vendor === null ? splitPayload(origin, body) : eventsOfPost(origin, Buffer.from(body))
}

function originOf(request: Readonly<Record<string, unknown>>, bad: BadRow): Origin {
  const collectorTstampMs = timestampMs(textIn(request, 'timestamp') ?? '')
  if (collectorTstampMs === undefined) throw new Unrecoverable('its timestamp is none')
  const vendor = textIn(request, 'vendor')
  const headers = request['headers']
  return {
    ...noRequest,
    tenant: bad.tenant,
    source: 'recover',
    payloadId: bad.payloadId,
    collectorTstampMs,
    // what came by no request was given our own name
    vendor: vendor === 'millrace' ? null : vendor,
    version: vendor === 'millrace' ? null : textIn(request, 'version'),
    contentType: textIn(request, 'contentType'),
    hostname: textIn(request, 'hostname'),
    ipAddress: textIn(request, 'ipAddress'),
    userAgent: textIn(request, 'useragent'),
    refererUri: textIn(request, 'refererUri'),
    headers: Array.isArray(headers) ? headers.filter((header) => typeof header === 'string') : [],
  }
}

/** Of what came by no request the version is our name of the format. */
function formatOf(request: Readonly<Record<string, unknown>>): string {
  if (textIn(request, 'vendor') === 'millrace') return textIn(request, 'version') ?? 'tp2'
  return textIn(request, 'vendor') === 'com.segment' ? 'segment' : 'tp2'
}

const querystringOf = (pairs: readonly (readonly [string, string | null])[]): string | null =>
  new URLSearchParams(pairs.map(([name, value]) => [name, value ?? ''] as [string, string])).toString() || null

function pairsOf(value: unknown): [string, string | null][] {
  if (!Array.isArray(value)) return []
  return value.map((pair: unknown) => {
    const { name, value: text } = objectOf(pair, 'a parameter')
    if (typeof name !== 'string') throw new Unrecoverable('a parameter has no name')
    return [name, typeof text === 'string' ? text : text == null ? null : JSON.stringify(text)]
  })
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Unrecoverable(`${what} is no object`)
  return value
}

const textIn = (value: Readonly<Record<string, unknown>>, name: string): string | null => {
  const text = Object.hasOwn(value, name) ? value[name] : null
  return typeof text === 'string' && text !== '' ? text : null
}

/** Objects and lists were written as JSON. */
function jsonIn(text: string): unknown {
  if (!/^[{[]/.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
