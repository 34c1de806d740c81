/** A tenant with a few schemas, and raw events of it, for tests and benchmarks of VALIDATE. */

import { type Effect, type Inbound, tenantOf } from '../../runtime/operator.ts'
import type { BadRow, Event, RawEvent } from '../../schemas/avro/types.ts'
import { type Definitions, defaultEnrichments, type EnrichmentRules } from '../../schemas/definitions.ts'
import { newDraft } from './draft.ts'
import { validate } from './validate.ts'

export const addToCart = 'iglu:com.acme/add_to_cart/jsonschema/1-0-0'
export const product = 'iglu:com.acme/product/jsonschema/1-0-0'
export const broken = 'iglu:com.acme/broken/jsonschema/1-0-0'
export const endless = 'iglu:com.acme/endless/jsonschema/1-0-0'
export const anything = 'iglu:com.acme/anything/jsonschema/1-0-0'

export const definitions: Definitions = {
  tenant: 'shop',
  version: 1,
  hash: 'test',
  tenantKey: new Uint8Array(32),
  schemas: new Map([
    [
      addToCart,
      JSON.stringify({
        $schema: 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#',
        self: { vendor: 'com.acme', name: 'add_to_cart', format: 'jsonschema', version: '1-0-0' },
        type: 'object',
        properties: {
          sku: { type: 'string', pattern: '(?i)^[a-z0-9\\-]+$', maxLength: 32 },
          quantity: { type: 'integer', minimum: 1, maximum: 1000 },
          price: { type: ['number', 'null'], multipleOf: 0.01 },
          at: { type: 'string', format: 'date-time' },
        },
        required: ['sku', 'quantity'],
        additionalProperties: false,
      }),
    ],
    [
      product,
      JSON.stringify({
        type: 'object',
        properties: {
          sku: { type: 'string' },
          category: { enum: ['shoes', 'hats'] },
          sizes: { type: 'array', items: { type: 'integer' }, uniqueItems: true, minItems: 1 },
        },
        required: ['sku'],
        additionalProperties: false,
      }),
    ],
    [broken, '{"minimum": "x"}'],
    [endless, '{"$ref": "#"}'],
    [anything, '{}'],
  ]),
  identity: { namespaces: [], blocked: [], ruleVersion: 'none' },
  traits: [],
  segments: [],
  destinations: [],
  consent: { purposes: [], signals: [] },
  enrichments: defaultEnrichments,
  secrets: new Map(),
}

export type Params = Readonly<Record<string, string>>

export const collectorMs = Date.parse('2024-03-10T12:00:00.000Z')

/** A page view as a JavaScript tracker sends it. */
export const pageView: Params = {
  e: 'pv',
  p: 'web',
  tv: 'js-4.6.2',
  tna: 'sp',
  aid: 'shop-web',
  eid: '6f1e0a52-6b3c-4a8e-9f6a-0d5a0c6f7a11',
  duid: '0b8f1a4e-2f0a-4c5a-8f52-6e1f6f9f7f10',
  dtm: String(collectorMs - 5_000),
  stm: String(collectorMs - 1_000),
  url: 'https://shop.example/shoes?page=2#top',
}

/** That page view as an add_to_cart with these data and products. */
export const cartEvent = (data: unknown, ...products: readonly unknown[]): Params => ({
  ...pageView,
  e: 'ue',
  ue_px: unstruct(addToCart, data),
  ...(products.length === 0 ? {} : { cx: contexts(...products.map((item) => [product, item] as const)) }),
})

export const unstruct = (schema: string, data: unknown): string =>
  base64url({
    schema: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
    data: { schema, data },
  })

export const contexts = (...entities: readonly (readonly [schema: string, data: unknown])[]): string =>
  base64url({
    schema: 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1',
    data: entities.map(([schema, data]) => ({ schema, data })),
  })

export const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export function rawOf(body: unknown, parts: Partial<RawEvent> = {}): RawEvent {
  return {
    tenant: 'shop',
    source: 'collector',
    format: 'tp2',
    payloadId: 'a1c5a7c4-7d6e-4b1f-9d35-60a5f6b3a001',
    index: 0,
    collectorTstampMs: collectorMs,
    vendor: 'com.snowplowanalytics.snowplow',
    version: 'tp2',
    collector: null,
    contentType: 'application/json',
    hostname: 'collector.shop.example',
    ipAddress: '203.0.113.9',
    userAgent: 'Mozilla/5.0',
    refererUri: null,
    networkUserId: null,
    headers: ['Host: collector.shop.example'],
    querystring: null,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    failure: null,
    ...parts,
  }
}

/** An event with these columns and no others. */
export const draftOf = (parts: Partial<Event>): Event => Object.assign(newDraft(), { tenant: 'shop' }, parts)

/** The tenant with these enrichments, and these secrets for them. */
export const enriching = (
  enrichments: Partial<EnrichmentRules>,
  secrets: Readonly<Record<string, string>> = {},
): Definitions => ({
  ...definitions,
  enrichments: { ...defaultEnrichments, ...enrichments },
  secrets: new Map(Object.entries(secrets)),
})

/** The event that a raw event becomes; throws when it is refused. */
export function eventOf(raw: RawEvent, of: Definitions = definitions): Event {
  for (const effect of effectsOf(raw, of)) if (effect.effect === 'pass') return effect.value as Event
  throw new Error('the event was refused')
}

/** Derived entities of an event, as `name {data}`. */
export const derivedOf = (event: Event): readonly string[] =>
  event.derived_contexts.map(({ schema, data }) => `${schema.split('/')[1]} ${data}`)

/** The data of the bad row that a raw event becomes. */
export function badRowOf(raw: RawEvent, of: Definitions = definitions): { schema: string; data: unknown } {
  for (const effect of effectsOf(raw, of)) {
    if (effect.effect !== 'emit') continue
    const { schema, data } = effect.value as BadRow
    return { schema, data: JSON.parse(data) }
  }
  throw new Error('the event was accepted')
}

export const logTimeMs = collectorMs + 250

/** The effects of VALIDATE on a raw event. */
export function effectsOf(raw: RawEvent, of: Definitions | undefined = definitions): readonly Effect[] {
  return process({ kind: 'event', key: `${raw.tenant}/client`, value: raw }, of)
}

export function process(record: Inbound, of: Definitions | undefined = definitions): readonly Effect[] {
  return validate.process(record, {
    clockMs: logTimeMs,
    logTimeMs,
    offset: 7,
    partition: 0,
    generation: 0,
    definitions: of && of.tenant === tenantOf(record.key) ? of : undefined,
    state: () => undefined,
  })
}
