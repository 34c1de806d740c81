import fc from 'fast-check'
import { expect, test } from 'vitest'
import { timestampMsMax, timestampMsMin } from '../../../schemas/timestamp.ts'
import { derivedMs } from './derived-timestamp.ts'

const at = (text: string | null): number | null => (text === null ? null : Date.parse(text))
const derived = (collector: string, created: string | null, sent: string | null, stated: string | null = null) =>
  new Date(
    derivedMs({
      collector_tstamp: at(collector)!,
      dvce_created_tstamp: at(created),
      dvce_sent_tstamp: at(sent),
      true_tstamp: at(stated),
    }),
  ).toISOString()

test.each<[string, string | null, string | null, string | null, string]>([
  [
    '2024-03-01T00:00:00.000Z',
    '2024-02-29T10:00:00.000Z',
    '2024-02-29T10:00:01.500Z',
    null,
    '2024-02-29T23:59:58.500Z',
  ],
  // a device whose clock is a month and a half behind; months are as long as they are
  [
    '2024-03-31T12:00:00.000Z',
    '2024-01-15T00:00:00.000Z',
    '2024-02-29T00:00:00.001Z',
    null,
    '2024-02-15T11:59:59.999Z',
  ],
  [
    '2023-03-26T03:30:00.000Z',
    '2023-03-25T00:00:00.000Z',
    '2023-03-26T00:00:00.000Z',
    null,
    '2023-03-25T03:30:00.000Z',
  ],
  [
    '2024-03-01T00:00:00.000Z',
    '2024-02-29T10:00:01.000Z',
    '2024-02-29T10:00:01.000Z',
    null,
    '2024-03-01T00:00:00.000Z',
  ],
  [
    '2024-03-01T00:00:00.000Z',
    '2024-02-29T10:00:02.000Z',
    '2024-02-29T10:00:01.000Z',
    null,
    '2024-03-01T00:00:00.000Z',
  ],
  ['2024-03-01T00:00:00.000Z', null, '2024-02-29T10:00:01.000Z', null, '2024-03-01T00:00:00.000Z'],
  ['2024-03-01T00:00:00.000Z', '2024-02-29T10:00:01.000Z', null, null, '2024-03-01T00:00:00.000Z'],
  [
    '2024-03-01T00:00:00.000Z',
    '2024-02-29T10:00:01.000Z',
    '2024-02-29T10:00:02.000Z',
    '1999-12-31T23:59:59.999Z',
    '1999-12-31T23:59:59.999Z',
  ],
])('received %s, created %s, sent %s, stated %s: %s', (collector, created, sent, stated, expected) => {
  expect(derived(collector, created, sent, stated)).toBe(expected)
})

test('is exact: as long before its receipt as, by its own clock, before its sending; never after its receipt', () => {
  const ms = fc.integer({ min: timestampMsMin, max: timestampMsMax })
  fc.assert(
    fc.property(ms, ms, ms, (collector_tstamp, dvce_created_tstamp, dvce_sent_tstamp) => {
      const found = derivedMs({ collector_tstamp, dvce_created_tstamp, dvce_sent_tstamp, true_tstamp: null })
      expect(collector_tstamp - found).toBe(Math.max(0, dvce_sent_tstamp - dvce_created_tstamp))
    }),
  )
})
