import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StoredRecord } from '../record.ts'
import { encodeBlock, readBlock, recordsOf } from './block.ts'

const instant = fc.integer({ min: -(2 ** 50), max: 2 ** 50 })
const records = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 40 })),
      timestampMs: instant,
      kind: fc.constantFrom('event', 'tick', 'é'),
      key: fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme', minLength: 100, maxLength: 300 })),
      value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
      appendedMs: instant,
    }),
  )
  .map((drafts) => {
    let offset = -1
    return drafts.map(({ gap, ...record }) => {
      offset += gap
      return { ...record, offset }
    })
  })

test('a block gives back its records, and a tombstone its own age', () => {
  fc.assert(
    fc.property(records, instant, (written, appendedMs) => {
      const expected = written.map((r) => ({ ...r, appendedMs: r.value === null ? r.appendedMs : appendedMs }))
      expect(recordsOf(encodeBlock(written, appendedMs))).toEqual(expected)
    }),
  )
})

test('reading starts at an offset and stops when nothing more is taken', () => {
  fc.assert(
    fc.property(records, fc.nat(50), fc.nat(10), (written, from, limit) => {
      const plain = written.map(({ appendedMs: _, ...record }): StoredRecord => record)
      const taken: StoredRecord[] = []
      const all = readBlock(encodeBlock(plain, 0), from, (record) => taken.length < limit && taken.push(record) > 0)
      const wanted = plain.filter(({ offset }) => offset >= from)
      expect(taken).toEqual(wanted.slice(0, limit))
      expect(all).toBe(wanted.length <= limit)
    }),
  )
})

test('a block of another format is refused', () => {
  const block = encodeBlock([], 0)
  block[0] = 9
  expect(() => recordsOf(block)).toThrow(expect.objectContaining({ code: 'DATA_FOREIGN' }))
})
