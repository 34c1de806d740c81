import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogRecord } from '../record.ts'
import { crc32c } from './crc32c.ts'
import { encodeBatch, readBatches } from './record-batch.ts'

const nowMs = 1_800_000_000_000
const outside = { id: -1, epoch: -1, transactional: false }
const writer = (id: number) => ({ id, epoch: 0, transactional: true })

const record = (key: string, value: string | null = key): LogRecord => ({
  kind: 'event',
  key,
  value: value === null ? null : Buffer.from(value),
  timestampMs: 1,
})

/** As the broker keeps it: at an offset. */
function at(offset: number, batch: Buffer): Buffer {
  batch.writeBigInt64BE(BigInt(offset))
  return batch
}

/** What the end of a transaction leaves in each of its partitions. */
function marker(offset: number, producerId: number, type: 'abort' | 'commit'): Buffer {
  const key = String.fromCharCode(0, 0, 0, type === 'abort' ? 0 : 1)
  const batch = at(offset, encodeBatch([{ ...record(key), kind: '' }], writer(producerId), 0, nowMs))
  batch.writeInt16BE(0x30, 21)
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

const keys = (
  batches: readonly Buffer[],
  from: number,
  aborted: { producerId: number; firstOffset: number }[] = [],
) => {
  const { records, nextOffset } = readBatches(Buffer.concat(batches), from, aborted)
  return { keys: records.map(({ key, offset }) => `${key}@${offset}`), nextOffset }
}

test('the checksum is that of the Castagnoli polynomial, whatever the length', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
  // RFC 3720, B.4
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43)
})

test('records come back as they went in', () => {
  const drafts = fc.record({
    kind: fc.string({ unit: 'grapheme', maxLength: 20 }),
    key: fc.string({ unit: 'grapheme', maxLength: 100 }),
    value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
    timestampMs: fc.integer({ min: -1e13, max: 1e13 }),
  })
  fc.assert(
    fc.property(fc.array(drafts, { minLength: 1, maxLength: 80 }), fc.nat(2 ** 40), (records, offset) => {
      const read = readBatches(at(offset, encodeBatch(records, outside, 0, nowMs)), offset, [])
      expect(read.records).toEqual(records.map((record, i) => ({ ...record, offset: offset + i })))
      expect(read.nextOffset).toBe(offset + records.length)
    }),
  )
})

test('a record without a time gets that of the clock', () => {
  const { records } = readBatches(encodeBatch([{ ...record('a'), timestampMs: Number.NaN }], outside, 0, nowMs), 0, [])
  expect(records[0]?.timestampMs).toBe(nowMs)
})

test('what stands before the offset, and a batch that is cut off, are left out', () => {
  const batches = [
    at(5, encodeBatch([record('a'), record('b')], outside, 0, nowMs)),
    at(9, encodeBatch([record('c')], outside, 0, nowMs)),
    at(10, encodeBatch([record('d')], outside, 0, nowMs)).subarray(0, 70),
  ]
  expect(keys(batches, 6)).toEqual({ keys: ['b@6', 'c@9'], nextOffset: 10 })
  expect(keys([batches[2]!], 10)).toEqual({ keys: [], nextOffset: 10 })
})

test('of interleaved transactions those are hidden that were aborted, in whatever order the broker lists them', () => {
  const batches = [
    at(0, encodeBatch([record('a')], writer(1), 0, nowMs)),
    at(1, encodeBatch([record('b')], writer(2), 0, nowMs)),
    at(2, encodeBatch([record('c')], writer(3), 0, nowMs)),
    marker(3, 2, 'abort'),
    at(4, encodeBatch([record('a2')], writer(1), 1, nowMs)),
    marker(5, 1, 'abort'),
    marker(6, 3, 'commit'),
    at(7, encodeBatch([record('a3')], writer(1), 2, nowMs)),
    marker(8, 1, 'commit'),
  ]
  const inOrderOfTheirEnds = [
    { producerId: 2, firstOffset: 1 },
    { producerId: 1, firstOffset: 0 },
  ]
  expect(keys(batches, 0, inOrderOfTheirEnds)).toEqual({ keys: ['c@2', 'a3@7'], nextOffset: 9 })
})

test('a record of data is no marker, whatever its key', () => {
  const zeros = '\u0000\u0000\u0000\u0000'
  const batches = [at(0, encodeBatch([record(zeros), record('a')], writer(1), 0, nowMs)), marker(2, 1, 'abort')]
  expect(keys(batches, 0, [{ producerId: 1, firstOffset: 0 }])).toEqual({ keys: [], nextOffset: 3 })
})

test('the position moves over what compaction has emptied', () => {
  const batch = at(3, encodeBatch([record('a')], outside, 0, nowMs))
  batch.writeInt32BE(6, 23) // the last offset stays when records go
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  expect(keys([batch], 0)).toEqual({ keys: ['a@3'], nextOffset: 10 })
})

test('damage is found', () => {
  const batch = encodeBatch([record('a')], outside, 0, nowMs)
  batch[batch.length - 1]! ^= 1
  expect(() => readBatches(batch, 0, [])).toThrow('checksum')
})
