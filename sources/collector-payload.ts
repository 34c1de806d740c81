/**
 * What Snowplow's collectors write to their raw topic: a Thrift struct for each request,
 * iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0.
 */
import { isTimestampMs } from '../schemas/timestamp.ts'
import { failedRawEvent, noRequest, notExpected, type Origin, type Sourced, tooLarge } from './raw-event.ts'
import { eventOfGet, eventsOfPost } from './request.ts'
import { readStruct, type ThriftValue } from './thrift.ts'

/** A payload is never larger: that is what a collector takes, with room for its headers. */
export const collectorPayloadBytesMax = 2 * 1024 * 1024

/** What is known of a payload before it is read: whose it is, what wrote it, its id. */
export type PayloadOrigin = Pick<Origin, 'tenant' | 'source' | 'payloadId' | 'collectorTstampMs'>

/** The raw events of a request, as if it had been made here at the time it was made there. What is no payload is one failure. Never empty. */
export function eventsOfCollectorPayload(known: PayloadOrigin, bytes: Buffer): readonly Sourced[] {
  const payload = collectorPayloadOf(bytes)
  if ('error' in payload) {
    return [failedPayload(known, bytes, notExpected('payload', `a collector payload, not ${payload.error}`))]
  }
  const { body, ...request } = payload
  const origin: Origin = { ...known, ...request }
  return body === null ? [eventOfGet(origin)] : eventsOfPost(origin, body)
}

/** A payload that is larger than it may be; `head` is its beginning. */
export function oversizedCollectorPayload(known: PayloadOrigin, head: Buffer, actualBytes: number): Sourced {
  return failedPayload(known, head, tooLarge('payload', actualBytes, collectorPayloadBytesMax))
}

function failedPayload(known: PayloadOrigin, bytes: Buffer, failure: Parameters<typeof failedRawEvent>[4]): Sourced {
  const origin: Origin = { ...known, ...noRequest }
  return failedRawEvent(origin, 'thrift', 0, bytes.toString('base64'), failure)
}

type Request = Omit<Origin, keyof PayloadOrigin> & {
  readonly collectorTstampMs: number
  /** Null of a GET. */
  readonly body: Buffer | null
}

/**
 * Ids of the fields. Two numberings are about: that of the library which collectors are built with, and that of the IDL
 * which Iglu Central has. The timestamp tells which it is.
 */
const numberings = [
  {
    timestamp: 200,
    ...{ ipAddress: 100, collector: 220, userAgent: 300, refererUri: 310, path: 320, querystring: 330, body: 340 },
    ...{ headers: 350, contentType: 360, hostname: 400, networkUserId: 410 },
  },
  {
    timestamp: 50,
    ...{ querystring: 10, collector: 20, hostname: 40, ipAddress: 60, userAgent: 70, refererUri: 80, headers: 90 },
    ...{ networkUserId: 100, path: 110, contentType: 120, body: 130 },
  },
] as const
type FieldName = keyof (typeof numberings)[number]

const schemaId = 31337
const schemaPrefix = 'iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-'

function collectorPayloadOf(bytes: Buffer): Request | { readonly error: string } {
  if (bytes.length >= 4 && compressions.has(bytes.readUInt16BE(0))) return { error: 'a compressed batch' }
  const fields = readStruct(bytes)
  if ('error' in fields) return fields
  const schema = textOf(fields.get(schemaId))
  if (!schema?.startsWith(schemaPrefix)) return { error: `a struct whose field ${schemaId} names no schema of one` }
  const numbering = numberings.find(({ timestamp }) => typeof fields.get(timestamp) === 'bigint')
  if (!numbering) return { error: 'one without a timestamp' }
  const fieldOf = (name: FieldName): ThriftValue | undefined => fields.get(numbering[name])
  const collectorTstampMs = Number(fieldOf('timestamp'))
  if (!isTimestampMs(collectorTstampMs)) return { error: 'one with a timestamp outside of the years 0 to 9999' }
  const path = textOf(fieldOf('path'))
  if (path === null) return { error: 'one without a path' }
  const headers = fieldOf('headers')
  const body = fieldOf('body')
  const own = Buffer.isBuffer(body) ? [body] : [fieldOf('querystring')]
  if (bytesOf([...fields.values()]) - bytesOf(own) > headBytesMax) {
    return { error: `one with more than ${headBytesMax} bytes around its events` }
  }
  return {
    ...endpointOf(path),
    collectorTstampMs,
    collector: textOf(fieldOf('collector')),
    contentType: textOf(fieldOf('contentType')),
    hostname: textOf(fieldOf('hostname')),
    ipAddress: textOf(fieldOf('ipAddress')),
    userAgent: textOf(fieldOf('userAgent')),
    refererUri: textOf(fieldOf('refererUri')),
    networkUserId: textOf(fieldOf('networkUserId')),
    querystring: textOf(fieldOf('querystring')),
    headers: Array.isArray(headers) ? headers.map((header: Buffer) => header.toString('utf8')) : [],
    body: Buffer.isBuffer(body) ? body : null,
  }
}

/** Every event of a payload gets all that is said of their request. */
const headBytesMax = 32 * 1024

const bytesOf = (values: readonly (ThriftValue | undefined)[]): number =>
  values.reduce<number>((bytes, value) => {
    if (value === undefined || typeof value === 'bigint') return bytes
    return bytes + (Buffer.isBuffer(value) ? value.length : bytesOf(value))
  }, 0)

/** gzip and zstd, in which newer collectors can write several payloads at a time. */
const compressions: ReadonlySet<number> = new Set([0x1f8b, 0x28b5])

/** The pixel is tracker protocol 1. */
function endpointOf(path: string): { readonly vendor: string; readonly version: string } {
  if (path === '/i' || path === '/ice.png') return { vendor: 'com.snowplowanalytics.snowplow', version: 'tp1' }
  const [, vendor = '', version = ''] = path.split('/')
  return { vendor, version }
}

const textOf = (value: ThriftValue | undefined): string | null =>
  Buffer.isBuffer(value) && value.length > 0 ? value.toString('utf8') : null
