/** A history of the shop as raw events in its own log time: for tests, benchmarks and `demo --events`. */

import { Random } from '../../runtime/random.ts'
import { failedRawEvent, notJson, type Origin, rawEvent, type Sourced } from '../raw-event.ts'
import type { Catalogue } from './catalogue.ts'
import { type FaultRates, truncate, usualFaults } from './faults.ts'
import { type Arrival, type Progress, Shop } from './shop.ts'

export type TrafficOptions = {
  readonly seed: number
  /** Items to yield, the duplicate and the invalid ones included. */
  readonly events: number
  /** People and crawlers; by the end about all of them have come, if the events suffice. */
  readonly visitors: number
  readonly tenant: string
  readonly startMs: number
  /** Log time that the history covers, about. */
  readonly days?: number
  readonly faults?: FaultRates
  readonly catalogue?: Catalogue
}

export type TrafficItem = Sourced & {
  /** Never earlier than that of the item before. */
  readonly logTimeMs: number
}

/** What went into the items yielded so far: events = valid + invalid + duplicates. */
export type TrafficCounts = { events: number; valid: number; invalid: number; duplicates: number }

export type Traffic = Iterable<TrafficItem> & {
  /** Of the latest iteration; final when it has ended. Each iteration starts anew and yields the same. */
  readonly expected: Readonly<TrafficCounts>
}

const dayMs = 24 * 3600 * 1000

/** The same options give the same items, byte for byte. */
export function generateTraffic(options: TrafficOptions): Traffic {
  let counts: TrafficCounts = { events: 0, valid: 0, invalid: 0, duplicates: 0 }
  return {
    get expected() {
      return counts
    },
    *[Symbol.iterator]() {
      const own: TrafficCounts = { events: 0, valid: 0, invalid: 0, duplicates: 0 }
      counts = own
      const shop = shopOf(options)
      const cuts = new Random(options.seed, 'cuts')
      while (own.events < options.events) {
        const arrival = shop.next()!
        own.events++
        if (arrival.flaw) own.invalid++
        else if (arrival.duplicate) own.duplicates++
        else own.valid++
        yield itemOf(arrival, own.events, options.tenant, cuts)
      }
    },
  }
}

function shopOf({ seed, events, visitors, startMs, days = 30, faults = usualFaults, catalogue }: TrafficOptions): Shop {
  const endMs = startMs + days * dayMs
  /** Spreads what is left of the events over what is left of the time, and the visitors to come over the visits to come. */
  const schedule = ({ nowMs, arrivals, visits, met }: Progress) => {
    const eventsPerVisit = (arrivals + 40) / (visits + 10)
    const visitsLeft = Math.max(1, (events - arrivals) / eventsPerVisit)
    const gapMs = Math.max(1, (endMs - nowMs) / visitsLeft) / rhythm(nowMs)
    return { gapMs, newcomer: met === 0 ? 1 : Math.min(0.95, (1.05 * (visitors - met)) / visitsLeft) }
  }
  return new Shop({
    seed,
    visitors,
    startMs,
    thinkMs: 25_000,
    delayMs: 2 * 3600 * 1000,
    faults,
    schedule,
    ...(catalogue && { catalogue }),
  })
}

/** Share of the mean rate at that time of day: quiet before dawn, busy in the evening (UTC). */
function rhythm(nowMs: number): number {
  const hour = (nowMs % dayMs) / 3_600_000
  return 1 + 0.8 * Math.sin(((hour - 11) / 24) * 2 * Math.PI)
}

function itemOf({ atMs, params, device, flaw }: Arrival, ordinal: number, tenant: string, cuts: Random): TrafficItem {
  const origin: Origin = {
    tenant,
    source: 'demo',
    payloadId: `traffic-${ordinal}`,
    collectorTstampMs: atMs,
    vendor: 'com.snowplowanalytics.snowplow',
    version: 'tp2',
    collector: null,
    contentType: 'application/json; charset=UTF-8',
    hostname: 'collector.example.com',
    ipAddress: device?.ipAddress ?? '10.0.0.7',
    userAgent: device?.userAgent ?? 'shop-server/1.0',
    refererUri: null,
    networkUserId: device?.networkUserId ?? null,
    headers: [],
    querystring: null,
  }
  const json = JSON.stringify(params)
  const sourced =
    flaw === 'truncated'
      ? failedRawEvent(origin, 'tp2', 0, truncate(json, cuts), notJson('body', 'Unexpected end of JSON input'))
      : rawEvent(origin, 'tp2', 0, json, params)
  return { logTimeMs: atMs, ...sourced }
}
