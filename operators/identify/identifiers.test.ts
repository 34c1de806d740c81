import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shopDefinitions, shopIdentity } from '../../test/identity-rules.ts'
import { EventReader } from '../event/event.ts'
import { type EventParts, eventOf } from '../event/testing.ts'
import { identifierHash } from '../ids.ts'
import { identifiersOf, isUserSet, normalise } from './identifiers.ts'

const definitions = shopDefinitions()
const read = (parts: EventParts, rules = definitions) => identifiersOf(new EventReader(eventOf(parts)), 'c1', rules)
const values = (parts: EventParts) => read(parts).all.map(({ namespace, value }) => `${namespace}=${value}`)

test('identifiers are normalised by their namespace and come best first', () => {
  const parts = {
    network_userid: 'n',
    domain_userid: ' d ',
    data: { email: ' Ada@Example.COM ', phone: '+49 (30) 123-456.7' },
  }
  expect(values(parts)).toEqual(['email=ada@example.com', 'phone=+49301234567', 'domain_userid=d', 'network_userid=n'])
  expect(read(parts)).toMatchObject({ bestClass: 'person', unique: false, user: null })
})

test('a hash is keyed by the tenant', () => {
  expect(read({ user_id: 'u' }).all).toEqual([
    { namespace: 'user_id', value: 'u', hash: identifierHash(definitions, 'user_id', 'u') },
  ])
})

test('an event without any identifier is its client', () => {
  expect(values({})).toEqual(['client=c1'])
  expect(read({})).toMatchObject({ bestClass: 'cookie', unique: false, user: null, blocked: 0 })
})

test('what is nobody is left out and counted', () => {
  const nobody = ['', '  ', '0', '00000000-0000-0000-0000-000000000000', '-1', 'null', 'NaN', '"undefined"', "'N/A'"]
  const more = ['Anonymous', 'kiosk-1', '[object Object]', 'x'.repeat(1025), 'not_authenticated', 'noreply@example.com']
  for (const user_id of [...nobody, ...more]) {
    expect(read({ user_id, domain_userid: 'd' }), user_id).toMatchObject({ blocked: 1, user: null })
    expect(values({ user_id, domain_userid: 'd' })).toEqual(['domain_userid=d'])
  }
  for (const user_id of ['x'.repeat(1024), '01', 'nullable', 'annoreply@example.com', 'null island'])
    expect(read({ user_id }).blocked, user_id).toBe(0)
})

test('what is no telephone number is no identifier, and not blocked either', () => {
  for (const phone of ['030 123456', '+1234567', '+1234567890123456', '+0123456789', 'call me']) {
    expect(read({ data: { phone } })).toMatchObject({ blocked: 0, all: [{ namespace: 'client' }] })
  }
})

test('two values of a unique namespace are both left out, the same value twice is one', () => {
  expect(read({ user_id: 'a', data: { user_id: 'b' } })).toMatchObject({ conflicting: 1, unique: false, user: null })
  expect(read({ user_id: 'a', data: { user_id: ' a ' } })).toMatchObject({ conflicting: 0, unique: true })
  expect(values({ user_id: 'null', data: { user_id: 'b' } })).toEqual(['user_id=b'])
})

test('of another namespace the first value that can be used is taken', () => {
  expect(values({ data: { email: ['none@x.org', 'A@b.org', 'ada@b.org', 'c@d.org'] } })).toEqual(['email=ada@b.org'])
})

test('a set key names the exact set, the rules, and whether somebody is signed in', () => {
  const key = read({ user_id: 'a', domain_userid: 'd' }).setKey
  expect(isUserSet(key)).toBe(true)
  expect(isUserSet(read({ domain_userid: 'd' }).setKey)).toBe(false)
  expect(read({ domain_userid: 'd', user_id: ' a' }).setKey).toBe(key)
  expect(read({ user_id: 'a', network_userid: 'd' }).setKey).not.toBe(key)
  const later = shopDefinitions({ ...shopIdentity, ruleVersion: 'rules-2' })
  expect(read({ user_id: 'a', domain_userid: 'd' }, later).setKey).not.toBe(key)
})

test('normalising is idempotent', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom('trim', 'trim_lower', 'e164'), (raw, how) => {
      const once = normalise(how, raw)
      if (once !== null) expect(normalise(how, once)).toBe(once)
    }),
  )
})
