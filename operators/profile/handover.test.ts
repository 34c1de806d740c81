import { expect, test } from 'vitest'
import type { Handover, MergeOrder, PendingHandover } from '../../schemas/avro/types.ts'
import { announce, arrive, isPending } from './handover.ts'

const order: MergeOrder = {
  tenant: 'shop',
  mergeId: 'm1',
  from: 'p',
  to: 'q',
  identitySeq: 1,
  eventId: 'e1',
  effectiveAtMs: 5,
}
const part = (number: number, parts: number, handovers: readonly PendingHandover[] = []): Handover => ({
  tenant: 'shop',
  mergeId: 'm1',
  from: 'p',
  to: 'q',
  identitySeq: 1,
  part: number,
  parts,
  createdAtMs: 0,
  effectiveAtMs: 5,
  eventId: 'e1',
  fragments: [],
  handovers,
  memberships: [],
  sent: [],
})

test('an order waits for every part', () => {
  let pending = announce([], order)
  expect(pending).toEqual([{ mergeId: 'm1', from: 'p', announced: true, partsSeen: 0, parts: 0 }])
  expect(isPending(pending)).toBe(true)
  pending = arrive(pending, part(1, 2))
  expect(isPending(pending)).toBe(true)
  expect(arrive(pending, part(2, 2))).toEqual([])
})

test('when all parts are there nothing is missing; the order only settles it', () => {
  const complete = arrive([], part(1, 1))
  expect(isPending(complete)).toBe(false)
  expect(complete).toEqual([{ mergeId: 'm1', from: 'p', announced: false, partsSeen: 1, parts: 1 }])
  expect(announce(complete, order)).toEqual([])
})

test('what the other was waiting for is waited for here', () => {
  const other: PendingHandover = { mergeId: 'm0', from: 'o', announced: true, partsSeen: 1, parts: 3 }
  expect(arrive(announce([], order), part(1, 1, [other]))).toEqual([other])
})

test('a part more than there are is a broken invariant', () => {
  const complete = arrive([], part(1, 1))
  expect(() => arrive(complete, part(1, 1))).toThrow('each part of a hand-over comes once')
})
