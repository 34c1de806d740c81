/** What Snowplow Micro would show, read from the log when somebody asks: nothing is kept for it. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import type { StoredRecord } from '../../runtime/record.ts'
import { type Topology, topicOf } from '../../runtime/topology.ts'
import type { BadRow, Event, RawEvent } from '../../schemas/avro/types.ts'
import type { Micro, MicroBad, MicroGood, MicroTotals } from '../../sources/collector/micro.ts'
import { batchesOf } from '../topics.ts'

export type MicroParts = {
  readonly log: Log
  readonly codec: Codec
  readonly topology: Topology
  /** Records in the inboxes that have not been processed. */
  readonly lag: () => Promise<number>
}

const topics = ['events.raw', 'events.identified', 'events.bad'] as const
type Topic = (typeof topics)[number]

const settledMs = 5_000
/** More are not looked at: a test that sends as many resets in between. */
const eventsMax = 10_000

export class LogMicro implements Micro {
  readonly #parts: MicroParts
  /** First offset to show, by topic and partition. */
  #since: ReadonlyMap<string, number> = new Map()

  private constructor(parts: MicroParts) {
    this.#parts = parts
  }

  /** Shows what comes from now on. */
  static async open(parts: MicroParts): Promise<LogMicro> {
    const micro = new LogMicro(parts)
    await micro.#forget()
    return micro
  }

  async totals(): Promise<MicroTotals> {
    const good = (await this.good()).length
    const bad = (await this.bad()).length
    return { total: good + bad, good, bad }
  }

  async good(): Promise<readonly MicroGood[]> {
    await this.#settled()
    const raw = new Map<string, RawEvent>()
    for await (const event of this.#read<RawEvent>('events.raw', 'event', 'RawEvent')) {
      raw.set(placeOf(event.payloadId, event.index), event)
    }
    const good = new Map<string, { readonly ms: number; readonly shown: MicroGood }>()
    for await (const { event, hops } of this.#read<{ event: Event; hops: number }>(
      'events.identified',
      'event',
      'IdentifiedEvent',
    )) {
      const place = placeOf(event.payload_id, event.payload_index)
      // an event that a merged profile forwarded comes again
      if (hops === 0) good.set(place, { ms: event.collector_tstamp, shown: goodOf(event, raw.get(place)) })
    }
    return [...good.values()].sort((a, b) => b.ms - a.ms).map(({ shown }) => shown)
  }

  async bad(): Promise<readonly MicroBad[]> {
    await this.#settled()
    const bad: MicroBad[] = []
    for await (const row of this.#read<BadRow>('events.bad', 'bad', 'BadRow')) bad.push(badOf(row))
    return bad.reverse()
  }

  async reset(): Promise<void> {
    await this.#settled()
    await this.#forget()
  }

  async #settled(): Promise<void> {
    const deadline = performance.now() + settledMs
    while ((await this.#parts.lag()) > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async #forget(): Promise<void> {
    const { log, topology } = this.#parts
    const since = new Map<string, number>()
    for (const topic of topics) {
      for (let partition = 0; partition < topicOf(topology, topic).partitions; partition++) {
        since.set(`${topic}/${partition}`, (await log.ends(topic, partition)).stable)
      }
    }
    this.#since = since
  }

  async *#read<Value>(topic: Topic, kind: string, schema: Parameters<Codec['decode']>[0]): AsyncGenerator<Value> {
    const { log, codec, topology } = this.#parts
    const has = ({ kind: found, value }: StoredRecord): boolean => found === kind && value !== null
    let read = 0
    for (let partition = 0; partition < topicOf(topology, topic).partitions; partition++) {
      for await (const batch of batchesOf(log, topic, partition, this.#since.get(`${topic}/${partition}`))) {
        for (const record of batch.filter(has)) {
          if (read++ === eventsMax) return
          yield codec.decode(schema, record.value!) as Value
        }
      }
    }
  }
}

const placeOf = (payloadId: string, index: number): string => `${payloadId}#${index}`

function goodOf(event: Event, raw: RawEvent | undefined): MicroGood {
  const { event_vendor, event_name, event_format, event_version } = event
  return {
    rawEvent: raw ? rawOf(raw) : {},
    eventType: event.event,
    schema: `iglu:${event_vendor}/${event_name}/${event_format}/${event_version}`,
    contexts: [...event.contexts, ...event.derived_contexts].map(({ schema }) => schema),
    event: columnsOf(event),
  }
}

function columnsOf(event: Event): object {
  const { unstruct_event, contexts, derived_contexts } = event
  const parsed = ({ schema, data }: { readonly schema: string; readonly data: string }) => ({
    schema,
    data: JSON.parse(data) as unknown,
  })
  const timestamps = Object.entries(event)
    .filter(([name, value]) => name.endsWith('_tstamp') && typeof value === 'number')
    .map(([name, value]) => [name, new Date(value as number).toISOString()] as const)
  return {
    ...event,
    ...Object.fromEntries(timestamps),
    contexts: { schema: contextsSchema, data: contexts.map(parsed) },
    derived_contexts: { schema: contextsSchema, data: derived_contexts.map(parsed) },
    unstruct_event: unstruct_event && { schema: unstructSchema, data: parsed(unstruct_event) },
  }
}

const contextsSchema = 'iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0'
const unstructSchema = 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0'

function rawOf(raw: RawEvent): object {
  return {
    api: { vendor: raw.vendor, version: raw.version },
    parameters: parametersOf(raw),
    contentType: raw.contentType,
    source: { name: raw.source, encoding: 'UTF-8', hostname: raw.hostname },
    context: {
      timestamp: new Date(raw.collectorTstampMs).toISOString(),
      ipAddress: raw.ipAddress,
      useragent: raw.userAgent,
      refererUri: raw.refererUri,
      headers: raw.headers,
      userId: raw.networkUserId,
    },
  }
}

/** Of a tracker: what it sent. A webhook's body has names of its own. */
function parametersOf({ body, querystring }: RawEvent): object {
  const query = Object.fromEntries(new URLSearchParams(querystring ?? ''))
  try {
    const sent: unknown = JSON.parse(body)
    return isObject(sent) ? { ...sent, ...query } : query
  } catch {
    return query
  }
}

type Api = { readonly vendor: string; readonly version: string }
type BadRowData = {
  readonly failure: { readonly messages?: readonly unknown[] }
  readonly payload: unknown
}

/** Some bad rows have the payload as it came to the collector, some the event as it was read from one. */
function badOf({ schema, data }: BadRow): MicroBad {
  const { failure, payload } = JSON.parse(data) as BadRowData
  const raw = isObject(payload) && isObject(payload['raw']) ? payload['raw'] : isObject(payload) ? payload : null
  const api =
    raw && typeof raw['vendor'] === 'string' ? { api: { vendor: raw['vendor'], version: raw['version'] } } : null
  const errors = failure.messages?.map((message) => JSON.stringify(message)) ?? [JSON.stringify(failure)]
  return {
    collectorPayload: api && raw && 'querystring' in raw ? { ...api, ...raw } : null,
    rawEvent: api && raw ? { ...raw, ...(api as { api: Api }) } : null,
    errors: [`${schema.split('/').slice(-3, -2)[0] ?? schema}`, ...errors],
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
