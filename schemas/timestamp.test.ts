import fc from 'fast-check'
import { expect, test } from 'vitest'
import { epochMs, timestampMs, timestampMsMax, timestampMsMin, timestampText } from './timestamp.ts'

const instant = fc.integer({ min: timestampMsMin, max: timestampMsMax })

test('every instant of the years 0 to 9999 reads back from each of its spellings', () => {
  fc.assert(
    fc.property(instant, (ms) => {
      expect(timestampMs(new Date(ms).toISOString())).toBe(ms)
      expect(timestampMs(timestampText(ms))).toBe(ms)
      expect(timestampMs(String(ms))).toBe(ms)
      expect(epochMs(String(ms))).toBe(ms)
    }),
  )
})

test.each([
  ['2024-02-29T10:00:00+01:30', '2024-02-29T08:30:00.000Z'],
  ['2024-02-29 10:00:00-0100', '2024-02-29T11:00:00.000Z'],
  ['2024-02-29T10:00:00.123999', '2024-02-29T10:00:00.123Z'],
  ['2024-02-29T10:00:00.5Z', '2024-02-29T10:00:00.500Z'],
])('%s is %s', (text, iso) => {
  expect(timestampMs(text)).toBe(Date.parse(iso))
})

test.each([
  '2023-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2024-04-31T00:00:00Z',
  '2024-13-01T00:00:00Z',
  '2024-01-01T24:00:00Z',
  '2024-01-01T00:00:60Z',
  '2024-01-01T00:00:00+24:00',
  '0000-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '2024-01-01',
  'now',
  '',
  '1e3',
  '1.5',
  '253402300800000',
  '-62167219200001',
  '10000-01-01T00:00:00Z',
])('%j is none', (text) => {
  expect(timestampMs(text)).toBeUndefined()
})
