import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import draft04 from 'ajv-draft-04'
import formats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { noFaults } from './faults.ts'
import { generateTraffic, type TrafficItem, type TrafficOptions } from './traffic.ts'

const startMs = Date.UTC(2024, 0, 1)
const options: TrafficOptions = { seed: 7, events: 8_000, visitors: 1_500, tenant: 'shop', startMs }
const items = [...generateTraffic(options)]

describe('traffic', () => {
  test('the same seed gives the same bytes, another seed others, and an iteration starts anew', () => {
    const traffic = generateTraffic(options)
    expect(digest([...traffic])).toBe(digest(items))
    expect(digest([...traffic])).toBe(digest(items))
    expect(digest([...generateTraffic({ ...options, seed: 8 })])).not.toBe(digest(items))
  })

  test('counts what it made', () => {
    const traffic = generateTraffic(options)
    const seen = new Set<string>()
    let duplicates = 0
    let late = 0
    for (const { raw } of traffic) {
      if (raw.failure) continue
      const { eid, stm, dtm } = paramsOf(raw.body)
      if (seen.has(`${eid}`)) duplicates++
      seen.add(`${eid}`)
      if (Number(stm) - Number(dtm) > 60_000) late++
    }
    const { expected } = traffic
    expect(expected.events).toBe(options.events)
    expect(expected.duplicates).toBe(duplicates)
    expect(expected.valid + expected.invalid + expected.duplicates).toBe(expected.events)
    for (const share of [expected.duplicates, expected.invalid, late].map((n) => n / options.events)) {
      expect(share).toBeGreaterThan(0.005)
      expect(share).toBeLessThan(0.04)
    }
  })

  test('log time never goes back, and fills the days asked for', () => {
    expect(items.every((item, i) => i === 0 || item.logTimeMs >= items[i - 1]!.logTimeMs)).toBe(true)
    expect(items[0]!.logTimeMs).toBeGreaterThanOrEqual(startMs)
    const days = (items.at(-1)!.logTimeMs - startMs) / 86_400_000
    expect(days).toBeGreaterThan(25)
    expect(days).toBeLessThan(35)
  })

  test('visitors are many and uneven, some with several devices, some sharing one', () => {
    const events = new Map<string, number>()
    const usersOf = new Map<string, Set<string>>()
    const devicesOf = new Map<string, Set<string>>()
    for (const { key, raw } of items) {
      events.set(key, (events.get(key) ?? 0) + 1)
      if (raw.failure) continue
      const { uid, duid } = paramsOf(raw.body)
      if (uid === undefined || duid === undefined) continue
      usersOf.set(duid, (usersOf.get(duid) ?? new Set()).add(uid))
      devicesOf.set(uid, (devicesOf.get(uid) ?? new Set()).add(duid))
    }
    expect(events.size).toBeGreaterThan(options.visitors * 0.9)
    const busiest = [...events.values()].sort((a, b) => b - a)
    const tenth = busiest.slice(0, busiest.length / 10).reduce((sum, n) => sum + n, 0)
    expect(tenth / items.length).toBeGreaterThan(0.3)
    expect([...devicesOf.values()].some((devices) => devices.size > 1)).toBe(true)
    expect([...usersOf.values()].some((users) => users.size > 1)).toBe(true)
  })

  test('a handful of visitors is enough for any number of events', () => {
    for (const visitors of [1, 2, 3]) {
      expect([...generateTraffic({ ...options, events: 500, visitors })]).toHaveLength(500)
    }
  })

  test('events have about the size of real ones', () => {
    const bytes = items.reduce((sum, { raw }) => sum + raw.body.length, 0) / items.length
    expect(bytes).toBeGreaterThan(600)
    expect(bytes).toBeLessThan(1_400)
  })

  test('without faults all data satisfies the schemas of the example shop', () => {
    const validate = shopSchemas()
    const used = new Map<string, number>()
    for (const { raw } of generateTraffic({ ...options, events: 4_000, visitors: 500, faults: noFaults })) {
      const { ue_px, cx } = paramsOf(raw.body)
      const parts = [...(ue_px ? [decode(ue_px).data] : []), ...(cx ? decode(cx).data : [])] as SelfDescribing[]
      for (const { schema, data } of parts) {
        used.set(schema, (used.get(schema) ?? 0) + 1)
        expect(validate(schema, data), `${schema} ${JSON.stringify(data)}`).toBe('')
      }
    }
    expect(used.size).toBeGreaterThanOrEqual(12)
  })
})

function digest(some: readonly TrafficItem[]): string {
  const hash = createHash('sha256')
  for (const { key, logTimeMs, raw } of some) hash.update(`${key}|${logTimeMs}|${JSON.stringify(raw)}\n`)
  return hash.digest('hex')
}

type SelfDescribing = { readonly schema: string; readonly data: unknown }

const paramsOf = (body: string): Record<string, string> => JSON.parse(body)
const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))

/** What is wrong with the data by its schema; nothing: ''. */
function shopSchemas(): (schema: string, data: unknown) => string {
  const folder = new URL('../../examples/retail/schemas/', import.meta.url)
  const ajv = new draft04.default({ strict: false })
  formats.default(ajv)
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\/\d+-\d+-\d+$/.test(file)) continue
    const { $schema: _, ...schema } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
    ajv.addSchema(schema, `iglu:${file}`)
  }
  return (schema, data) => {
    const validate = ajv.getSchema(schema)
    if (!validate) return 'no such schema'
    return validate(data) ? '' : ajv.errorsText(validate.errors)
  }
}
