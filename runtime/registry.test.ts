import avsc from 'avsc'
import { expect, test } from 'vitest'
import { schemaTypes } from '../schemas/avro/index.ts'
import { Codec } from './codec.ts'
import { MemoryLog } from './memory/log.ts'
import { LocalRegistry } from './registry.ts'

const tickAs = (fields: object[]) =>
  new Map([
    [
      'Tick',
      avsc.Type.forSchema({ type: 'record', name: 'millrace.Tick', fields } as avsc.Schema, { wrapUnions: false }),
    ],
  ])
const writer = { name: 'writer', type: 'string' }
const clockMs = { name: 'clockMs', type: 'long' }

test('ids rise from 1 in the order of the schemas, and stay when nothing changed', async () => {
  const log = new MemoryLog()
  const first = await LocalRegistry.open(log)
  const written = (await log.ends('_schemas', 0)).stable
  const again = await LocalRegistry.open(log)
  expect((await log.ends('_schemas', 0)).stable).toBe(written)
  const names = [...schemaTypes.keys()] as Parameters<LocalRegistry['idOf']>[0][]
  expect(names.map((name) => first.idOf(name))).toEqual(names.map((_, i) => i + 1))
  expect(names.map((name) => again.idOf(name))).toEqual(names.map((name) => first.idOf(name)))
  expect(again.schemaOf(names.length + 1)).toBeUndefined()
  expect(log.records('_schemas', 0)[0]?.key).toBe(`${names[0]}/1`)
})

test('each registered schema stands by itself and is the present one', async () => {
  const registry = await LocalRegistry.open(new MemoryLog())
  let id = 0
  for (const [name, type] of schemaTypes) {
    const registered = registry.schemaOf(++id)
    expect(registered?.name).toBe(name)
    const parsed = avsc.Type.forSchema(registered!.schema, { wrapUnions: false })
    expect(parsed.fingerprint()).toEqual(type.fingerprint())
  }
})

test('a value written under an older schema is read as the present one', async () => {
  const log = new MemoryLog()
  await LocalRegistry.open(log, tickAs([clockMs]))
  const older = log.records('_schemas', 0)[0]!
  const value = avsc.Type.forSchema(JSON.parse(String(older.value)).schema).toBuffer({ clockMs: 7 })
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), value])

  const withDefault = tickAs([{ ...writer, default: 'source' }, clockMs])
  const registry = await LocalRegistry.open(log, withDefault)
  expect(registry.idOf('Tick')).toBe(2)
  expect(registry.schemaOf(1)?.name).toBe('Tick')
  const resolver = withDefault.get('Tick')!.createResolver(avsc.Type.forSchema(registry.schemaOf(1)!.schema))
  expect(withDefault.get('Tick')!.fromBuffer(framed.subarray(5), resolver)).toEqual({ writer: 'source', clockMs: 7 })
})

test('the codec reads an older writer schema from the registry', async () => {
  const log = new MemoryLog()
  await LocalRegistry.open(log, tickAs([clockMs, writer]))
  const older = avsc.Type.forSchema(JSON.parse(String(log.records('_schemas', 0)[0]!.value)).schema)
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), older.toBuffer({ clockMs: 7, writer: 'source' })])
  const codec = new Codec(await LocalRegistry.open(log))
  expect(codec.decode('Tick', framed)).toEqual({ writer: 'source', clockMs: 7 })
  expect(codec.encode('Tick', { writer: 'source', clockMs: 7 }).readInt32BE(1)).toBeGreaterThan(1)
})

test('a schema that cannot read what was written is refused, and nothing is registered', async () => {
  const log = new MemoryLog()
  await LocalRegistry.open(log, tickAs([clockMs]))
  const opened = LocalRegistry.open(log, tickAs([clockMs, writer]))
  await expect(opened).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' })
  expect(log.records('_schemas', 0)).toHaveLength(1)
})

test('every earlier schema is checked, not the last alone; going back to one takes its id again', async () => {
  const log = new MemoryLog()
  const optional = { ...writer, default: '' }
  await LocalRegistry.open(log, tickAs([clockMs]))
  await LocalRegistry.open(log, tickAs([clockMs, optional]))
  await expect(LocalRegistry.open(log, tickAs([clockMs, writer]))).rejects.toMatchObject({
    code: 'SCHEMA_INCOMPATIBLE',
  })
  expect((await LocalRegistry.open(log, tickAs([clockMs]))).idOf('Tick')).toBe(1)
  expect(log.records('_schemas', 0)).toHaveLength(2)
})
