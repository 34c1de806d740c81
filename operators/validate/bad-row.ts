/**
 * Bad rows: what could not become an event, and why, in Snowplow's formats, so that tools made for those read ours.
 * https://docs.snowplow.io/docs/fundamentals/failed-events/ and the Apache-2.0 library snowplow-badrows.
 */

import type { BadRow, RawEvent } from '../../schemas/avro/types.ts'
import { timestampMsMax, timestampMsMin, timestampText } from '../../schemas/timestamp.ts'
import { columns, uuid } from './columns.ts'
import type { Draft } from './draft.ts'
import { contextsText, unstructText } from './envelope.ts'
import { type EnrichmentFailure, type ProtocolViolation, reportsMax, type SchemaViolation } from './failure.ts'
import { processor } from './processor.ts'
import { snowplow } from './schema-key.ts'
import type { RowError } from './tsv.ts'

/** Parameters as they came, merged, by name. */
export type Parameters = Readonly<Record<string, unknown>>

/** A bad row is never larger: it must fit a record. */
export const badRowBytesMax = 200 * 1024

/** `atMs` of all of these is log time. */
export function schemaViolations(
  raw: RawEvent,
  atMs: number,
  messages: readonly SchemaViolation[],
  event: Draft,
  parameters: Parameters,
): BadRow {
  const failure = { timestamp: iso(atMs), messages: messages.slice(0, reportsMax) }
  return badRow(raw, atMs, kinds.schema, failure, enrichedPayload(raw, event, parameters))
}

export function enrichmentFailures(
  raw: RawEvent,
  atMs: number,
  messages: readonly EnrichmentFailure[],
  event: Draft,
  parameters: Parameters,
): BadRow {
  const failure = { timestamp: iso(atMs), messages }
  return badRow(raw, atMs, kinds.enrichment, failure, enrichedPayload(raw, event, parameters))
}

/** The payload, or this event of it, breaks the tracker protocol. */
export function trackerProtocolViolations(raw: RawEvent, atMs: number, messages: readonly ProtocolViolation[]): BadRow {
  return badRow(raw, atMs, kinds.protocol, protocolFailure(raw, atMs, messages), collectorPayload(raw))
}

/** The payload came to a place, or in a form, that nothing here reads. */
export function adapterFailures(raw: RawEvent, atMs: number, messages: readonly ProtocolViolation[]): BadRow {
  return badRow(raw, atMs, kinds.adapter, protocolFailure(raw, atMs, messages), collectorPayload(raw))
}

/** A part of a file that is no event at all. */
export function formatViolation(raw: RawEvent, atMs: number, error: string): BadRow {
  const { format, body } = raw
  const failure = { timestamp: iso(atMs), loader: format, message: { error: error.slice(0, 512) } }
  return badRow(raw, atMs, kinds.format, failure, format === 'thrift' ? body : Buffer.from(body).toString('base64'))
}

/** A line that is no enriched event, in the words of the loaders, which read such lines in Snowplow's pipelines. */
export function loaderParsingError(raw: RawEvent, atMs: number, failure: RowError): BadRow {
  return badRow(raw, atMs, kinds.parsing, failure, raw.body)
}

/** Something is larger than we keep. The payload is the head of it. */
export function sizeViolation(
  raw: RawEvent,
  atMs: number,
  size: { readonly actualBytes: number; readonly maximumBytes: number; readonly expectation: string },
  head: string,
): BadRow {
  const failure = {
    timestamp: iso(atMs),
    maximumAllowedSizeBytes: size.maximumBytes,
    actualSizeBytes: size.actualBytes,
    expectation: size.expectation,
  }
  return badRow(raw, atMs, kinds.size, failure, wellFormed(head))
}

export function genericError(raw: RawEvent, atMs: number, errors: readonly string[]): BadRow {
  return badRow(raw, atMs, kinds.generic, { timestamp: iso(atMs), errors }, raw.body)
}

const kinds = {
  schema: 'schema_violations/jsonschema/2-0-1',
  enrichment: 'enrichment_failures/jsonschema/2-0-1',
  protocol: 'tracker_protocol_violations/jsonschema/1-0-1',
  adapter: 'adapter_failures/jsonschema/1-0-0',
  format: 'collector_payload_format_violation/jsonschema/1-0-0',
  parsing: 'loader_parsing_error/jsonschema/2-0-0',
  size: 'size_violation/jsonschema/1-0-0',
  generic: 'generic_error/jsonschema/1-0-0',
} as const

