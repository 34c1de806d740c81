/** The demo's customers: a made-up shop whose trackers send to the collector over HTTP, as real ones would. */
import { setTimeout as delay } from 'node:timers/promises'
import { createShop } from '../sources/traffic/live-shop.ts'
import type { Device } from '../sources/traffic/people.ts'
import type { Params } from '../sources/traffic/tracker.ts'

export type DemoShop = {
  /** Events the collector has taken. */
  readonly sent: number
  /** Events it has not: it was not there, or would not have them. */
  readonly lost: number
  stop(): Promise<void>
}

const beatMs = 100
const payloadSchema = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'

/** `run` tells this start from others: the same people, other visits. */
export function startDemoShop(url: string, run: number): DemoShop {
  const shop = createShop({ seed: 7, run, visitors: 1000, eventsPerSecond: 30 })
  const endpoint = new URL('/com.snowplowanalytics.snowplow/tp2', url)
  const stopping = new AbortController()
  let sent = 0
  let lost = 0

  const send = async (device: Device | null, events: readonly Params[]): Promise<void> => {
    const headers: Record<string, string> = {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': device?.userAgent ?? 'shop-server/1.0',
      ...(device && { cookie: `sp=${device.networkUserId}` }),
    }
    try {
      const body = JSON.stringify({ schema: payloadSchema, data: events })
      const answer = await fetch(endpoint, { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) })
      await answer.arrayBuffer()
      if (answer.ok) sent += events.length
      else lost += events.length
    } catch {
      lost += events.length
    }
  }

  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const payloads = new Map<Device | null, Params[]>()
      for (const { device, params } of shop.next(Date.now())) {
        const payload = payloads.get(device)
        if (payload) payload.push(params)
        else payloads.set(device, [params])
      }
      await Promise.all([...payloads].map(([device, events]) => send(device, events)))
      await delay(beatMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  const working = work()

  return {
    get sent() {
      return sent
    },
    get lost() {
      return lost
    },
    async stop() {
      stopping.abort()
      await working
    },
  }
}
