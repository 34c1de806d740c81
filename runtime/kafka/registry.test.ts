import { randomUUID } from 'node:crypto'
import avsc from 'avsc'
import { describe, expect, test } from 'vitest'
import { schemaTypes } from '../../schemas/avro/index.ts'
import type { SchemaName } from '../../schemas/avro/types.ts'
import { HttpProxy } from '../../test/http-proxy.ts'
import { registryForTests } from '../../test/parts.ts'
import { Codec } from '../codec.ts'
import { ConfluentRegistry } from './registry.ts'
import { RegistryClient } from './registry-client.ts'
import { applySubject, compatibility, planSubjects } from './subjects.ts'

const address = await registryForTests()
const url = address ?? ''

const newPrefix = () => `registry-test-${randomUUID()}-`

const tickAs = (fields: object[]) =>
  new Map([
    [
      'Tick',
      avsc.Type.forSchema({ type: 'record', name: 'millrace.Tick', fields } as avsc.Schema, { wrapUnions: false }),
    ],
  ])
const clockMs = { name: 'clockMs', type: 'long' }
const writer = { name: 'writer', type: 'string' }
const withDefault = { ...writer, default: 'source' }
const tickSchemas = tickAs([writer, clockMs])

/** As `topics apply` does. */
async function register(subjectPrefix: string, schemas: ReadonlyMap<string, avsc.Type> = tickSchemas) {
  const client = new RegistryClient({ url, subjectPrefix })
  for (const item of await planSubjects(client, schemas)) await applySubject(client, item)
  return client
}

const framed = (id: number, type: avsc.Type, value: unknown) => {
  const head = Buffer.alloc(5)
  head.writeInt32BE(id, 1)
  return Buffer.concat([head, type.toBuffer(value)])
}

describe.skipIf(!address)('subjects', () => {
  test('are made once, with compatibility; then there is nothing to do', async () => {
    const prefix = newPrefix()
    const client = new RegistryClient({ url, subjectPrefix: prefix })
    const [planned] = await planSubjects(client, tickSchemas)
    expect(planned).toMatchObject({ name: `${prefix}millrace.Tick`, action: 'create' })
    await register(prefix)
    expect(await client.compatibility(`${prefix}millrace.Tick`)).toBe(compatibility)
    expect(await planSubjects(client, tickSchemas)).toMatchObject([{ action: 'keep', details: [] }])
  })

  test('of every schema of ours are taken by the registry as they are', async () => {
    const prefix = newPrefix()
    await register(prefix, schemaTypes)
    const registry = await ConfluentRegistry.open({ url, subjectPrefix: prefix })
    for (const [name, type] of schemaTypes) {
      const registered = registry.schemaOf(registry.idOf(name as SchemaName))!
      expect(registered.name).toBe(name)
      const parsed = avsc.Type.forSchema(registered.schema, { wrapUnions: false })
      expect(parsed.fingerprint()).toEqual(type.fingerprint())
    }
  })

  test('a compatibility that somebody changed is told and set again', async () => {
    const prefix = newPrefix()
    const client = await register(prefix)
    await client.setCompatibility(`${prefix}millrace.Tick`, 'NONE')
    const planned = await planSubjects(client, tickSchemas)
    expect(planned).toMatchObject([{ action: 'change', details: [`compatibility NONE → ${compatibility}`] }])
    await applySubject(client, planned[0]!)
    expect(await planSubjects(client, tickSchemas)).toMatchObject([{ action: 'keep' }])
  })

  test('a schema that cannot read any one before it is refused, with version and field', async () => {
    const client = await register(newPrefix(), tickAs([clockMs]))
    const id = (await client.latest(client.subjectOf('Tick')))!.id
    await register(prefixOf(client), tickAs([clockMs, withDefault]))
    expect(await planSubjects(client, tickAs([clockMs, writer]))).toMatchObject([
      {
        action: 'refuse',
        details: [
          `it cannot read version 1 (id ${id}): field writer: the reader wants it and has no default; the writer has none`,
        ],
      },
    ])
  })

  test('the registry itself refuses what we should not have sent', async () => {
    const client = await register(newPrefix(), tickAs([clockMs]))
    const incompatible = tickAs([clockMs, writer]).get('Tick')!.schema()
    await expect(client.register(client.subjectOf('Tick'), incompatible)).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
    })
  })
})

