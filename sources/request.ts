/** What a tracker requests of a collector, ours or another, as raw events. */
import { splitPayload, withQuerystring } from './payload.ts'
import { failedRawEvent, keptOf, notExpected, type Origin, rawEvent, type Sourced, tooLarge } from './raw-event.ts'
import { isWebhook, splitWebhook } from './webhook.ts'

/** A body above this is one size violation. */
export const payloadBytesMax = 1024 * 1024

const acceptedTypes: ReadonlySet<string> = new Set(['application/json', 'application/json;charset=utf-8'])

/** The querystring of a GET is one event. */
export const eventOfGet = (origin: Origin): Sourced =>
  rawEvent(origin, 'tp2', 0, '', withQuerystring({}, origin.querystring))

/** The raw events of a POST, never none. A body that nothing reads is one event as it is; `strict` as in `splitPayload`. */
export function eventsOfPost(origin: Origin, body: Buffer, { strict = false } = {}): readonly Sourced[] {
  if (body.length > payloadBytesMax) {
    const head = keptOf(body.toString('utf8', 0, payloadBytesMax), payloadBytesMax)
    return [failedRawEvent(origin, 'tp2', 0, head, tooLarge('body', body.length, payloadBytesMax))]
  }
  const text = body.toString('utf8')
  if (isWebhook(origin)) return splitWebhook(origin, text)
  if (!isTrackerProtocol(origin)) return [failedRawEvent(origin, 'tp2', 0, text, notRead)]
  if (text === '' && origin.querystring) return [eventOfGet(origin)]
  const type = origin.contentType?.toLowerCase().replaceAll(' ', '') ?? ''
  if (!acceptedTypes.has(type)) {
    const expectation = 'one of application/json, application/json; charset=utf-8'
    return [failedRawEvent(origin, 'tp2', 0, text, notExpected('contentType', expectation))]
  }
  return splitPayload(origin, text, { strict })
}

const isTrackerProtocol = ({ vendor, version }: Origin): boolean =>
  vendor === 'com.snowplowanalytics.snowplow' && (version === 'tp2' || version === 'tp1')

const notRead = notExpected('vendor/version', 'vendor/version combination is not supported')
