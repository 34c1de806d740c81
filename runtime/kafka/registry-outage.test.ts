/** Tasks whose registry is elsewhere: they wait for a schema, and bury nothing for want of one. */
import { randomUUID } from 'node:crypto'
import avsc from 'avsc'
import { afterEach, test as anyTest, beforeEach, expect, vi } from 'vitest'
import { schemaTypes } from '../../schemas/avro/index.ts'
import type { IdentityAlias, SeenEventState } from '../../schemas/avro/types.ts'
import { HttpProxy } from '../../test/http-proxy.ts'
import { registryForTests } from '../../test/parts.ts'
import { Codec } from '../codec.ts'
import { MemoryLog } from '../memory/log.ts'
import { emit, type Inbound, type Operator, put } from '../operator.ts'
import { selfContained } from '../registry.ts'
import { Runner } from '../runner.ts'
import { MemoryStores } from '../stores/memory.ts'
import { defaultLimits } from '../task.ts'
import { allTopics, defineTopology } from '../topology.ts'
import { ConfluentRegistry } from './registry.ts'
import { RegistryClient } from './registry-client.ts'
import { applySubject, planSubjects } from './subjects.ts'

/** Emits how many records of the key there were before. */
const counter: Operator<Inbound<string, IdentityAlias>, SeenEventState, undefined> = {
  name: 'counter',
  state: 'SeenEventState',
  process({ key, value }, { state }) {
    const seen = state(key)?.atMs ?? 0
    return [put(key, { fingerprint: '', atMs: seen + 1 }), emit('out', 'event', key, { ...value, identitySeq: seen })]
  },
}

const topic = (name: string) => ({
  name,
  partitions: 1,
  cleanup: 'delete' as const,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { event: 'IdentityAlias' } as const,
})

const topology = defineTopology({
  name: 'counting',
  topics: [{ ...topic('in'), source: true }, topic('out')],
  stages: [{ name: 'count', inbox: 'in', operators: [counter], emits: ['out'] }],
})

const alias = (profileId: string): IdentityAlias => ({ tenant: 'a', profileId, mergedInto: 'p0', identitySeq: 0 })

const address = await registryForTests()
const url = address ?? ''
const test = anyTest.skipIf(!address)

let proxy: HttpProxy
let client: RegistryClient
let codec: Codec
let log: MemoryLog
let runner: Runner
beforeEach(async () => {
  const subjectPrefix = `registry-test-${randomUUID()}-`
  client = new RegistryClient({ url, subjectPrefix })
  for (const item of await planSubjects(client)) await applySubject(client, item)
  proxy = await HttpProxy.before(url)
  codec = new Codec(await ConfluentRegistry.open({ url: proxy.url, subjectPrefix }))
  log = new MemoryLog()
  await log.createTopics(allTopics(topology))
  runner = await start()
})
afterEach(async () => {
  await runner.stop()
  await proxy.close()
})

const start = () =>
  Runner.start({
    topology,
    log,
    stores: new MemoryStores(),
    codec,
    definitions: { resolve: async () => ({ tenant: 'a', version: 0, hash: '' }) },
    limits: defaultLimits,
    observer: {},
  })

/** A value as the next version of its schema writes it, which only now is registered. */
async function newer(name: 'IdentityAlias' | 'SeenEventState', value: object): Promise<Buffer> {
  const present = selfContained(schemaTypes.get(name)!) as { fields: object[] }
  const schema = { ...present, fields: [...present.fields, { name: 'note', type: 'string' }] } as avsc.Schema
  const subject = client.subjectOf(name)
  await client.setCompatibility(subject, 'FORWARD')
  await client.register(subject, schema)
  const head = Buffer.alloc(5)
  head.writeInt32BE((await client.latest(subject))!.id, 1)
  return Buffer.concat([head, avsc.Type.forSchema(schema).toBuffer({ ...value, note: 'new' })])
}

const send = (key: string, value: Buffer, to = 'in', kind = 'event') =>
  log.append([{ topic: to, partition: 0, kind, key, value, timestampMs: 1000 }])
const sent = () =>
  log.records('out', 0).map(({ key, value }) => [key, codec.decode('IdentityAlias', value!).identitySeq])
const buried = () => log.records('count.dead', 0).map(({ value }) => codec.decode('DeadLetter', value!).code)

test('a record of a version that came later is processed in its place', async () => {
  await send('a/1', codec.encode('IdentityAlias', alias('1')))
  await send('a/1', await newer('IdentityAlias', alias('1')))
  await send('a/1', codec.encode('IdentityAlias', alias('1')))
  await runner.drain()
  expect(sent()).toEqual([
    ['a/1', 0],
    ['a/1', 1],
    ['a/1', 2],
  ])
  expect(buried()).toEqual([])
})

test('so is one whose state a later version wrote', async () => {
  await runner.stop()
  const sections = [{ operator: 'counter', value: await newer('SeenEventState', { fingerprint: '', atMs: 41 }) }]
  const row = codec.encode('Row', { clockMs: 0, indexedAtMs: null, timers: [], sections })
  await send('a/1', row, 'count.changelog', 'row')
  runner = await start()
  await send('a/1', codec.encode('IdentityAlias', alias('1')))
  await runner.drain()
  expect(sent()).toEqual([['a/1', 41]])
  expect(buried()).toEqual([])
})

test('while the registry is away tasks go on with what they know, and wait where they do not; nothing is lost', async () => {
  proxy.cut = true
  runner.run((error) => expect.unreachable(String(error)))
  await send('a/1', codec.encode('IdentityAlias', alias('1')))
  await vi.waitFor(() => expect(sent()).toEqual([['a/1', 0]]))
  await send('a/1', await newer('IdentityAlias', alias('1')))
  await send('a/2', codec.encode('IdentityAlias', alias('2')))
  const asked = proxy.requests
  await vi.waitFor(() => expect(proxy.requests).toBeGreaterThan(asked + 3), { timeout: 10_000 })
  expect(sent()).toEqual([['a/1', 0]])
  expect(buried()).toEqual([])

  proxy.cut = false
  const all = [
    ['a/1', 0],
    ['a/1', 1],
    ['a/2', 0],
  ]
  await vi.waitFor(() => expect(sent()).toEqual(all), { timeout: 10_000 })
  expect(buried()).toEqual([])
})

test('a record of a schema that nobody registered is buried, and those after it go on', async () => {
  await send('a/1', Buffer.from([0, 0x7f, 0, 0, 1, 2]))
  await send('a/2', codec.encode('IdentityAlias', alias('2')))
  await runner.drain()
  expect(sent()).toEqual([['a/2', 0]])
  expect(buried()).toEqual(['SCHEMA_UNKNOWN'])
})

test('a record of a version that cannot be read stops the task before it, and is not buried', async () => {
  const subject = client.subjectOf('IdentityAlias')
  await client.setCompatibility(subject, 'NONE')
  const present = selfContained(schemaTypes.get('IdentityAlias')!) as { fields: { name: string }[] }
  const fields = present.fields.filter(({ name }) => name !== 'mergedInto')
  const schema = { ...present, fields } as avsc.Schema
  await client.register(subject, schema)
  const head = Buffer.alloc(5)
  head.writeInt32BE((await client.latest(subject))!.id, 1)
  await send('a/1', Buffer.concat([head, avsc.Type.forSchema(schema).toBuffer(alias('1'))]))
  await expect(runner.drain()).rejects.toMatchObject({
    code: 'SCHEMA_INCOMPATIBLE',
    message: expect.stringContaining('field mergedInto'),
  })
  expect(buried()).toEqual([])
})
