/** The shop's tracker: actions into parameters of Snowplow tracker protocol 2, as the JavaScript tracker and a server's write them. */
import type { Device } from './people.ts'
import type { Action, Entity } from './visit.ts'

/** One event, all values text: an element of a tp2 payload's `data`. */
export type Params = Readonly<Record<string, string>>

/** A device and the tracker's memory on it. */
export type Browser = {
  readonly device: Device
  /** Visits begun on it. */
  visits: number
  /** Id of the present visit. */
  sessionId: string
  signedIn: string | null
}

/** `createdMs` is by the clock of whatever sends it. */
export type Moment = { readonly eventId: string; readonly createdMs: number; readonly host: string }

/** Everything but `stm`, which is set when it is sent. */
export function track(action: Action, browser: Browser, moment: Moment): Params {
  const params: Record<string, string> = action.fromServer
    ? serverParams(action, moment)
    : browserParams(action, browser, moment)
  if (action.event !== 'page_view') {
    params['ue_px'] = encode({
      schema: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
      data: { schema: schemaKey(action.event), data: action.data },
    })
  }
  if (action.entities.length > 0) params['cx'] = encodeEntities(action.entities)
  return params
}

export function encodeEntities(entities: readonly Entity[]): string {
  return encode({
    schema: 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0',
    data: entities.map(({ schema, data }) => ({ schema: schemaKey(schema), data })),
  })
}

/** Base64 in the URL alphabet without padding, as trackers write `ue_px` and `cx`. */
export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
}

export function schemaKey(schema: string): string {
  return schema.startsWith('iglu:') ? schema : `iglu:com.example.shop/${schema}/jsonschema/1-0-0`
}

const kindOf = (action: Action): string => (action.event === 'page_view' ? 'pv' : 'ue')

function browserParams(
  action: Action,
  { device, visits, sessionId, signedIn }: Browser,
  { eventId, createdMs, host }: Moment,
) {
  const params: Record<string, string> = {
    e: kindOf(action),
    eid: eventId,
    p: 'web',
    aid: 'shop-web',
    tv: 'js-4.6.2',
    tna: 'sp',
    dtm: String(createdMs),
    duid: device.domainUserId,
    sid: sessionId,
    vid: String(visits),
    url: `https://${host}${action.path}`,
    page: action.title,
    cookie: '1',
    cs: 'UTF-8',
    cd: '24',
    lang: device.language,
    tz: device.timeZone,
    res: device.screen,
    vp: device.view,
    ds: device.view,
  }
  if (signedIn !== null) params['uid'] = signedIn
  return params
}

function serverParams(action: Action, { eventId, createdMs }: Moment) {
  const params: Record<string, string> = {
    e: kindOf(action),
    eid: eventId,
    p: 'srv',
    aid: 'shop-server',
    tv: 'node-4.8.0',
    tna: 'orders',
    dtm: String(createdMs),
  }
  if (action.user) params['uid'] = action.user
  return params
}
