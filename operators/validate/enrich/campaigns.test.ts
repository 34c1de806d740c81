import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CampaignRule } from '../../../schemas/definitions.ts'
import { enriching, eventOf, pageView, rawOf } from '../testing.ts'
import { queryValues } from './query.ts'

const defaults: CampaignRule = {
  medium: ['utm_medium'],
  source: ['utm_source'],
  term: ['utm_term'],
  content: ['utm_content'],
  campaign: ['utm_campaign'],
  clickIds: [
    { parameter: 'gclid', network: 'Google' },
    { parameter: 'msclkid', network: 'Microsoft' },
    { parameter: 'dclid', network: 'DoubleClick' },
  ],
}

function campaignOf(query: string, rule: Partial<CampaignRule> = {}) {
  const url = `https://shop.example/?${query}`
  const event = eventOf(rawOf({ ...pageView, url }), enriching({ campaigns: { ...defaults, ...rule } }))
  const { mkt_medium, mkt_source, mkt_term, mkt_content, mkt_campaign, mkt_clickid, mkt_network } = event
  return [mkt_medium, mkt_source, mkt_term, mkt_content, mkt_campaign, mkt_clickid, mkt_network]
}

test('utm parameters, decoded', () => {
  expect(
    campaignOf('utm_medium=cpc&utm_source=news%20letter&utm_term=gr%C3%B6%C3%9Fe+42&utm_content=a&utm_campaign=b'),
  ).toEqual(['cpc', 'news letter', 'größe 42', 'a', 'b', null, null])
})

test('the first parameter that is configured wins, not the first that is sent; an empty one is none', () => {
  const rule = { medium: ['legacy', 'utm_medium'] }
  expect(campaignOf('utm_medium=new&legacy=old', rule)[0]).toBe('old')
  expect(campaignOf('utm_medium=new&legacy=', rule)[0]).toBe('new')
  expect(campaignOf('utm_medium=first&utm_medium=last', rule)[0]).toBe('last')
})

test('click ids name their network', () => {
  expect(campaignOf('msclkid=m&gclid=g').slice(5)).toEqual(['g', 'Google'])
  expect(campaignOf('dclid=d').slice(5)).toEqual(['d', 'DoubleClick'])
  expect(campaignOf('fbclid=f').slice(5)).toEqual([null, null])
  expect(campaignOf('fbclid=f', { clickIds: [{ parameter: 'fbclid', network: 'Meta' }] }).slice(5)).toEqual([
    'f',
    'Meta',
  ])
})

test('without a querystring, or when it is left out, there is none', () => {
  expect(campaignOf('')).toEqual([null, null, null, null, null, null, null])
  expect(eventOf(rawOf({ ...pageView, url: 'https://shop.example/?utm_medium=cpc' })).mkt_medium).toBeNull()
})

test('a querystring is read as the URL standard does, but for repeated and empty values', () => {
  const pair = fc.tuple(
    fc.constantFrom('a', 'b', '%61', '__proto__', 'c+d', ''),
    fc.oneof(
      fc.string({ unit: 'grapheme' }).map(encodeURIComponent),
      fc.string(),
      fc.constantFrom('%', '%zz', 'x=y', '+', ''),
    ),
  )
  fc.assert(
    fc.property(fc.array(pair), (pairs) => {
      const query = pairs.map(([name, value]) => `${name}=${value.replaceAll('&', '')}`).join('&')
      const standard = new URLSearchParams(query)
      for (const name of ['a', 'b', '__proto__', 'c d']) {
        const expected = standard.getAll(name).findLast((value) => value !== '')
        expect(queryValues(query, new Set([name]))?.get(name)).toBe(expected)
      }
    }),
  )
})

test('a querystring of separators takes no longer than its length allows', () => {
  const started = performance.now()
  for (const text of ['&', '=', '=&', '%', 'a&']) queryValues(text.repeat(100_000), new Set(['a']))
  expect(performance.now() - started).toBeLessThan(2_000)
})
