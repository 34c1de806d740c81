/** Traffic of few people who share devices and addresses at random: merges race, chain and are refused. */
import { Random } from '../../runtime/random.ts'
import { noRequest, type Origin, rawEvent } from '../../sources/raw-event.ts'
import type { TrafficItem } from '../../sources/traffic/traffic.ts'

const shop = (name: string): string => `iglu:com.example.shop/${name}/jsonschema/1-0-0`

const product = { sku: 'sku-1', name: 'Trail shoe', category: 'shoes', price: 89.5, currency: 'EUR' }

/** `events` items of a tenant over about `minutes` minutes of log time, from a small pool of identifiers. */
export function tangle(options: {
  seed: number
  tenant: string
  startMs: number
  events: number
  minutes: number
}): TrafficItem[] {
  const { seed, tenant, startMs, events, minutes } = options
  const random = new Random('tangle', seed, tenant)
  const pool = (prefix: string, size: number): string[] => Array.from({ length: size }, (_, i) => `${prefix}${i}`)
  const devices = pool('device-', random.between(2, 10))
  const users = pool('user-', random.pick([1, 1, 2, 4]))
  const emails = pool('mail', random.between(1, 6)).map((name) => `${name}@shop.com`)

  const items: TrafficItem[] = []
  let logTimeMs = startMs
  for (let index = 0; index < events; index++) {
    logTimeMs += random.below((2 * minutes * 60_000) / events)
    const [name, data] = random.pick([
      ['log_in', { method: 'email', ...(random.chance(0.7) && { email: random.pick(emails) }) }],
      ['product_view', {}],
      ['add_to_cart', {}],
    ] as const)
    // Some events are late, by minutes or by hours.
    const lateMs = random.chance(0.2) ? random.below(random.pick([60_000, 5 * 3600_000])) : 0
    const fields = {
      event_id: random.uuid(),
      event: 'unstruct',
      platform: 'web',
      dvce_created_tstamp: isoOf(logTimeMs - lateMs),
      dvce_sent_tstamp: isoOf(logTimeMs),
      unstruct_event: { schema: shop(name), data },
      contexts: name === 'log_in' ? [] : [{ schema: shop('product'), data: product }],
      ...(random.chance(0.9) && { domain_userid: random.pick(devices) }),
      ...(random.chance(name === 'log_in' ? 0.6 : 0.1) && { user_id: random.pick(users) }),
    }
    const origin: Origin = {
      ...noRequest,
      source: 'tangle',
      tenant,
      payloadId: random.uuid(),
      collectorTstampMs: logTimeMs,
    }
    items.push({ logTimeMs, ...rawEvent(origin, 'ndjson', 0, JSON.stringify(fields), fields) })
    if (random.chance(0.05)) items.push({ ...items[items.length - 1]! })
  }
  return items
}

const isoOf = (ms: number): string => new Date(ms).toISOString()
