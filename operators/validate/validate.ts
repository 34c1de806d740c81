/** VALIDATE: what was received becomes an event, or a bad row that says why not. Never both, never neither. */

import { MillraceError } from '../../runtime/errors.ts'
import { type Context, count, type Effect, emit, type Inbound, type Operator, pass } from '../../runtime/operator.ts'
import { schemaType } from '../../schemas/avro/index.ts'
import type { BadRow, Event, RawEvent, RawFailure, SelfDescribing } from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { isTimestampMs } from '../../schemas/timestamp.ts'
import { uuidV5 } from '../ids.ts'
import {
  adapterFailures,
  enrichmentFailures,
  formatViolation,
  genericError,
  loaderParsingError,
  type Parameters,
  schemaViolations,
  sizeViolation,
  trackerProtocolViolations,
} from './bad-row.ts'
import { columnOf, setColumn } from './columns.ts'
import { type Draft, newDraft } from './draft.ts'
import { enrich } from './enrich/enrich.ts'
import { failedEvent } from './failed-event.ts'
import { Findings, invalid, type ProtocolViolation } from './failure.ts'
import { isIgluWebhook, webhookParams } from './iglu-webhook.ts'
import { isObject, parseJson } from './json.ts'
import * as ndjson from './ndjson.ts'
import { processor, version } from './processor.ts'
import { schemaBookOf } from './schema-book.ts'
import { snowplow } from './schema-key.ts'
import * as segment from './segment.ts'
import type { Checked, Checker } from './self-describing.ts'
import * as tp2 from './tp2.ts'
import * as tsv from './tsv.ts'
import { schemaKeyOfEvent } from './vocabulary.ts'

/** An event is never larger, in Avro: what later stages put around it must fit a record too. */
export const eventBytesMax = 224 * 1024

/**
 * In: `event` (RawEvent) of `events.raw` by tenant/client; other kinds are passed on as they are. No state. Out, in place:
 * `event` (Event) to the next operator, or `bad` (BadRow) to `events.bad`, and to `events.failed` what was good of the
 * event, where it could be read. Counts raw.events = valid + bad. Depends on the record, its log time and the tenant's
 * schemas alone; throws on nothing a stranger can send, but SCHEMA_MISSING while registries are being asked for a schema.
 * Formats and limits:
 * Snowplow's, as its documentation states them; where we differ, docs/decisions says so.
 */
export const validate: Operator<Inbound, null, Definitions> = {
  name: 'validate',
  state: null,
  process({ kind, key, value }, { definitions, logTimeMs }: Context<null, Definitions>): readonly Effect[] {
    if (kind !== 'event') return [pass(kind, key, value)]
    const read = eventOf(value as RawEvent, definitions, logTimeMs)
    if ('event' in read) return [counted, countedValid, pass('event', key, read.event)]
    const bad = [counted, countedBad, emit('events.bad', 'bad', key, read.bad)]
    return read.failed ? [...bad, emit('events.failed', 'failed', key, read.failed)] : bad
  },
}

const counted = count('raw.events')
const countedValid = count('valid')
const countedBad = count('bad')

/** Failed: the event's shape, where there was enough to read of it. */
type Read = { readonly event: Event } | { readonly bad: BadRow; readonly failed?: Event }

function eventOf(raw: RawEvent, definitions: Definitions | undefined, atMs: number): Read {
  if (!definitions) return { bad: genericError(raw, atMs, [`tenant ${raw.tenant} has no definitions`]) }
  const webhook = isIgluWebhook(raw)
  if (raw.format === 'tp2' && !webhook && raw.vendor !== null && !isTrackerProtocol(raw.vendor, raw.version)) {
    return { bad: unsupported(raw, atMs) }
  }
  if (raw.failure) return { bad: failedPayload(raw, raw.failure, atMs) }
  if (webhook) return fromWebhook(raw, definitions, atMs)
  switch (raw.format) {
    case 'tp2':
      return fromTp2(raw, definitions, atMs)
    case 'ndjson':
      return fromNdjson(raw, definitions, atMs)
    case 'tsv':
      return fromTsv(raw, definitions, atMs)
    case 'segment':
      return fromSegment(raw, definitions, atMs)
    case 'thrift':
      return { bad: formatViolation(raw, atMs, 'a collector payload is split by what reads it') }
  }
}

function fromTp2(raw: RawEvent, definitions: Definitions, atMs: number): Read {
  let params: tp2.Params = {}
  if (raw.body !== '') {
    const parsed = parseJson(raw.body)
    if (parsed.error !== null) {
      return { bad: failedPayload(raw, { kind: 'json', field: 'body', message: parsed.error }, atMs) }
    }
    if (!isObject(parsed.value)) {
      return { bad: failedPayload(raw, { kind: 'data', field: 'body', message: 'a JSON object' }, atMs) }
    }
    const violations = tp2.protocolViolations(parsed.value, raw.index)
    if (violations.length > 0) return { bad: trackerProtocolViolations(raw, atMs, violations) }
    params = parsed.value
  }
  params = tp2.withQuerystring(params, raw.querystring)
  if (raw.body === '' && Object.keys(params).length === 0) {
    return {
      bad: adapterFailures(raw, atMs, [{ field: 'querystring', value: null, expectation: 'at least one parameter' }]),
    }
  }
  return fromParams(raw, params, definitions, atMs)
}

