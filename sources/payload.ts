/** Tracker payloads: several events in one JSON text become one raw event each, so that a bad one fails alone. */
import { payloadParameters, requiredParameters } from '../schemas/payload-data.ts'
import { type Fields, failedRawEvent, notExpected, notJson, type Origin, rawEvent, type Sourced } from './raw-event.ts'

/** Events of one payload: a few bytes each would otherwise become a record each. */
export const payloadEventsMax = 2_000

/**
 * The events of a `payload_data` envelope, in order; `querystring` parameters of the origin count for each of them. An
 * envelope that is none, or not JSON, is one failure that holds the text, and so is, if `strict`, one with an event in it
 * that breaks the tracker protocol. Never empty.
 */
export function splitPayload(origin: Origin, text: string, { strict = false } = {}): readonly Sourced[] {
  const whole = (failure: Parameters<typeof failedRawEvent>[4]): readonly Sourced[] => [
    failedRawEvent(origin, 'tp2', 0, text, failure),
  ]
  let envelope: unknown
  try {
    envelope = JSON.parse(text)
  } catch {
    return whole(notJson('body', text === '' ? 'invalid json: exhausted input' : 'invalid json'))
  }
  if (!isObject(envelope) || !isPayloadData(own(envelope, 'schema'))) {
    return whole(notExpected('body', `an object whose schema is ${payloadData}*`))
  }
  const elements = own(envelope, 'data')
  if (!Array.isArray(elements) || elements.length === 0) return whole(notExpected('body', 'data: a list of events'))
  if (elements.length > payloadEventsMax) {
    return whole(notExpected('body', `data: at most ${payloadEventsMax} events`))
  }
  const broken = strict ? elements.map(violationOf).find((violation) => violation !== null) : undefined
  if (broken) return whole(notExpected('body', broken))
  try {
    return elements.map((element: unknown, index) => elementOf(origin, element, index))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // an element of thousands of levels can be parsed, but not written again
    return whole(notJson('body', 'invalid json: maximum allowed JSON depth exceeded'))
  }
}

/** The first that `payload_data` has against an element; VALIDATE says all of it where events fail alone. */
function violationOf(element: unknown, index: number): string | null {
  if (!isObject(element)) return `$[${index}]: a JSON object`
  const odd = Object.keys(element).find((name) => !payloadParameters.has(name) || typeof element[name] !== 'string')
  if (odd !== undefined) return `$[${index}].${odd.slice(0, 128)}: only parameters of the tracker protocol, as texts`
  const missing = requiredParameters.find((name) => !Object.hasOwn(element, name))
  return missing === undefined ? null : `$[${index}].${missing}: is missing but it is required`
}

/** What a querystring adds to, and overrules in, every event of its payload. Without a prototype: any name is a name. */
export function withQuerystring(fields: Fields, querystring: string | null): Fields {
  if (!querystring) return fields
  const merged: Record<string, unknown> = Object.assign(Object.create(null), fields)
  for (const [name, value] of new URLSearchParams(querystring)) merged[name] = value
  return merged
}

export const payloadData = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-'

/** Whether a value names the envelope's schema, in any addition to it. */
export const isPayloadData = (schema: unknown): boolean => typeof schema === 'string' && schema.startsWith(payloadData)

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function elementOf(origin: Origin, element: unknown, index: number): Sourced {
  const body = JSON.stringify(element)
  if (!isObject(element)) {
    return failedRawEvent(origin, 'tp2', index, body, notExpected(`$[${index}]`, 'a JSON object'))
  }
  return rawEvent(origin, 'tp2', index, body, withQuerystring(element, origin.querystring))
}

const own = (value: Fields, name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined)