/** A row that would be too large becomes a size violation that holds the head of it: processor and failure stand first there. */
function badRow(raw: RawEvent, atMs: number, kind: string, failure: object, payload: unknown): BadRow {
  const { tenant, payloadId, index } = raw
  const data = JSON.stringify({ processor, failure, payload })
  const actualBytes = Buffer.byteLength(data)
  if (actualBytes > badRowBytesMax) {
    const expectation = `a bad row (${kind}) of at most ${badRowBytesMax} bytes`
    return sizeViolation(raw, atMs, { actualBytes, maximumBytes: badRowBytesMax, expectation }, data.slice(0, 10_000))
  }
  return { tenant, schema: `iglu:com.snowplowanalytics.snowplow.badrows/${kind}`, data, payloadId, index }
}

const protocolFailure = (raw: RawEvent, atMs: number, messages: readonly ProtocolViolation[]): object => ({
  timestamp: iso(atMs),
  ...adapterOf(raw),
  messages: messages.slice(0, reportsMax),
})

function collectorPayload(raw: RawEvent): object {
  return {
    ...adapterOf(raw),
    querystring: raw.querystring === null ? [] : [...new URLSearchParams(raw.querystring)].map(nameValue),
    contentType: head(raw.contentType, 256),
    body: bodyOf(raw),
    collector: head(raw.collector ?? raw.source, 32),
    ...requestOf(raw),
    networkUserId: uuidOf(raw),
  }
}

/** One event of a POST as a POST of its own, which a collector would take as it is. */
function bodyOf({ format, failure, vendor, body }: RawEvent): string | null {
  if (body === '') return null
  const isElement = format === 'tp2' && failure === null && (vendor === null || vendor === trackerVendor)
  return isElement ? `{"schema":"${snowplow.payloadData}","data":[${body}]}` : body
}

const trackerVendor = 'com.snowplowanalytics.snowplow'

function enrichedPayload(raw: RawEvent, event: Draft, parameters: Parameters): object {
  return {
    enriched: enriched(event),
    raw: {
      ...adapterOf(raw),
      parameters: Object.entries(parameters).map(([name, value]) =>
        nameValue([name, value === null ? null : textOf(value)]),
      ),
      contentType: head(raw.contentType, 256),
      loaderName: head(raw.collector ?? raw.source, 32),
      ...requestOf(raw),
      userId: uuidOf(raw),
    },
  }
}

// The published schemas bound these texts. Parameters are bounded there as well, but are kept whole here, as in
// Snowplow: without them nothing could be recovered.

const adapterOf = ({ vendor, version, format }: RawEvent): object => ({
  vendor: head(vendor ?? 'millrace', 64),
  version: head(version ?? format, 16),
})

const requestOf = (raw: RawEvent): object => ({
  encoding: 'UTF-8',
  hostname: head(raw.hostname, 8_192),
  timestamp: iso(raw.collectorTstampMs),
  ipAddress: head(raw.ipAddress, 128),
  useragent: head(raw.userAgent, 4_096),
  refererUri: head(raw.refererUri, 8_192),
  headers: raw.headers.map((header) => head(header, 8_192)),
})

const head = (text: string | null, length: number): string | null => text && wellFormed(text.slice(0, length))

/** Cookies of others may hold what is none; the published schemas take nothing else, and the headers have it too. */
const uuidOf = ({ networkUserId }: RawEvent): string | null =>
  networkUserId !== null && uuid.test(networkUserId) ? networkUserId : null

/** All 131 columns as Snowplow's own bad rows have them: flags as 0 and 1, decimals and self-describing parts as text. */
function enriched(event: Draft): Readonly<Record<string, unknown>> {
  const row: Record<string, unknown> = {}
  for (const { name, type } of columns.values()) {
    const value = event[name]
    if (typeof value === 'boolean') row[name] = value ? 1 : 0
    else if (typeof value === 'number' && type === 'timestamp') row[name] = timestampText(value)
    else if (name === 'txn_id' && value !== null) row[name] = String(value)
    else row[name] = value
  }
  row['contexts'] = contextsText(event.contexts)
  row['derived_contexts'] = contextsText(event.derived_contexts)
  row['unstruct_event'] = event.unstruct_event && unstructText(event.unstruct_event)
  return row
}

const nameValue = ([name, value]: readonly [string, string | null]): object => ({ name, value })

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const iso = (ms: number): string => new Date(Math.min(Math.max(ms, timestampMsMin), timestampMsMax)).toISOString()

/** Cutting a text may have left half of a pair. */
const wellFormed = (text: string): string => text.replace(/[\ud800-\udbff]$/, '')