function fromWebhook(raw: RawEvent, definitions: Definitions, atMs: number): Read {
  const call = webhookParams(raw)
  return 'lacks' in call
    ? { bad: adapterFailures(raw, atMs, [call.lacks]) }
    : fromParams(raw, call.params, definitions, atMs)
}

function fromParams(raw: RawEvent, params: tp2.Params, definitions: Definitions, atMs: number): Read {
  const findings = new Findings()
  const draft = newDraft()
  const unstruct = tp2.readParams(draft, params, checkerOf(definitions, atMs), findings)
  return finished(raw, draft, unstruct, findings, params, definitions, atMs)
}

function fromNdjson(raw: RawEvent, definitions: Definitions, atMs: number): Read {
  const parsed = parseJson(raw.body, definitions.iglu?.integers)
  if (parsed.error !== null) return { bad: formatViolation(raw, atMs, parsed.error) }
  if (!isObject(parsed.value)) return { bad: formatViolation(raw, atMs, 'a JSON object was expected') }
  const findings = new Findings()
  const draft = newDraft()
  const unstruct = ndjson.readFields(draft, parsed.value, checkerOf(definitions, atMs), findings)
  return finished(raw, draft, unstruct, findings, parsed.value, definitions, atMs)
}

function fromTsv(raw: RawEvent, definitions: Definitions, atMs: number): Read {
  const parsed = tsv.rowOf(raw.body)
  if ('error' in parsed) return { bad: loaderParsingError(raw, atMs, parsed.error) }
  const errors = tsv.rowErrors(parsed.row)
  if (errors.length > 0) return { bad: loaderParsingError(raw, atMs, { type: 'RowDecodingError', errors }) }
  const findings = new Findings()
  const draft = newDraft()
  const unstruct = tsv.readRow(draft, parsed.row, checkerOf(definitions, atMs), findings)
  return finished(raw, draft, unstruct, findings, parsed.row, definitions, atMs)
}

function fromSegment(raw: RawEvent, definitions: Definitions, atMs: number): Read {
  const parsed = parseJson(raw.body)
  if (parsed.error !== null) {
    return { bad: failedPayload(raw, { kind: 'json', field: 'body', message: parsed.error }, atMs) }
  }
  if (!isObject(parsed.value)) {
    return { bad: failedPayload(raw, { kind: 'data', field: 'body', message: 'a JSON object' }, atMs) }
  }
  const violations = segment.callViolations(parsed.value)
  if (violations.length > 0) return { bad: adapterFailures(raw, atMs, violations) }
  const findings = new Findings()
  const draft = newDraft()
  const unstruct = segment.readCall(draft, parsed.value, checkerOf(definitions, atMs), findings)
  return finished(raw, draft, unstruct, findings, parsed.value, definitions, atMs)
}

const checkerOf = (definitions: Definitions, atMs: number): Checker => ({ book: schemaBookOf(definitions), atMs })

/** What both formats have in common once their fields are read. */
function finished(
  raw: RawEvent,
  draft: Draft,
  unstruct: Checked | null,
  findings: Findings,
  fields: Parameters,
  definitions: Definitions,
  atMs: number,
): Read {
  if (findings.awaited) throw new MillraceError('SCHEMA_MISSING', `registries are being asked for ${findings.awaited}`)
  setSource(draft, raw, atMs, findings)
  draft.unstruct_event = unstruct?.json ?? null
  if (draft.event === 'unstruct' && !unstruct && findings.schema.length === 0) {
    findings.schema.push({
      field: 'unstruct_event',
      value: null,
      error: 'an unstruct event needs a self-describing event',
    })
  }
  if (findings.parse.length > 0) findings.schema.push(invalid(snowplow.atomic, findings.parse))
  // a bad row tells of the first phase that failed, and shows the event as it was then; a failed event tells of all
  let bad = findings.schema.length > 0 ? schemaViolations(raw, atMs, findings.schema, draft, fields) : null

  if (findings.notes.size > 0) draft.derived_contexts = [...draft.derived_contexts, ...findings.notes.values()]
  setSchemaKey(draft, unstruct, findings)
  const entities: SelfDescribing[] = []
  enrich(draft, { raw, fields, atMs, findings, entities }, definitions)
  if (entities.length > 0) draft.derived_contexts = [...draft.derived_contexts, ...entities]
  draft.event_id ??= missingEventId(raw, draft)
  if (findings.derived.length > 0) bad ??= enrichmentFailures(raw, atMs, findings.derived, draft, fields)
  const last = findings.lengths.length > 0 ? [invalid(snowplow.atomic, findings.lengths)] : []
  const violations = [...findings.entities, ...last]
  if (violations.length > 0) bad ??= schemaViolations(raw, atMs, violations, draft, fields)
  if (!bad) return withinSize(raw, draft, atMs)
  return { bad, failed: failedEvent(draft, findings, fields, atMs, eventBytesMax) }
}

