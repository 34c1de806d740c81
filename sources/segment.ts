/**
 * Calls of the Segment spec (https://segment.com/docs/connections/spec/, which RudderStack's SDKs speak too): identify,
 * track, page, screen, group, alias, and batch, whose calls become a raw event each.
 */
import { isObject } from './payload.ts'
import {
  type Fields,
  failedRawEvent,
  keptOf,
  notExpected,
  notJson,
  type Origin,
  rawEvent,
  type Sourced,
  tooLarge,
} from './raw-event.ts'

/** Calls of one batch. */
export const batchCallsMax = 2_000
/** A larger body is one size violation: RudderStack takes as much, Segment less. */
export const callBytesMax = 4 * 1024 * 1024

/**
 * The calls in a body. `kind` is what the path it was posted to says, `track` or `batch`; else the call says its type
 * itself. What a batch says of `context`, `integrations` and `sentAt` counts for its calls where they do not say it. The
 * write key is left out: it is nobody's business behind here. Never empty.
 */
export function splitCalls(origin: Origin, body: string, kind: string | null = null): readonly Sourced[] {
  const failed = (failure: Parameters<typeof failedRawEvent>[4], kept = body): readonly Sourced[] => [
    failedRawEvent(origin, 'segment', 0, kept, failure),
  ]
  const bytes = Buffer.byteLength(body)
  if (bytes > callBytesMax) return failed(tooLarge('body', bytes, callBytesMax), keptOf(body, callBytesMax))
  let call: unknown
  try {
    call = JSON.parse(body)
  } catch {
    return failed(notJson('body', 'invalid json'))
  }
  if (!isObject(call)) return failed(notExpected('body', 'a JSON object'))
  try {
    if (kind !== 'batch' && !(kind === null && Array.isArray(own(call, 'batch')))) {
      return [callOf(origin, 0, kind === null ? call : { ...call, type: kind })]
    }
    const calls = own(call, 'batch')
    if (!Array.isArray(calls) || calls.length === 0) return failed(notExpected('batch', 'a list of calls'))
    if (calls.length > batchCallsMax) return failed(notExpected('batch', `at most ${batchCallsMax} calls`))
    return calls.map((member: unknown, index) =>
      isObject(member)
        ? callOf(origin, index, withinBatch(member, call))
        : failedRawEvent(origin, 'segment', index, JSON.stringify(member), notExpected(`batch[${index}]`, 'a call')),
    )
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // one of thousands of levels can be parsed, but not written again
    return failed(notJson('body', 'invalid json: maximum allowed JSON depth exceeded'))
  }
}

function callOf(origin: Origin, index: number, { writeKey: _, ...call }: Fields): Sourced {
  return rawEvent(origin, 'segment', index, JSON.stringify(call), call)
}

function withinBatch(call: Fields, batch: Fields): Fields {
  const merged: Record<string, unknown> = { ...call }
  for (const name of ['context', 'integrations']) {
    const shared = own(batch, name)
    const said = own(call, name)
    if (isObject(shared)) merged[name] = isObject(said) ? { ...shared, ...said } : shared
  }
  merged['sentAt'] ??= own(batch, 'sentAt')
  return merged
}

const own = (value: Fields, name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined)
