import { expect, test } from 'vitest'
import { enriching, eventOf, pageView, rawOf } from '../testing.ts'
import { order } from './enrich.ts'

test('the order is Snowplow’s', () => {
  expect(order.map(({ name }) => name)).toEqual([
    'pageUrls',
    'derivedTimestamp',
    'userAgent',
    'referers',
    'campaigns',
    'crossNavigation',
    'eventFingerprint',
    'cookies',
    'headers',
    'bots',
    'ipAnonymisation',
    'pseudonyms',
  ])
})

test('what identifies a person is hidden after all else has been derived from it', () => {
  const rules = enriching(
    {
      ipAnonymisation: { octets: 1, segments: 5 },
      pseudonyms: {
        algorithm: 'MD5',
        salts: [{ env: 'SALT', fromMs: null }],
        anonymousOnly: false,
        columns: ['user_ipaddress', 'refr_domain_userid'],
        data: [],
      },
    },
    { SALT: '' },
  )
  const of = (ip: string) =>
    eventOf(rawOf({ ...pageView, ip, url: 'https://shop.example/?_sp=abc.1426245561368' }), rules)
  expect(of('203.0.113.9').user_ipaddress).toBe(of('203.0.113.10').user_ipaddress)
  expect(of('203.0.113.9').refr_domain_userid).toBe('900150983cd24fb0d6963f7d28e17f72')
})

test('a fingerprint by another algorithm, of other parameters', () => {
  const rules = enriching({ fingerprint: { algorithm: 'SHA-256', exclude: ['eid', 'stm', 'page'] } })
  const of = (parts: object) => eventOf(rawOf({ ...pageView, ...parts }), rules).event_fingerprint
  expect(of({})).toMatch(/^[0-9a-f]{64}$/)
  expect(of({ page: 'Shoes', stm: '1' })).toBe(of({}))
  expect(of({ nuid: 'other' })).not.toBe(of({}))
})
