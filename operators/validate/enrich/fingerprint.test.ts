import { expect, test } from 'vitest'
import { fingerprint } from './fingerprint.ts'

const none: ReadonlySet<string> = new Set()

test('is Snowplow’s: a published vector', () => {
  expect(fingerprint({ se_ac: 'buy', e: 'se' }, none)).toBe('6829c2021516783f1ef03a9e9736ac77')
})

test('is of the fields, not of their order, nor of what is excluded', () => {
  expect(fingerprint({ e: 'se', stm: '1', se_ac: 'buy' }, new Set(['stm']))).toBe('6829c2021516783f1ef03a9e9736ac77')
})

test('tells apart where one field ends and the next begins', () => {
  expect(fingerprint({ a: 'bc' }, none)).not.toBe(fingerprint({ ab: 'c' }, none))
})
