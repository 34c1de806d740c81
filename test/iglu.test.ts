/** Events whose schemas a registry has: the production topology over the memory log, and a real registry over HTTP. */
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { validate } from '../operators/validate/validate.ts'
import { Resolver } from '../registries/resolver.ts'
import { TestRegistry } from '../registries/testing.ts'
import { Codec, fixedSchemaIds } from '../runtime/codec.ts'
import { applyDefinitions, DefinitionReader } from '../runtime/definitions.ts'
import { MemoryLog } from '../runtime/memory/log.ts'
import { type Effect, tenantOf } from '../runtime/operator.ts'
import { Runner } from '../runtime/runner.ts'
import { MemoryStores } from '../runtime/stores/memory.ts'
import { defaultLimits } from '../runtime/task.ts'
import { allTopics } from '../runtime/topology.ts'
import type { BadRow, IdentifiedEvent, RawEvent } from '../schemas/avro/types.ts'
import type { Definitions } from '../schemas/definitions.ts'
import { noRequest, rawEvent } from '../sources/raw-event.ts'
import { customerData } from '../topologies/customer-data.ts'
import { definitionsFrom, manifestOf } from '../workspace/manifest.ts'
import { loadWorkspace, type Workspace } from '../workspace/workspace.ts'

const startMs = Date.UTC(2026, 2, 1)
const badge = 'iglu:com.acme/badge/jsonschema/1-0-0'
const topology = customerData([], { identify: 1, graph: 1, profile: 1 })

let registry: TestRegistry
let workspace: Workspace
let log: MemoryLog
let codec: Codec
let reader: DefinitionReader
let runner: Runner
let nowMs: number
let sent = 0

beforeEach(async () => {
  registry = await TestRegistry.open()
  nowMs = startMs
  const repository = { name: 'acme', priority: 0, vendorPrefixes: [], at: { uri: registry.uri, apiKeyEnv: null } }
  const retail = await loadWorkspace(fileURLToPath(new URL('../examples/retail', import.meta.url)))
  const registries = { cacheTtlMs: null, repositories: [repository], refresh: 0 }
  workspace = { ...retail, iglu: { ...retail.iglu, registries } }
  log = new MemoryLog()
  codec = new Codec(fixedSchemaIds())
  await log.createTopics(allTopics(topology))
  reader = newReader()
  await apply(0)
  runner = await Runner.start({
    topology,
    log,
    stores: new MemoryStores(),
    codec,
    definitions: reader,
    limits: defaultLimits,
    observer: {},
  })
})

afterEach(() => registry.close())

function newReader(asks = true): DefinitionReader {
  const resolver = new Resolver({ workspaceFolder: '.', env: {}, nowMs: () => nowMs, timeoutMs: 500, attempts: 1 })
  return new DefinitionReader(
    log,
    codec,
    (manifest, bodies, outside) => definitionsFrom([manifest, ...bodies], Buffer.alloc(32, 7), { outside }),
    asks ? (questions) => resolver.ask(questions) : undefined,
  )
}

async function apply(refresh: number): Promise<void> {
  const { records } = manifestOf(workspace, { refresh })
  await applyDefinitions({ topology, log, codec, reader, records, logTimeMs: nowMs })
}

/** A page view with these entities, at the clock. */
async function send(...entities: (readonly [schema: string, data: object])[]): Promise<void> {
  const fields = {
    event_id: `00000000-0000-4000-8000-${String(++sent).padStart(12, '0')}`,
    event: 'page_view',
    platform: 'web',
    domain_userid: 'browser',
    contexts: entities.map(([schema, data]) => ({ schema, data })),
  }
  const origin = { tenant: 'retail', source: 'test', payloadId: `p-${sent}`, collectorTstampMs: nowMs, ...noRequest }
  const { raw, key } = rawEvent(origin, 'ndjson', 0, JSON.stringify(fields), fields)
  const value = codec.encode('RawEvent', raw)
  await log.append([{ topic: 'events.raw', partition: 0, kind: 'event', key, value, timestampMs: nowMs }])
}

/** What has come of each event so far, in order of topic. */
function outcome(): { good: IdentifiedEvent[]; bad: string[] } {
  const good = log
    .records('events.identified', 0)
    .filter(({ kind }) => kind === 'event')
    .map(({ value }) => codec.decode('IdentifiedEvent', value!))
  const bad = log.records('events.bad', 0).map(({ value }) => errorsOf(codec.decode('BadRow', value!)))
  return { good, bad }
}

function errorsOf({ data }: BadRow): string {
  const { failure } = JSON.parse(data) as { failure: { messages: { error: { error: string } }[] } }
  return failure.messages.map(({ error }) => error.error).join()
}

