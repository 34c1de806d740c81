import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import type { Row } from '../schemas/avro/types.ts'
import { Codec } from './codec.ts'
import { MemoryLog } from './memory/log.ts'
import { recordBytesMax } from './record.ts'
import { LocalRegistry } from './registry.ts'

let registry: LocalRegistry
let codec: Codec
beforeAll(async () => {
  registry = await LocalRegistry.open(new MemoryLog())
  codec = new Codec(registry)
})

/** Avro's library garbles a long below -2^52 silently; instants, counts and versions are far from it. */
const longs = fc.maxSafeInteger().filter((n) => n >= -(2 ** 52) && n < Number.MAX_SAFE_INTEGER)

const rows: fc.Arbitrary<Row> = fc.record({
  clockMs: longs,
  indexedAtMs: fc.option(longs),
  timers: fc.array(fc.record({ id: fc.string(), atMs: longs })),
  sections: fc.array(fc.record({ operator: fc.string(), value: fc.uint8Array().map((bytes) => Buffer.from(bytes)) })),
})

test('what is encoded is decoded to the same, and framed with the id of its schema', () => {
  fc.assert(
    fc.property(rows, (row) => {
      const bytes = codec.encode('Row', row)
      expect(codec.decode('Row', bytes)).toEqual(row)
      expect(codec.nameOf(bytes)).toBe('Row')
      expect(bytes[0]).toBe(0)
      expect(bytes.readInt32BE(1)).toBe(registry.idOf('Row'))
    }),
  )
})

test('an encoded value is not overwritten by the next one', () => {
  const first = codec.encode('Sweep', { clockMs: 1 })
  const copy = Buffer.from(first)
  codec.encode('Sweep', { clockMs: 2 })
  expect(first).toEqual(copy)
})

const sized = (length: number): Row => ({
  clockMs: 0,
  indexedAtMs: null,
  timers: [],
  sections: [{ operator: 'x', value: Buffer.alloc(length) }],
})

test('a value of 256 KiB passes, a larger one is refused with its size', () => {
  const overhead = codec.encode('Row', sized(recordBytesMax / 2)).length - recordBytesMax / 2
  expect(codec.encode('Row', sized(recordBytesMax - overhead))).toHaveLength(recordBytesMax)
  expect(() => codec.encode('Row', sized(recordBytesMax - overhead + 3))).toThrow(
    expect.objectContaining({ code: 'RECORD_TOO_LARGE', message: expect.stringContaining(String(recordBytesMax + 3)) }),
  )
})

test.each([
  ['no framing', Buffer.from([1, 0, 0, 0, 1, 2])],
  ['nothing', Buffer.alloc(0)],
  ['an id nobody registered', Buffer.from([0, 0x7f, 0, 0, 1, 2])],
])('%s is SCHEMA_UNKNOWN', (_, bytes) => {
  expect(() => codec.decode('Sweep', bytes)).toThrow(expect.objectContaining({ code: 'SCHEMA_UNKNOWN' }))
})

test('a value that is cut short, or too long, or does not fit its schema is SCHEMA_INVALID', () => {
  const bytes = codec.encode('Marker', { tenant: 'acme', version: 3, hash: 'abc' })
  const invalid = expect.objectContaining({ code: 'SCHEMA_INVALID' })
  expect(() => codec.decode('Marker', bytes.subarray(0, -1))).toThrow(invalid)
  expect(() => codec.decode('Marker', Buffer.concat([bytes, Buffer.from([0])]))).toThrow(invalid)
  expect(() => codec.encode('Sweep', { clockMs: 'soon' } as never)).toThrow(invalid)
})

test('a value of another schema than asked for is a broken invariant', () => {
  const bytes = codec.encode('Sweep', { clockMs: 1 })
  expect(() => codec.decode('Marker', bytes)).toThrow('broken invariant')
})
