import fc from 'fast-check'
import { expect, test } from 'vitest'
import { schemaType } from '../../schemas/avro/index.ts'
import type { Fragment, Handover } from '../../schemas/avro/types.ts'
import { partsOf } from './parts.ts'

const recordBytesMax = 256 * 1024

const fragment = (key: string, entries: number): Fragment => ({
  key,
  ownerSeq: 0,
  firstSeenMs: 0,
  lastSeenMs: 0,
  events: 1,
  identifiers: [],
  fields: {},
  aggregates: {
    views: {
      count: entries,
      sum: null,
      values: [],
      newest: Array.from({ length: entries }, (_, i) => ({ atMs: i, eventId: '0'.repeat(36) })),
    },
  },
  consents: {},
})

const handoverOf = (fragments: readonly Fragment[]): Handover => ({
  tenant: 'shop',
  mergeId: 'm',
  from: 'p',
  to: 'q',
  identitySeq: 1,
  part: 1,
  parts: 1,
  createdAtMs: 0,
  effectiveAtMs: 0,
  eventId: 'e',
  fragments,
  handovers: [{ mergeId: 'm0', from: 'o', announced: true, partsSeen: 0, parts: 0 }],
  memberships: [],
  sent: [],
})

test('a hand-over that fits is one part, also with empty hands', () => {
  expect(partsOf(handoverOf([]))).toEqual([handoverOf([])])
  expect(partsOf(handoverOf([fragment('a', 10)]))).toEqual([handoverOf([fragment('a', 10)])])
})

test('every part fits into a record, the first tells what else is to come, no fragment is lost or sent twice', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(sizes, (entries) => {
      const fragments = entries.map((count, i) => fragment(`f${i}`, count))
      const parts = partsOf(handoverOf(fragments))
      expect(parts.flatMap((part) => part.fragments)).toEqual(fragments)
      expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1))
      expect(parts.map((part) => part.handovers.length)).toEqual(parts.map((_, i) => (i === 0 ? 1 : 0)))
      for (const part of parts) {
        expect(part.parts).toBe(parts.length)
        expect(schemaType('Handover').toBuffer(part).length).toBeLessThan(recordBytesMax)
      }
    }),
    { numRuns: 50 },
  )
})
