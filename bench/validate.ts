/** VALIDATE alone on one core: tracker events with four self-describing parts, all enrichments on, no log around it. */
import {
  addToCart,
  contexts,
  definitions,
  effectsOf,
  enriching,
  pageView,
  product,
  rawOf,
  unstruct,
} from '../operators/validate/testing.ts'
import { schemaType } from '../schemas/avro/index.ts'
import type { RawEvent } from '../schemas/avro/types.ts'
import type { Definitions, EnrichmentRules } from '../schemas/definitions.ts'

export type ValidateFigures = {
  readonly eventsPerSecond: number
  /** Processor time of the whole process for an event: what a busy machine does not change as much. */
  readonly cpuMicrosPerEvent: number
  /** Of one event, the collection of garbage in it. */
  readonly p99Ms: number
  /** At its highest. */
  readonly rssMiB: number
  readonly events: number
  /** Of a raw event's body. */
  readonly bodyBytes: number
}

const variants = 20_000

export function benchValidate(events: number): ValidateFigures {
  const raws = Array.from({ length: variants }, (_, index) => receivedAgain(rawEventOf(index)))
  run(raws, Math.min(events, 50_000)) // lets the engine settle
  const before = process.cpuUsage()
  const { seconds, slowest } = run(raws, events)
  const { user, system } = process.cpuUsage(before)
  return {
    eventsPerSecond: Math.round(events / seconds),
    cpuMicrosPerEvent: Number(((user + system) / events).toFixed(1)),
    p99Ms: Number(slowest.toFixed(3)),
    rssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    events,
    bodyBytes: Math.round(raws.reduce((sum, { body }) => sum + body.length, 0) / variants),
  }
}

function run(raws: readonly RawEvent[], events: number): { readonly seconds: number; readonly slowest: number } {
  const took = new Float64Array(events)
  const started = performance.now()
  let before = started
  for (let n = 0; n < events; n++) {
    const [, outcome] = effectsOf(raws[n % variants]!, shop)
    if (outcome?.effect !== 'count' || outcome.name !== 'valid') throw new Error('the benchmark measures valid events')
    const now = performance.now()
    took[n] = now - before
    before = now
  }
  return { seconds: (before - started) / 1_000, slowest: took.sort()[Math.floor(events * 0.99)]! }
}

/** Every enrichment there is. */
const everything: EnrichmentRules = {
  fingerprint: { algorithm: 'MD5', exclude: ['eid', 'nuid', 'stm', 'cv'] },
  userAgent: true,
  referers: { internalDomains: ['*.shop.example'], sources: [] },
  campaigns: {
    medium: ['utm_medium'],
    source: ['utm_source'],
    term: ['utm_term'],
    content: ['utm_content'],
    campaign: ['utm_campaign'],
    clickIds: [{ parameter: 'gclid', network: 'Google' }],
  },
  crossNavigation: true,
  cookies: ['ab_test'],
  headers: ['accept-language'],
  bots: true,
  ipAnonymisation: { octets: 1, segments: 5 },
  pseudonyms: {
    algorithm: 'SHA-256',
    salts: [{ env: 'SALT', fromMs: null }],
    anonymousOnly: false,
    columns: ['user_id', 'user_ipaddress', 'network_userid'],
    data: [{ criterion: 'iglu:com.acme/user/jsonschema/1-*-*', paths: [[{ step: 'member', name: 'email' }]] }],
  },
}

const user = 'iglu:com.acme/user/jsonschema/1-0-0'
const userSchema = {
  type: 'object',
  properties: {
    email: { type: 'string', format: 'email', maxLength: 320 },
    tier: { enum: ['basic', 'silver', 'gold'] },
    since: { type: 'string', format: 'date-time' },
  },
  required: ['email'],
  additionalProperties: false,
}

const shop: Definitions = {
  ...enriching(everything, { SALT: 'pepper' }),
  schemas: new Map([...definitions.schemas, [user, JSON.stringify(userSchema)]]),
}

const agents = Array.from(
  { length: 200 },
  (_, index) =>
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + index}.0.0.0 Safari/537.36`,
)

/** A POST element of about 1.5 kB: an event of its own, three entities; one event in ten has come by a campaign. */
function rawEventOf(index: number): RawEvent {
  const campaign = index % 10 === 0 ? '&utm_source=newsletter&utm_medium=email&utm_campaign=spring+sale' : ''
  const body = {
    ...pageView,
    e: 'ue',
    eid: `6f1e0a52-6b3c-4a8e-9f6a-${String(index).padStart(12, '0')}`,
    duid: `0b8f1a4e-2f0a-4c5a-8f52-${String(index % 5_000).padStart(12, '0')}`,
    uid: `customer-${index % 3_000}`,
    url: `https://shop.example/shoes/${index}?page=2${campaign}#top`,
    refr: index % 3 === 0 ? 'https://www.google.com/' : `https://shop.example/shoes/${index - 1}`,
    page: `Shoes, page ${index}`,
    res: '1920x1080',
    vp: '1200x800',
    tz: 'Europe/Berlin',
    lang: 'de-DE',
    vid: String(index % 50),
    ue_px: unstruct(addToCart, {
      sku: `SKU-${index}`,
      quantity: 1 + (index % 9),
      price: 19.99,
      at: '2024-03-10T11:59:55.000Z',
    }),
    cx: contexts(
      [product, { sku: `SKU-${index}`, category: 'shoes', sizes: [40, 41, 42] }],
      [product, { sku: `SKU-${index + 1}`, category: 'hats' }],
      [user, { email: `customer-${index}@example.com`, tier: 'gold', since: '2020-01-01T00:00:00Z' }],
    ),
  }
  return rawOf(body, {
    userAgent: agents[index % agents.length]!,
    ipAddress: `203.0.${index % 256}.${index % 251}`,
    networkUserId: `0b8f1a4e-2f0a-4c5a-8f52-${String(index % 5_000).padStart(12, '1')}`,
    headers: ['Host: collector.shop.example', 'Accept-Language: de,en;q=0.5', 'Cookie: ab_test=b'],
  })
}

/** As it comes out of the log: with texts of its own, which no other event shares. */
const receivedAgain = (raw: RawEvent): RawEvent => rawType.fromBuffer(rawType.toBuffer(raw)) as RawEvent
const rawType = schemaType('RawEvent')
