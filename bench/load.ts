/** Sends the live shop's events to a collector at a steady pace, from a process of its own. */
import { Agent, request } from 'node:http'
import { createShop } from '../sources/traffic/live-shop.ts'

const eventsPerSecond = 500
const [port, seconds] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true, maxSockets: 16 })
const startMs = Date.now()
const shop = createShop({ seed: 7, run: 1, visitors: 20_000, eventsPerSecond })

function post(params: unknown): void {
  const body = JSON.stringify({
    schema: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
    data: [params],
  })
  const sent = request({
    agent,
    port: port!,
    host: '127.0.0.1',
    method: 'POST',
    path: '/com.snowplowanalytics.snowplow/tp2',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  })
  sent.on('response', (response) => response.resume())
  sent.on('error', (error) => console.error(error.message))
  sent.end(body)
}

const timer = setInterval(() => {
  for (const { params } of shop.next(Date.now())) post(params)
  if (Date.now() - startMs < seconds! * 1000) return
  clearInterval(timer)
  setTimeout(() => process.exit(0), 200)
}, 10)
