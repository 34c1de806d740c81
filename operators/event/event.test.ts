import { expect, test } from 'vitest'
import { InvariantError } from '../../runtime/errors.ts'
import { EventReader, eventTimeMs, schemaNameOf } from './event.ts'
import { eventOf } from './testing.ts'

test('values come in the order of the event, through lists and over all entities of the name', () => {
  const reader = new EventReader(
    eventOf({
      user_id: 'u1',
      data: { items: [{ sku: 'a' }, { sku: null }, { sku: 'b' }], total: 3.5 },
      entities: [
        ['product', { sizes: [41, 42], brand: { name: 'Acme' } }],
        ['product', { sizes: [43] }],
      ],
    }),
  )
  expect(reader.values({ in: 'event', path: ['items', 'sku'] })).toEqual(['a', 'b'])
  expect(reader.values({ in: 'entity', entity: 'product', path: ['sizes'] })).toEqual([41, 42, 43])
  expect(reader.value({ in: 'entity', entity: 'product', path: ['sizes'] })).toBe(41)
  expect(reader.value({ in: 'entity', entity: 'product', path: ['brand', 'name'] })).toBe('Acme')
  expect(reader.value({ in: 'entity', entity: 'product', path: ['brand'] })).toBeUndefined()
  expect(reader.value({ in: 'event', path: ['total'] })).toBe(3.5)
  expect(reader.value({ in: 'column', name: 'user_id' })).toBe('u1')
  expect(reader.value({ in: 'column', name: 'domain_userid' })).toBeUndefined()
})

test('names of the prototype are ordinary names', () => {
  const reader = new EventReader(eventOf({ data: JSON.parse('{"__proto__": {"a": 1}}') }))
  expect(reader.value({ in: 'event', path: ['__proto__', 'a'] })).toBe(1)
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    expect(reader.value({ in: 'column', name })).toBeUndefined()
    expect(reader.values({ in: 'event', path: [name, 'name'] })).toEqual([])
  }
})

test('an event happened at its derived time, or at the collector when that is missing or over five minutes ahead', () => {
  const collectorMs = Date.UTC(2026, 0, 1)
  const at = (derivedMs: number | null) =>
    eventTimeMs(eventOf({ collector_tstamp: collectorMs, derived_tstamp: derivedMs })) - collectorMs
  expect(at(null)).toBe(0)
  expect(at(collectorMs - 60_000)).toBe(-60_000)
  expect(at(collectorMs + 300_000)).toBe(300_000)
  expect(at(collectorMs + 300_001)).toBe(0)
})

test('JSON that VALIDATE cannot have written breaks an invariant, and only when it is read', () => {
  const event = eventOf({ user_id: 'u1', data: {} })
  const reader = new EventReader({ ...event, unstruct_event: { schema: 'iglu:a/b/jsonschema/1-0-0', data: '{' } })
  expect(reader.value({ in: 'column', name: 'user_id' })).toBe('u1')
  expect(() => reader.value({ in: 'event', path: ['a'] })).toThrow(InvariantError)
})

test('the schema name is what stands between the first two slashes', () => {
  expect(schemaNameOf('iglu:com.example.shop/product/jsonschema/1-0-0')).toBe('product')
  expect(schemaNameOf('iglu:com.example.shop')).toBe('')
  expect(schemaNameOf('iglu:a/b')).toBe('')
})
