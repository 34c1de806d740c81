/** What an HTTP answer means for a delivery. */
import { DeliveryError } from '../connector.ts'

export type Answer = {
  readonly status: number
  readonly retryAfter: string | undefined
  /** The beginning of it. */
  readonly text: string
}

const retryAfterMaxMs = 3600 * 1000

/** Null: it has the batch. `nowMs` is for a Retry-After that is a date. */
export function failureOf({ status, retryAfter, text }: Answer, nowMs: number): DeliveryError | null {
  if (status >= 200 && status < 300) return null
  const said = text.replace(/\s+/g, ' ').trim().slice(0, 200)
  const message = `it answered ${status}${said && `: ${said}`}`
  const retryAfterMs = parseRetryAfter(retryAfter, nowMs)
  if (status === 410) return new DeliveryError('gone', `${message} (gone: it wants no more messages)`)
  if (status === 429 || status === 502 || status === 503 || status === 504) {
    return new DeliveryError('throttle', message, { retryAfterMs })
  }
  if (status === 408 || status === 425 || status >= 500)
    return new DeliveryError('transient', message, { retryAfterMs })
  if (status < 400 || addressOrCredentials.has(status))
    return new DeliveryError('auth', `${message}; check its url and secret`)
  return new DeliveryError('permanent', message)
}

/** Nothing in a row can be the cause of these; nor of a redirection, which is not followed. */
const addressOrCredentials = new Set([401, 403, 404, 405, 407, 421, 426, 431])

/** Seconds, or an HTTP date; at most an hour. */
function parseRetryAfter(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), retryAfterMaxMs)
}
