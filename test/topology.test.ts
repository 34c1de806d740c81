/** The production topology in the test driver: what a customer does, and what comes out of it, at which instant. */
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test } from 'vitest'
import { TestDriver } from '../runtime/driver.ts'
import type { Activation, IdentifiedEvent, MembershipTransition, Profile } from '../schemas/avro/types.ts'
import { failedRawEvent, noRequest, notJson, type Origin, rawEvent } from '../sources/raw-event.ts'
import { customerData } from '../topologies/customer-data.ts'
import { definitionsFrom, manifestOf } from '../workspace/manifest.ts'
import { loadWorkspace } from '../workspace/workspace.ts'

const startMs = Date.UTC(2026, 2, 1)
const second = 1000
const minute = 60 * second
const day = 24 * 60 * minute
const tenant = 'retail'

let driver: TestDriver
let sent = 0

beforeEach(async () => {
  const workspace = await loadWorkspace(fileURLToPath(new URL('../examples/retail', import.meta.url)))
  const topology = customerData(workspace.destinations.map(({ id }) => id))
  sent = 0
  driver = await TestDriver.open({
    topology,
    assemble: (manifest, bodies) => definitionsFrom([manifest, ...bodies], Buffer.alloc(32, 7)),
    definitions: [manifestOf(workspace).records],
    startMs,
  })
})

const shoe = { sku: 's-1', name: 'Trail shoe', category: 'shoes', price: 89.9, currency: 'EUR', quantity: 1 }

type Act = {
  event: string
  data?: object
  entities?: [string, object][]
  device?: string
  user?: string
  id?: string
  agoMs?: number
}

/** Sends an event at the driver's clock; `agoMs` says how long before it happened. */
async function act({ event, data = {}, entities = [], device, user, id, agoMs = 0 }: Act): Promise<void> {
  const schema = (name: string): string => `iglu:com.example.shop/${name}/jsonschema/1-0-0`
  const fields = {
    event_id: id ?? `00000000-0000-4000-8000-${String(++sent).padStart(12, '0')}`,
    event: 'unstruct',
    platform: 'web',
    dvce_created_tstamp: new Date(driver.nowMs - agoMs).toISOString(),
    dvce_sent_tstamp: new Date(driver.nowMs).toISOString(),
    ...(device && { domain_userid: device }),
    ...(user && { user_id: user }),
    unstruct_event: { schema: schema(event), data },
    contexts: entities.map(([name, entity]) => ({ schema: schema(name), data: entity })),
  }
  const { raw, key } = rawEvent(
    { ...origin(), collectorTstampMs: driver.nowMs },
    'ndjson',
    0,
    JSON.stringify(fields),
    fields,
  )
  await driver.send('events.raw', 'event', key, raw)
}

function origin(): Origin {
  return {
    tenant,
    source: 'test',
    payloadId: `payload-${sent}`,
    collectorTstampMs: driver.nowMs,
    ...noRequest,
  }
}

const view = (device: string, more: Partial<Act> = {}): Promise<void> =>
  act({ event: 'product_view', entities: [['product', shoe]], device, ...more })

/** Transitions as `profile segment status @seconds since the start (reason)`, in the order of their evaluation. */
function transitions(segment: string): string[] {
  return driver
    .records('segments.memberships')
    .map(({ value }) => value as MembershipTransition)
    .filter(({ segmentId }) => segmentId === segment)
    .sort((a, b) => a.evaluatedAtMs - b.evaluatedAtMs || a.seq - b.seq)
    .map(({ status, effectiveAtMs, reason }) => `${status} @${(effectiveAtMs - startMs) / second} (${reason})`)
}

function profiles(): Profile[] {
  const last = new Map<string, Profile | null>()
  for (const { key, value } of driver.records('profiles')) last.set(key, value as Profile | null)
  return [...last.values()].filter((profile) => profile !== null)
}

function activations(destination: string): string[] {
  return driver.records(`connect.${destination}`).map(({ value }) => {
    const { op, segmentId } = value as Activation
    return `${op} ${segmentId}`
  })
}

describe('a window closes at its instant', () => {
  test('a view of shoes counts for 300 seconds, to the millisecond, with no further event', async () => {
    await view('phone')
    await driver.advanceTo(startMs + 299_999)
    expect(transitions('viewed_shoes_300s')).toEqual(['entered @0 (event)'])
    await driver.advanceTo(startMs + 300_000)
    expect(transitions('viewed_shoes_300s')).toEqual(['entered @0 (event)', 'exited @300 (timer)'])
  })

  test('however late somebody looks, the exit carries its deadline; a kill in between changes nothing', async () => {
    await view('phone')
    await driver.restart()
    await driver.advanceTo(startMs + 40 * day)
    expect(transitions('viewed_shoes_300s')).toEqual(['entered @0 (event)', 'exited @300 (timer)'])
  })

  test('an event that arrives late tells what was true', async () => {
    await driver.advanceTo(startMs + 10 * minute)
    await view('phone')
    await driver.advanceTo(startMs + 12 * minute)
    await view('phone', { agoMs: 11 * minute })
    expect(profiles().map(({ events, firstSeenMs }) => ({ events, firstSeenMs }))).toEqual([
      { events: 2, firstSeenMs: startMs + minute },
    ])
    await driver.advanceTo(startMs + 15 * minute)
    expect(transitions('viewed_shoes_300s')).toEqual(['entered @600 (event)', 'exited @900 (timer)'])
  })
})

