/** Duplicates through the production topology: across batches, restarts and replays, and what is left of them in the log. */
import { beforeEach, describe, expect, test } from 'vitest'
import { compile } from '../operators/validate/compile.ts'
import { pageView } from '../operators/validate/testing.ts'
import { TestDriver } from '../runtime/driver.ts'
import type { IdentifiedEvent, RawEvent } from '../schemas/avro/types.ts'
import { type DerivedEntityKey, derivedEntitySchemas } from '../schemas/derived-entities.ts'
import { noRequest, rawEvent, type Sourced } from '../sources/raw-event.ts'
import { customerData } from '../topologies/customer-data.ts'
import { definitionsFrom, manifestOf } from '../workspace/manifest.ts'
import { loadWorkspace } from '../workspace/workspace.ts'

const startMs = Date.UTC(2026, 2, 1)
const day = 24 * 3_600_000
const workspace = await loadWorkspace('examples/retail')

const open = (recordsInBatch = 1_000): Promise<TestDriver> =>
  TestDriver.open({
    topology: customerData([]),
    assemble: (manifest, bodies) => definitionsFrom([manifest, ...bodies], Buffer.alloc(32, 7)),
    definitions: [manifestOf({ ...workspace, destinations: [] }).records],
    startMs,
    limits: { recordsMax: recordsInBatch },
  })

let driver: TestDriver
let payloads = 0
beforeEach(async () => {
  driver = await open()
  payloads = 0
})

const idOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** An event of a visitor as a tracker sends it; each sending is a payload of its own, at a time of its own. */
function sending(id: string, page: string, duid = 'visitor'): Sourced {
  payloads++
  const fields = { ...pageView, eid: id, page, duid, stm: String(startMs + payloads) }
  const origin = {
    ...noRequest,
    tenant: 'retail',
    source: 'test',
    payloadId: `p${payloads}`,
    collectorTstampMs: startMs,
  }
  return rawEvent({ ...origin, collectorTstampMs: startMs + payloads }, 'tp2', 0, JSON.stringify(fields), fields)
}

const send = (...events: readonly Sourced[]): Promise<void> =>
  driver.sendAll(
    'events.raw',
    'event',
    events.map(({ raw, key }) => ({ key, value: raw })),
  )

const accepted = (of = driver) =>
  of.records('events.identified').map(({ value }) => {
    const { event_id, page_title, derived_contexts } = (value as IdentifiedEvent).event
    return { id: event_id, page: page_title, derived: derived_contexts }
  })

const counts = (): readonly (number | undefined)[] =>
  ['valid', 'accepted', 'duplicates'].map((name) => driver.counters().get(name))

describe('an event that is sent again', () => {
  test('in the same batch, in a later one, or after a kill is there once', async () => {
    await send(sending(idOf(1), 'Shoes'), sending(idOf(1), 'Shoes'))
    await send(sending(idOf(1), 'Shoes'))
    await driver.restart()
    await send(sending(idOf(1), 'Shoes'), sending(idOf(2), 'Shoes'))
    expect(accepted().map(({ id }) => id)).toEqual([idOf(1), idOf(2)])
    expect(counts()).toEqual([5, 2, 3])
  })

  test('is absorbed for 7 days of log time, whatever its device says', async () => {
    await send(sending(idOf(1), 'Shoes'))
    await driver.advanceTo(startMs + 7 * day - 1)
    await send(sending(idOf(1), 'Shoes'))
    expect(accepted()).toHaveLength(1)
    await driver.advanceTo(startMs + 7 * day)
    await send(sending(idOf(1), 'Shoes'))
    expect(accepted()).toHaveLength(2)
  })

  test('by a busy visitor, hundreds of events later, after a kill', async () => {
    const ids = Array.from({ length: 300 }, (_, n) => idOf(n))
    await send(...ids.map((id) => sending(id, 'Shoes')))
    await driver.restart()
    await send(...ids.map((id) => sending(id, 'Shoes')))
    expect(counts()).toEqual([600, 300, 300])
  })

  test('by another visitor is another event', async () => {
    await send(sending(idOf(1), 'Shoes', 'one'), sending(idOf(1), 'Shoes', 'other'))
    expect(accepted()).toHaveLength(2)
  })
})

describe('another event under the same id', () => {
  test.each(['in the same batch', 'in a later batch', 'after a kill'])(
    '%s has an id of its own, and says whose it had',
    async (when) => {
      const events = [sending(idOf(1), 'Shoes'), sending(idOf(1), 'Hats')]
      if (when === 'in the same batch') await send(...events)
      else {
        await send(events[0]!)
        if (when === 'after a kill') await driver.restart()
        await send(events[1]!)
      }
      const [first, second] = accepted()
      expect(first).toEqual({ id: idOf(1), page: 'Shoes', derived: [] })
      expect(second).toMatchObject({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab]/),
        page: 'Hats',
      })
      const [duplicate] = second!.derived
      expect(JSON.parse(duplicate!.data)).toEqual({ originalEventId: idOf(1) })
      const schema = compile(JSON.stringify(derivedEntitySchemas[duplicate!.schema as DerivedEntityKey]))
      expect('check' in schema && schema.check(JSON.parse(duplicate!.data))).toEqual([])
    },
  )

  test('is absorbed itself when it comes again', async () => {
    await send(sending(idOf(1), 'Shoes'), sending(idOf(1), 'Hats'))
    await driver.restart()
    await send(sending(idOf(1), 'Hats'), sending(idOf(1), 'Shoes'), sending(idOf(1), 'Hats'))
    expect(counts()).toEqual([5, 2, 3])
  })
})

test('reading the log again gives the same events under the same ids, however it is cut, and absorbs no other', async () => {
  const events = Array.from({ length: 200 }, (_, n) => {
    const id = idOf(n % 60)
    return n % 7 === 0
      ? withoutId(sending(id, `Page ${n}`))
      : sending(id, `Page ${Math.floor(n / 60) % 2}`, `visitor-${n % 5}`)
  })
  for (let at = 0; at < events.length; at += 50) {
    await send(...events.slice(at, at + 50))
    await driver.restart()
  }
  const raw = driver.records('events.raw').filter(({ kind }) => kind === 'event')
  const live = sorted(accepted())
  expect(live.length).toBeLessThan(200)
  expect(live.filter(({ derived }) => derived.length > 0).length).toBeGreaterThan(50)
  for (const recordsInBatch of [1, 7, 1_000]) {
    const again = await open(recordsInBatch)
    await again.sendAll(
      'events.raw',
      'event',
      raw.map(({ key, value }) => ({ key, value: value as RawEvent })),
    )
    expect(sorted(accepted(again))).toEqual(live)
    // the whole past once more on top: nothing is new
    await again.sendAll(
      'events.raw',
      'event',
      raw.map(({ key, value }) => ({ key, value: value as RawEvent })),
    )
    expect(sorted(accepted(again))).toEqual(live)
  }
})

/** Events of several clients, whose order among each other the log does not keep. */
const sorted = (events: ReturnType<typeof accepted>) => [...events].sort((a, b) => (a.id! < b.id! ? -1 : 1))

/** As a tracker sends it that gives no ids; they are derived. */
function withoutId({ raw, key }: Sourced): Sourced {
  const { eid: _, ...fields } = JSON.parse(raw.body)
  return { raw: { ...raw, body: JSON.stringify(fields) }, key }
}
