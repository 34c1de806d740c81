/** A call of the Iglu webhook as the parameters of an unstruct event. */
import type { RawEvent } from '../../schemas/avro/types.ts'
import type { Unexpected } from './failure.ts'
import { isObject, parseJson } from './json.ts'
import { snowplow } from './schema-key.ts'
import { type Params, withQuerystring } from './tp2.ts'

export const isIgluWebhook = ({ vendor, version }: Pick<RawEvent, 'vendor' | 'version'>): boolean =>
  vendor === 'com.snowplowanalytics.iglu' && version === 'v1'

/** Parameters of the querystring that say something of the event, and are none of its data. */
const aboutTheEvent: ReadonlySet<string> = new Set(['aid', 'p', 'eid', 'uid', 'duid', 'nuid', 'ttm', 'cv', 'url', 'co'])
const formType = /^application\/x-www-form-urlencoded\b/i

/** The event's parameters, or what the call lacks. */
export function webhookParams(raw: RawEvent): { readonly params: Params } | { readonly lacks: Unexpected } {
  const query = withQuerystring({}, raw.querystring)
  const params: Record<string, unknown> = { e: 'ue', p: 'srv', tv: 'com.snowplowanalytics.iglu-v1' }
  const rest: Record<string, unknown> = Object.create(null)
  for (const name of Object.keys(query)) {
    if (aboutTheEvent.has(name)) params[name] = query[name]
    else if (name !== 'schema') rest[name] = query[name]
  }
  const schema = query['schema'] === '' ? undefined : query['schema']
  const sent = dataOf(raw, rest, schema !== undefined)
  if ('lacks' in sent) return sent
  const event = schema === undefined ? sent.data : { schema, data: sent.data }
  if (!isObject(event) || typeof event['schema'] !== 'string')
    return lacks('schema', null, 'schema=iglu:… in the querystring, or a body {"schema", "data"}')
  params['ue_pr'] = JSON.stringify({ schema: snowplow.unstructEvent, data: event })
  return { params }
}

type Sent = { readonly data: unknown } | { readonly lacks: Unexpected }

function dataOf(raw: RawEvent, parameters: Params, schemaGiven: boolean): Sent {
  if (raw.body === '') {
    if (schemaGiven) return { data: parameters }
    return lacks('schema', null, 'schema=iglu:… in the querystring, or a body {"schema", "data"}')
  }
  if (formType.test(raw.contentType ?? '')) return { data: withQuerystring({}, raw.body) }
  const parsed = parseJson(raw.body)
  return parsed.error === null ? { data: parsed.value } : lacks('body', raw.body.slice(0, 1000), parsed.error)
}

const lacks = (field: string, value: string | null, expectation: string) => ({ lacks: { field, value, expectation } })
