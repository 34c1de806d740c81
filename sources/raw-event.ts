/** Raw events: what every source writes to `events.raw`, one record per event, under the key of the client it came from. */
import { createHash } from 'node:crypto'
import type { Key } from '../runtime/operator.ts'
import type { RawEvent, RawFailure, RawFormat } from '../schemas/avro/types.ts'

/** Where a payload came from: all of a raw event but its content. */
export type Origin = Omit<RawEvent, 'format' | 'index' | 'body' | 'failure'>

/** The parts of an origin that only a request over HTTP has. */
export const noRequest = {
  vendor: null,
  version: null,
  collector: null,
  contentType: null,
  hostname: null,
  ipAddress: null,
  userAgent: null,
  refererUri: null,
  networkUserId: null,
  headers: [],
  querystring: null,
} as const satisfies Partial<Origin>

/** A raw event and the key of its record. */
export type Sourced = { readonly raw: RawEvent; readonly key: Key }

/** The fields of an event as it was received: tracker-protocol parameters, or atomic columns. Only own fields count. */
export type Fields = Readonly<Record<string, unknown>>

/** Formats whose bodies hold events; of `thrift` there are only failures. */
export type EventFormat = Exclude<RawFormat, 'thrift'>

/** Bytes of a raw event's texts: leaves room for what VALIDATE adds, and for a bad row, within the 256 KiB of a record. */
export const rawBytesMax = 160 * 1024

/** The network user id of everyone who asks not to be known: it identifies nobody. */
export const anonymousNetworkUserId = '00000000-0000-0000-0000-000000000000'

/**
 * One event. `fields` is what `body` and the querystring say, and is read for the client's identifiers only.
 * An event that is too large becomes a failure of kind size, with the head of its body.
 */
export function rawEvent(origin: Origin, format: EventFormat, index: number, body: string, fields: Fields): Sourced {
  const client = clientOf(format, fields, origin.networkUserId)
  return { raw: bounded(origin, format, index, body, null), key: keyOf(origin, index, client) }
}

/** A payload, or a part of one, that holds no event that can be read. It has a key of its own: nobody's order depends on it. */
export function failedRawEvent(
  origin: Origin,
  format: RawFormat,
  index: number,
  body: string,
  failure: RawFailure,
): Sourced {
  return { raw: bounded(origin, format, index, body, failure), key: keyOf(origin, index, null) }
}

/** `field` is not JSON. */
export const notJson = (field: string, message: string): RawFailure => failureOf('json', field, message)

/** `field` is JSON, or text, but not what the protocol expects. */
export const notExpected = (field: string, expectation: string): RawFailure => failureOf('data', field, expectation)

export const tooLarge = (field: string, actualBytes: number, maximumBytes: number): RawFailure => ({
  ...failureOf('size', field, `at most ${maximumBytes} bytes are accepted`),
  actualBytes,
  maximumBytes,
})

/** How much of a text that is too large is kept: enough to recognise it, too little to be an event. */
export const keptOf = (body: string, maximumBytes: number): string =>
  wellFormedHead(body, Math.floor(maximumBytes / 10))

/**
 * The best identifier a client sends of itself: device or cookie before user, the event's own id last. Null when there
 * is none. An anonymous network user id is not one: it would send all anonymous visitors to one client.
 */
export function clientOf(format: EventFormat, fields: Fields, networkUserId: string | null): string | null {
  const names = clientFields[format === 'tsv' ? 'ndjson' : format]
  return (
    textOf(fields, names.device) ??
    textOf(fields, names.user) ??
    known(textOf(fields, names.trackerNetwork)) ??
    known(textOf(fields, names.network)) ??
    known(networkUserId) ??
    textOf(fields, names.event)
  )
}

type ClientFields = Readonly<Record<'device' | 'user' | 'trackerNetwork' | 'network' | 'event', string>>

const clientFields = {
  tp2: { device: 'duid', user: 'uid', trackerNetwork: 'tnuid', network: 'nuid', event: 'eid' },
  ndjson: {
    device: 'domain_userid',
    user: 'user_id',
    trackerNetwork: 'network_userid',
    network: 'network_userid',
    event: 'event_id',
  },
  segment: { device: 'anonymousId', user: 'userId', trackerNetwork: '', network: '', event: 'messageId' },
} as const satisfies Record<string, ClientFields>

const known = (id: string | null): string | null => (id === anonymousNetworkUserId || id === '' ? null : id)

function textOf(fields: Fields, name: string): string | null {
  if (!Object.hasOwn(fields, name)) return null
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : null
}

/** Printable ASCII without the slash that ends the tenant, at most 128 characters: safe in a key as it is. */
const plainClient = /^[!-.0-~]{1,128}$/

function keyOf(origin: Origin, index: number, client: string | null): Key {
  const name = client ?? `${origin.payloadId}-${index}`
  if (plainClient.test(name)) return `${origin.tenant}/${name}`
  return `${origin.tenant}/sha256:${createHash('sha256').update(name).digest('base64url')}`
}

function bounded(origin: Origin, format: RawFormat, index: number, body: string, failure: RawFailure | null): RawEvent {
  const bytes = Buffer.byteLength(body) + (origin.querystring === null ? 0 : Buffer.byteLength(origin.querystring))
  if (bytes <= rawBytesMax) return { ...origin, format, index, body, failure }
  const { querystring } = origin
  return {
    ...origin,
    format,
    index,
    querystring: querystring === null ? null : keptOf(querystring, rawBytesMax),
    body: keptOf(body, rawBytesMax),
    failure: failure ?? tooLarge('event', bytes, rawBytesMax),
  }
}

const failureOf = (kind: RawFailure['kind'], field: string, message: string): RawFailure => ({
  kind,
  field,
  message,
  actualBytes: null,
  maximumBytes: null,
})

/** The first `length` UTF-16 units, one fewer where that would cut a pair in two. */
function wellFormedHead(text: string, length: number): string {
  if (text.length <= length) return text
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}
