/**
 * Microseconds VALIDATE takes for an event: a POST element of about 1 kB with an event of its own and two entities, on
 * one core, schemas compiled, no log around it. `npx tsx bench/validate.ts [events]`
 */
import { cartEvent, effectsOf, rawOf } from '../operators/validate/testing.ts'

const events = Number(process.argv[2] ?? 200_000)
const variants = 1_000

const raws = Array.from({ length: variants }, (_, index) =>
  rawOf({
    ...cartEvent(
      { sku: `SKU-${index}`, quantity: 1 + (index % 9), price: 19.99, at: '2024-03-10T11:59:55.000Z' },
      { sku: `SKU-${index}`, category: 'shoes', sizes: [40, 41, 42] },
      { sku: `SKU-${index + 1}`, category: 'hats' },
    ),
    page: `Shoes, page ${index}`,
    refr: 'https://search.example/?q=shoes',
    res: '1920x1080',
    vp: '1200x800',
    tz: 'Europe/Berlin',
    lang: 'de-DE',
    vid: String(index),
  }),
)

function microsecondsPerEvent(count: number): number {
  const started = process.hrtime.bigint()
  for (let n = 0; n < count; n++) {
    const [, outcome] = effectsOf(raws[n % variants]!)
    if (outcome?.effect !== 'count' || outcome.name !== 'valid') throw new Error('the benchmark measures valid events')
  }
  return Number(process.hrtime.bigint() - started) / 1_000 / count
}

microsecondsPerEvent(Math.min(events, 20_000)) // lets the engine settle
const bodyBytes = raws.reduce((sum, { body }) => sum + body.length, 0) / variants
console.log(
  JSON.stringify({
    events,
    bodyBytes: Math.round(bodyBytes),
    microseconds: Number(microsecondsPerEvent(events).toFixed(1)),
  }),
)
