import fc from 'fast-check'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './partitioner.ts'

// The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %s is what Java computes', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('the partition is the positive hash of the UTF-8 bytes, whatever the length', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 3000 }),
      fc.integer({ min: 1, max: 200 }),
      (key, partitions) => {
        expect(partitionOf(key, partitions)).toBe((murmur2(Buffer.from(key)) & 0x7fffffff) % partitions)
      },
    ),
  )
  expect(partitionOf('abc', 1)).toBe(0)
})
