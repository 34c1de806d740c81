import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digest, identifierHash, profileIdOf, uuidV5 } from './ids.ts'

const tenant = { tenantKey: Buffer.from('a secret of the tenant') }
const other = { tenantKey: Buffer.from('another secret') }
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('an identifier hash is 128 bits of an HMAC under the tenant key', () => {
  const mac = createHmac('sha256', tenant.tenantKey).update('identifier|email|ada@example.com').digest()
  expect(identifierHash(tenant, 'email', 'ada@example.com')).toBe(mac.subarray(0, 16).toString('base64url'))
  expect(identifierHash(tenant, 'email', 'ada@example.com')).toHaveLength(22)
  expect(identifierHash(other, 'email', 'ada@example.com')).not.toBe(identifierHash(tenant, 'email', 'ada@example.com'))
})

test('HMAC is that of the standard library, for keys and values of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'grapheme' }), (tenantKey, value) => {
      const mac = createHmac('sha256', tenantKey).update(`identifier|n|${value}`, 'utf8').digest()
      expect(identifierHash({ tenantKey }, 'n', value)).toBe(mac.subarray(0, 16).toString('base64url'))
      const id = createHmac('sha256', tenantKey).update(`profile|n|${value}|3`, 'utf8').digest('hex')
      const digits = profileIdOf({ tenantKey }, 'n', value, 3).replaceAll('-', '')
      for (let i = 0; i < 32; i++) if (i !== 12 && i !== 16) expect(digits[i]).toBe(id[i])
    }),
  )
})

test('a profile id is a UUID of version 8 that differs by tenant, identifier and generation', () => {
  const ids = [
    profileIdOf(tenant, 'user_id', 'h'),
    profileIdOf(tenant, 'user_id', 'h', 1),
    profileIdOf(tenant, 'email', 'h'),
    profileIdOf(tenant, 'user_id', 'i'),
    profileIdOf(other, 'user_id', 'h'),
  ]
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(uuid.exec(id)?.[1]).toBe('8')
  expect(profileIdOf(tenant, 'user_id', 'h', 0)).toBe(ids[0])
})

test('a name gives one UUID of version 5', () => {
  expect(uuidV5('a')).toBe(uuidV5('a'))
  expect(uuidV5('a')).not.toBe(uuidV5('b'))
  expect(uuid.exec(uuidV5('a'))?.[1]).toBe('5')
  const namespace = Buffer.from('6d696c6c726163658a1f5c0b9e427d33', 'hex')
  const sha1 = createHash('sha1').update(namespace).update('größe').digest('hex')
  expect(uuidV5('größe').slice(0, 8)).toBe(sha1.slice(0, 8))
  expect(uuidV5('größe').slice(-12)).toBe(sha1.slice(20, 32))
})

test('a digest tells lists apart that join to the same text', () => {
  expect(digest('ab', 'c')).not.toBe(digest('a', 'bc'))
  expect(digest('1:a', '')).not.toBe(digest('', '1:a'))
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (a, b) => {
      expect(digest(...a) === digest(...b)).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
  )
})

test('forgetting memoised hashes changes none of them', () => {
  const before = identifierHash(tenant, 'cookie', '0')
  for (let i = 1; i <= 50_000; i++) identifierHash(tenant, 'cookie', String(i))
  expect(identifierHash(tenant, 'cookie', '0')).toBe(before)
})
