/**
 * Snowplow's Iglu webhook: `/com.snowplowanalytics.iglu/v1`. Any system that can send JSON sends a self-describing event:
 * a body `{schema, data}`, or data alone with `?schema=iglu:…`, by GET the other parameters.
 */
import { withQuerystring } from './payload.ts'
import { type Origin, rawEvent, type Sourced } from './raw-event.ts'

export const isWebhook = ({ vendor, version }: Pick<Origin, 'vendor' | 'version'>): boolean =>
  vendor === 'com.snowplowanalytics.iglu' && version === 'v1'

/** A list is an event for each of its members. Whatever else it is, VALIDATE says. Never empty. */
export function splitWebhook(origin: Origin, text: string): readonly Sourced[] {
  const fields = withQuerystring({}, origin.querystring)
  const members = membersOf(text)
  return (members ?? [text]).map((body, index) => rawEvent(origin, 'tp2', index, body, fields))
}

function membersOf(text: string): readonly string[] | null {
  if (!/^\s*\[/.test(text)) return null
  try {
    const list: unknown = JSON.parse(text)
    const sound = Array.isArray(list) && list.length > 0 && list.length <= membersMax
    return sound ? list.map((member: unknown) => JSON.stringify(member)) : null
  } catch {
    return null
  }
}

const membersMax = 2_000