describe('one person on two devices', () => {
  test('a log-in on the second device joins both; what was known of each is one profile, and the older id stays', async () => {
    await view('phone')
    await act({ event: 'sign_up', device: 'phone', user: 'ada', data: { method: 'email', email: 'ada@shop.com' } })
    const [before] = profiles()
    await driver.advanceTo(startMs + minute)
    await view('laptop')
    expect(profiles()).toHaveLength(2)
    await act({ event: 'log_in', device: 'laptop', user: 'ada', data: { method: 'email', email: 'ada@shop.com' } })

    const after = profiles()
    expect(after.map(({ profileId, events }) => ({ profileId, events }))).toEqual([
      { profileId: before!.profileId, events: 4 },
    ])
    expect(driver.records('identity.aliases')).toHaveLength(1)
    expect(transitions('viewed_shoes_300s')).toEqual([
      'entered @0 (event)',
      'entered @60 (event)',
      'exited @60 (merge)',
    ])
    await driver.advanceTo(startMs + 10 * minute)
    expect(transitions('viewed_shoes_300s').at(-1)).toBe('exited @360 (timer)')
  })

  test('two accounts on one device stay two people', async () => {
    await act({ event: 'log_in', device: 'family', user: 'ada', data: { method: 'email' } })
    await driver.advanceTo(startMs + 60 * minute)
    await act({ event: 'log_in', device: 'family', user: 'bob', data: { method: 'email' } })
    expect(profiles()).toHaveLength(2)
    expect(driver.counters().get('merges') ?? 0).toBe(0)
    expect(driver.counters().get('merges.refused')).toBe(1)
  })

  test('events that arrive under the old id find the survivor', async () => {
    await view('phone')
    await act({ event: 'sign_up', device: 'phone', user: 'ada', data: { method: 'email', email: 'ada@shop.com' } })
    await act({ event: 'log_in', device: 'laptop', user: 'ada', data: { method: 'email' } })
    for (let i = 0; i < 3; i++) await view('laptop')
    const [profile, ...others] = profiles()
    expect(others).toEqual([])
    expect(profile!.events).toBe(6)
    const owners = driver.records('events.identified').filter(({ kind }) => kind === 'event')
    expect(owners.filter(({ value }) => (value as IdentifiedEvent).hops === 0)).toHaveLength(6)
  })
})

test('nothing is lost: what is sent twice is absorbed, what cannot be read is a bad row, the rest goes on', async () => {
  await view('phone', { id: '11111111-1111-4111-8111-111111111111' })
  await view('phone', { id: '11111111-1111-4111-8111-111111111111' })
  await act({ event: 'no_such_event', device: 'phone' })
  await act({ event: 'purchase', device: 'phone', data: { total: 'much' } })
  const broken = failedRawEvent(origin(), 'tp2', 0, '{"data":[{"e":', notJson('body', 'unexpected end'))
  await driver.send('events.raw', 'event', broken.key, broken.raw)
  await view('phone')

  const counters = driver.counters()
  const counted = (name: string): number => counters.get(name) ?? 0
  expect(counted('raw.events')).toBe(6)
  expect(counted('bad')).toBe(3)
  expect(counted('duplicates')).toBe(1)
  expect(counted('accepted')).toBe(2)
  expect(counted('dead')).toBe(0)
  expect(driver.records('events.bad')).toHaveLength(3)
})

test('nobody is sent anywhere without consent; what was sent is taken back when it is withdrawn', async () => {
  const consent = (eventType: string, scopes: string[]): Promise<void> => {
    const data = {
      eventType,
      basisForProcessing: 'consent',
      consentUrl: 'https://shop.com/privacy',
      consentVersion: '1',
      consentScopes: scopes,
      domainsApplied: ['https://shop.com'],
    }
    const fields = {
      event_id: `00000000-0000-4000-8000-${String(++sent).padStart(12, '0')}`,
      event: 'unstruct',
      platform: 'web',
      domain_userid: 'phone',
      unstruct_event: { schema: 'iglu:com.snowplowanalytics.snowplow/consent_preferences/jsonschema/1-0-0', data },
    }
    const { raw, key } = rawEvent(
      { ...origin(), collectorTstampMs: driver.nowMs },
      'ndjson',
      0,
      JSON.stringify(fields),
      fields,
    )
    return driver.send('events.raw', 'event', key, raw)
  }
  await act({ event: 'sign_up', device: 'phone', user: 'ada', data: { method: 'email', email: 'ada@shop.com' } })
  expect(transitions('new_signup_no_purchase')).toEqual(['entered @0 (event)'])
  expect(activations('email_tool')).toEqual([])

  await driver.advanceTo(startMs + minute)
  await consent('allow_all', ['marketing', 'analytics', 'personalization'])
  expect(activations('email_tool')).toContain('add new_signup_no_purchase')

  await driver.advanceTo(startMs + 2 * minute)
  await consent('deny_all', [])
  expect(activations('email_tool')).toContain('remove new_signup_no_purchase')
  expect(transitions('new_signup_no_purchase')).toEqual(['entered @0 (event)'])
})
