import { expect, test } from 'vitest'
import { enriching, eventOf, pageView, rawOf } from '../testing.ts'
import { anonymous } from './ip-anonymisation.ts'

test.each<[string, number, number, string | null]>([
  ['94.15.223.151', 3, 3, '94.x.x.x'],
  ['94.15.223.151', 1, 5, '94.15.223.x'],
  ['94.15.223.151', 4, 8, 'x.x.x.x'],
  ['::1', 1, 3, '0:0:0:0:0:x:x:x'],
  ['2001:0db8:85a3::8A2E:370:7334', 4, 5, '2001:db8:85a3:x:x:x:x:x'],
  ['::FFFF:152.16.24.123', 2, 3, '::FFFF:152.16.x.x'],
  ['fe80::1%eth0', 1, 5, 'fe80:0:0:x:x:x:x:x'],
  ['unknown', 1, 5, 'unknown'],
  ['94.15.223.x', 1, 5, '94.15.223.x'],
  ['2001:db8:85a3:x:x:x:x:x', 1, 5, '2001:db8:85a3:x:x:x:x:x'],
  ['::FFFF:152.16.x.x', 1, 5, '::FFFF:152.16.x.x'],
  ['94.15.223.151:8080', 1, 5, null],
  ['94.15.223.1511', 1, 5, null],
  ['94.15.223', 1, 5, null],
  ['94.015.223.151', 1, 5, null],
  ['proxy-94-15-223-151.example', 1, 5, null],
])('%s without its last %i octets or %i segments is %s', (address, octets, segments, expected) => {
  expect(anonymous(address, { octets, segments })).toBe(expected)
})

test('what the tracker says and what the collector saw are both hidden', () => {
  const shop = enriching({ ipAnonymisation: { octets: 2, segments: 5 } })
  expect(eventOf(rawOf(pageView), shop).user_ipaddress).toBe('203.0.x.x')
  expect(eventOf(rawOf({ ...pageView, ip: '198.51.100.7, 203.0.113.9' }), shop).user_ipaddress).toBe('198.51.x.x')
})