test('a schema that nobody has asked for is fetched, once for all that wait for it, and is in the log from then on', async () => {
  registry.put(badge, { properties: { level: { type: 'integer' } } })
  for (let level = 0; level < 20; level++) await send([badge, { level }], [badge, { level: level + 1 }])
  await send([badge, { level: 'high' }])
  await runner.drain()
  expect(outcome().good).toHaveLength(20)
  expect(outcome().bad).toEqual(['ValidationError'])
  expect(registry.asked).toEqual(['com.acme/badge/jsonschema/1-0-0'])
  registry.trouble = 500
  await send([badge, { level: 3 }])
  await runner.drain()
  expect(outcome().good).toHaveLength(21)
})

test('a schema that is published is found ten seconds after it was missed, and not before', async () => {
  await send([badge, {}])
  await runner.drain()
  registry.put(badge, {})
  nowMs += 9_999
  await send([badge, {}])
  await runner.drain()
  expect(outcome()).toMatchObject({ good: [], bad: ['ResolutionError', 'ResolutionError'] })
  nowMs += 1
  await send([badge, {}])
  await runner.drain()
  expect(outcome().good).toHaveLength(1)
  expect(registry.asked).toHaveLength(2)
})

test('while a registry is out, the partition waits; then it goes on, and nothing is bad or lost', async () => {
  await send()
  registry.trouble = 503
  registry.put(badge, {})
  await send([badge, {}])
  await send()
  await expect(runner.drain()).rejects.toMatchObject({ code: 'IGLU_UNAVAILABLE', retryable: true })
  await expect(runner.drain()).rejects.toMatchObject({ code: 'IGLU_UNAVAILABLE' })
  expect(outcome()).toEqual({ good: [], bad: [] })
  registry.trouble = null
  await runner.drain()
  expect(outcome().good).toHaveLength(3)
  expect(outcome().bad).toEqual([])
})

test('a replay gives the same verdicts, whatever the registry has become since, and asks nobody', async () => {
  const late = 'iglu:com.acme/late/jsonschema/1-0-0'
  registry.put(badge, { properties: { level: { type: 'integer' } } })
  for (let step = 0; step < 8; step++) {
    if (step === 3) registry.put(late, {})
    await send([badge, { level: step }], [late, {}])
    await send([late, { step }])
    await runner.drain()
    nowMs += 4_000
  }
  expect(outcome().bad.length).toBeGreaterThan(0)
  expect(outcome().good.length).toBeGreaterThan(0)

  registry.put(badge, { not: {} })
  registry.schemas.delete('com.acme/late/jsonschema/1-0-0')
  const { length } = registry.asked
  const again = newReader(false)
  const definitions = (await again.resolve('retail', manifestOf(workspace).hash)) as Definitions
  const verdicts = log.records('events.raw', 0).flatMap(({ kind, key, value, timestampMs: logTimeMs, offset }) => {
    if (kind !== 'event') return []
    const raw: RawEvent = codec.decode('RawEvent', value!)
    const context = {
      clockMs: logTimeMs,
      logTimeMs,
      offset,
      partition: 0,
      generation: 0,
      definitions,
      state: () => undefined,
    }
    expect(tenantOf(key)).toBe('retail')
    return validate
      .process({ kind, key, value: raw }, context)
      .filter((effect: Effect) => effect.effect === 'pass' || (effect.effect === 'emit' && effect.kind === 'bad'))
  })
  const bad = verdicts.flatMap((effect) => (effect.effect === 'emit' ? errorsOf(effect.value as BadRow) : []))
  expect(bad).toEqual(outcome().bad)
  expect(verdicts.length - bad.length).toBe(outcome().good.length)
  expect(registry.asked).toHaveLength(length)
})

test('registries are asked anew once the definitions say so, exactly at the marker', async () => {
  registry.put(badge, { properties: { level: { type: 'integer' } } })
  await send([badge, { level: 'high' }])
  await runner.drain()
  registry.put(badge, { properties: { level: { type: 'string' } } })
  await send([badge, { level: 'high' }])
  await apply(1)
  await send([badge, { level: 'high' }])
  await runner.drain()
  expect(outcome().bad).toEqual(['ValidationError', 'ValidationError'])
  expect(outcome().good).toHaveLength(1)
})

test('what supersedes a schema takes its place, and the event says so', async () => {
  const newer = 'iglu:com.acme/badge/jsonschema/1-0-1'
  registry.put(badge, { $supersededBy: '1-0-1', required: ['name'] })
  registry.put(newer, { properties: { level: { type: 'integer' } } })
  await send([badge, { level: 1 }])
  await runner.drain()
  const { event } = outcome().good[0]!
  expect(event.contexts).toEqual([{ schema: newer, data: '{"level":1}' }])
  expect(event.derived_contexts).toEqual([
    {
      schema: 'iglu:com.snowplowanalytics.iglu/validation_info/jsonschema/1-0-0',
      data: JSON.stringify({ originalSchema: badge, validatedWith: '1-0-1' }),
    },
  ])
})

test('an event that names a thousand schemas nobody has is bad in one go', async () => {
  await send(...Array.from({ length: 1_000 }, (_, at) => [`iglu:x/y${at}/jsonschema/1-0-0`, {}] as const))
  await runner.drain()
  expect(outcome().bad).toHaveLength(1)
  expect(registry.asked.length).toBeLessThan(250)
})