const prefixOf = (client: RegistryClient) => client.subjectOf('').replace(/millrace\.$/, '')

describe.skipIf(!address)('the registry behind a codec', () => {
  test('what one process writes another reads; an id stands for the same schema in both', async () => {
    const subjectPrefix = newPrefix()
    await register(subjectPrefix)
    const [one, other] = [
      new Codec(await ConfluentRegistry.open({ url, subjectPrefix }, tickSchemas)),
      new Codec(await ConfluentRegistry.open({ url, subjectPrefix }, tickSchemas)),
    ]
    const bytes = one.encode('Tick', { writer: 'graph/0', clockMs: 7 })
    expect(other.decode('Tick', bytes)).toEqual({ writer: 'graph/0', clockMs: 7 })
    expect(bytes.readInt32BE(1)).toBe((await latestTick(subjectPrefix)).id)
  })

  test('a schema that nobody registered ends the start with what to do', async () => {
    const opened = ConfluentRegistry.open({ url, subjectPrefix: newPrefix() }, tickSchemas)
    await expect(opened).rejects.toMatchObject({
      code: 'SCHEMA_UNREGISTERED',
      message: expect.stringContaining('millrace.Tick'),
    })
  })

  test('values of versions before and of one that comes later are read as the present', async () => {
    const subjectPrefix = newPrefix()
    await register(subjectPrefix, tickAs([withDefault, clockMs]))
    const older = (await latestTick(subjectPrefix)).id
    await register(subjectPrefix)
    const codec = new Codec(await ConfluentRegistry.open({ url, subjectPrefix }, tickSchemas))
    const olderType = tickAs([withDefault, clockMs]).get('Tick')!
    expect(codec.decode('Tick', framed(older, olderType, { writer: 'a', clockMs: 1 }))).toEqual({
      writer: 'a',
      clockMs: 1,
    })

    const note = { name: 'note', type: 'string', default: '' }
    const newer = tickAs([writer, clockMs, note])
    await register(subjectPrefix, newer)
    const bytes = framed((await latestTick(subjectPrefix)).id, newer.get('Tick')!, {
      writer: 'b',
      clockMs: 2,
      note: 'x',
    })
    expect(() => codec.decode('Tick', bytes)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
    await codec.fetched()
    expect(codec.decode('Tick', bytes)).toEqual({ writer: 'b', clockMs: 2 })
  })

  test('a value of a later version that the present cannot read says which field of which version', async () => {
    const subjectPrefix = newPrefix()
    const client = await register(subjectPrefix)
    const codec = new Codec(await ConfluentRegistry.open({ url, subjectPrefix }, tickSchemas))
    await client.setCompatibility(client.subjectOf('Tick'), 'NONE')
    const newer = tickAs([writer, { name: 'clockMs', type: 'string' }]).get('Tick')!
    await client.register(client.subjectOf('Tick'), newer.schema())
    const { id } = await latestTick(subjectPrefix)
    const bytes = framed(id, newer, { writer: 'b', clockMs: 'noon' })
    expect(() => codec.decode('Tick', bytes)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
    await codec.fetched()
    expect(() => codec.decode('Tick', bytes)).toThrow(
      expect.objectContaining({
        code: 'SCHEMA_INCOMPATIBLE',
        message: `this version cannot read values of ${subjectPrefix}millrace.Tick version 2 (id ${id}): field clockMs: the reader has long, the writer string`,
      }),
    )
  })

  test('an id that nobody has is asked for once, and SCHEMA_UNKNOWN', async () => {
    const proxy = await HttpProxy.before(url)
    const subjectPrefix = newPrefix()
    await register(subjectPrefix)
    const codec = new Codec(await ConfluentRegistry.open({ url: proxy.url, subjectPrefix }, tickSchemas))
    const asked = proxy.requests
    const bytes = framed(2_000_000_000, tickSchemas.get('Tick')!, { writer: 'a', clockMs: 1 })
    const decode = () => codec.decode('Tick', bytes)
    for (let i = 0; i < 5; i++) expect(decode).toThrow(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
    await codec.fetched()
    for (let i = 0; i < 5; i++) expect(decode).toThrow(expect.objectContaining({ code: 'SCHEMA_UNKNOWN' }))
    expect(proxy.requests - asked).toBe(1)
    await proxy.close()
  })

  test('while the registry is away what is known goes on, and what is not waits until it is back', async () => {
    const proxy = await HttpProxy.before(url)
    const subjectPrefix = newPrefix()
    await register(subjectPrefix)
    const codec = new Codec(await ConfluentRegistry.open({ url: proxy.url, subjectPrefix }, tickSchemas))
    const newer = tickAs([writer, clockMs, { name: 'note', type: 'string', default: '' }])
    await register(subjectPrefix, newer)
    const { id } = await latestTick(subjectPrefix)
    const bytes = framed(id, newer.get('Tick')!, { writer: 'b', clockMs: 2, note: 'x' })

    proxy.cut = true
    const known = { writer: 'a', clockMs: 1 }
    expect(codec.decode('Tick', codec.encode('Tick', known))).toEqual(known)
    expect(() => codec.decode('Tick', bytes)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
    await codec.fetched()
    for (let i = 0; i < 3; i++) {
      expect(() => codec.decode('Tick', bytes)).toThrow(
        expect.objectContaining({ code: 'REGISTRY_UNAVAILABLE', retryable: true }),
      )
      await codec.fetched()
    }
    await expect(ConfluentRegistry.open({ url: proxy.url, subjectPrefix }, tickSchemas)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
    })

    proxy.cut = false
    // The failure is told once more, to whoever asks before the fetch that it begins has ended.
    expect(() => codec.decode('Tick', bytes)).toThrow(expect.objectContaining({ retryable: true }))
    await codec.fetched()
    expect(codec.decode('Tick', bytes)).toEqual({ writer: 'b', clockMs: 2 })
    await proxy.close()
  })

  test('a registry that answers with errors, or with a page of something else, is away too', async () => {
    for (const answer of [503, 200]) {
      const proxy = await HttpProxy.before(url)
      proxy.answer = answer
      await expect(ConfluentRegistry.open({ url: proxy.url }, tickSchemas)).rejects.toMatchObject({
        code: 'REGISTRY_UNAVAILABLE',
      })
      await proxy.close()
    }
  })

  test('a registry that does not let us in is not waited for at the start, and is by those who have begun', async () => {
    const proxy = await HttpProxy.before(url)
    proxy.answer = 401
    await expect(ConfluentRegistry.open({ url: proxy.url }, tickSchemas)).rejects.toMatchObject({
      code: 'REGISTRY_REFUSED',
      retryable: false,
    })
    proxy.answer = null
    const subjectPrefix = newPrefix()
    await register(subjectPrefix)
    const codec = new Codec(await ConfluentRegistry.open({ url: proxy.url, subjectPrefix }, tickSchemas))
    proxy.answer = 401
    const unknown = Buffer.from([0, 0x7f, 0, 0, 1, 2])
    expect(() => codec.decode('Tick', unknown)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISSING' }))
    await codec.fetched()
    expect(() => codec.decode('Tick', unknown)).toThrow(
      expect.objectContaining({ code: 'REGISTRY_UNAVAILABLE', retryable: true }),
    )
    await codec.fetched()
    await proxy.close()
  })

  test('an address that is none is refused', () => {
    for (const wrong of ['registry:8081', 'ftp://registry'])
      expect(() => new RegistryClient({ url: wrong })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

async function latestTick(subjectPrefix: string) {
  const client = new RegistryClient({ url, subjectPrefix })
  return (await client.latest(client.subjectOf('Tick')))!
}
