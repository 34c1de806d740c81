/** What goes wrong between a tracker and the collector: events come late, twice, or broken. */
import type { Random } from '../../runtime/random.ts'
import { encode, encodeEntities, type Params, schemaKey } from './tracker.ts'

export type FaultRates = {
  /** Share of events that are sent again after they arrived: same event id, same content. */
  readonly duplicate: number
  /** Share of events that wait on the device until it is online again. */
  readonly late: number
  /** Share of events that no validation may let pass. */
  readonly invalid: number
}

export const usualFaults: FaultRates = { duplicate: 0.01, late: 0.015, invalid: 0.01 }
export const noFaults: FaultRates = { duplicate: 0, late: 0, invalid: 0 }

/** The ways in which an event is broken. A truncated one is cut in the middle of its JSON, which only its carrier can do. */
export const flaws = [
  'event_schema',
  'entity_schema',
  'event_id',
  'unknown_schema',
  'timestamp',
  'event_type',
  'truncated',
] as const
export type Flaw = (typeof flaws)[number]

/** The parameters with the flaw in them. */
export function spoil(params: Params, flaw: Flaw): Params {
  switch (flaw) {
    case 'event_schema':
      return { ...params, e: 'ue', ue_px: selfDescribing(schemaKey('product_view'), { position: 'first' }) }
    case 'entity_schema':
      return {
        ...params,
        cx: encodeEntities([
          { schema: 'product', data: { sku: 'SH-100', category: 'shoes', price: 'a bargain', currency: 'EUR' } },
        ]),
      }
    case 'event_id':
      return { ...params, eid: `${params['eid']?.slice(0, -1)}` }
    case 'unknown_schema':
      return { ...params, e: 'ue', ue_px: selfDescribing(schemaKey('product_zoom'), { factor: 2 }) }
    case 'timestamp':
      return { ...params, dtm: '99999999999999999' }
    case 'event_type':
      return { ...params, e: 'pageview' }
    case 'truncated':
      return params
  }
}

/** JSON that was cut off on its way. */
export function truncate(json: string, random: Random): string {
  return json.slice(0, random.between(1, json.length - 1))
}

function selfDescribing(schema: string, data: unknown): string {
  return encode({
    schema: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
    data: { schema, data },
  })
}