/** What the source says of the event, where the event itself does not. */
function setSource(draft: Draft, raw: RawEvent, atMs: number, findings: Findings): void {
  draft.tenant = raw.tenant
  draft.source = raw.source
  draft.payload_id = raw.payloadId
  draft.payload_index = raw.index
  draft.v_etl = vEtl
  if (draft.v_collector === null && raw.collector) setColumn(draft, collectorColumn, raw.collector, findings)
  draft.v_collector ??= `millrace-${raw.source}-${version}`
  draft.collector_tstamp ??= raw.collectorTstampMs
  draft.etl_tstamp ??= isTimestampMs(atMs) ? atMs : null
  if (draft.network_userid === null && raw.networkUserId) setColumn(draft, networkColumn, raw.networkUserId, findings)
  if (draft.user_ipaddress === null && raw.ipAddress) setColumn(draft, ipColumn, raw.ipAddress, findings)
  if (draft.useragent === null && raw.userAgent) setColumn(draft, agentColumn, raw.userAgent, findings)
  if (draft.page_url === null && raw.refererUri) setColumn(draft, urlColumn, raw.refererUri, findings)
}

const vEtl = `${processor.artifact}-${version}`
const collectorColumn = columnOf('v_collector')
const networkColumn = columnOf('network_userid')
const ipColumn = columnOf('user_ipaddress')
const agentColumn = columnOf('useragent')
const urlColumn = columnOf('page_url')

function setSchemaKey(draft: Draft, unstruct: Checked | null, findings: Findings): void {
  const key = draft.event === 'unstruct' ? unstruct?.schema : schemaKeyOfEvent(draft.event)
  if (!key) {
    // that it has no type, or no data, was found before
    if (findings.schema.length > 0 && (draft.event === null || draft.event === 'unstruct')) return
    findings.underivable('event', draft.event, 'a type of event that has a schema')
    return
  }
  draft.event_vendor = key.vendor
  draft.event_name = key.name
  draft.event_format = key.format
  draft.event_version = key.version
}

/** The same for every reading of the log, and another for every event received. */
function missingEventId({ payloadId, index }: RawEvent, { event_fingerprint, collector_tstamp }: Draft): string {
  return uuidV5(`event|${event_fingerprint}|${collector_tstamp}|${payloadId}|${index}`)
}

function withinSize(raw: RawEvent, draft: Draft, atMs: number): Read {
  // what came small stays small: a number written as 1e20 grows fivefold at most
  if (raw.body.length + (raw.querystring?.length ?? 0) < smallLengthMax) return { event: draft }
  const actualBytes = eventType.toBuffer(draft).length
  if (actualBytes <= eventBytesMax) return { event: draft }
  const size = { actualBytes, maximumBytes: eventBytesMax, expectation: `an event of at most ${eventBytesMax} bytes` }
  return { bad: sizeViolation(raw, atMs, size, raw.body.slice(0, keptLengthMax)) }
}

const smallLengthMax = 16 * 1024
const keptLengthMax = 16 * 1024
const eventType = schemaType('Event')

const isTrackerProtocol = (vendor: string, protocol: string | null): boolean =>
  vendor === 'com.snowplowanalytics.snowplow' && (protocol === 'tp2' || protocol === 'tp1')

function unsupported(raw: RawEvent, atMs: number): BadRow {
  const value = `${raw.vendor}/${raw.version}`
  return adapterFailures(raw, atMs, [
    { field: 'vendor/version', value, expectation: 'vendor/version combination is not supported' },
  ])
}

type Failed = Pick<RawFailure, 'kind' | 'field' | 'message'> & Partial<RawFailure>

/** The bad row of a payload, or a part of one, in which there is no event to read. */
function failedPayload(raw: RawEvent, { kind, field, message, ...size }: Failed, atMs: number): BadRow {
  if (kind === 'size') {
    const { actualBytes, maximumBytes } = size
    const told = { actualBytes: actualBytes ?? 0, maximumBytes: maximumBytes ?? 0, expectation: message }
    return sizeViolation(raw, atMs, told, raw.body)
  }
  if (raw.format !== 'tp2' && raw.format !== 'segment') return formatViolation(raw, atMs, message)
  const value = (field === 'contentType' ? raw.contentType : raw.body)?.slice(0, quotedLengthMax) ?? null
  const violation: ProtocolViolation =
    kind === 'json' ? { field, value, error: message } : { field, value, expectation: message.slice(0, 256) }
  const violated = raw.format === 'segment' ? adapterFailures : trackerProtocolViolations
  return violated(raw, atMs, [violation])
}

const quotedLengthMax = 1_000
