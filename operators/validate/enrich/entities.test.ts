/** Enrichments that add entities: user agent, bots, cookies, headers. */
import { expect, test } from 'vitest'
import { type DerivedEntityKey, derivedEntitySchemas } from '../../../schemas/derived-entities.ts'
import { compile } from '../compile.ts'
import { contexts, definitions, derivedOf, enriching, eventOf, pageView, rawOf } from '../testing.ts'

const chrome =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.91 Safari/537.36'
const googlebot = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'
const of = (userAgent: string | null, rules: Parameters<typeof enriching>[0]) =>
  derivedOf(eventOf(rawOf(pageView, { userAgent }), enriching(rules)))

test('a user agent as an entity that satisfies its schema', () => {
  expect(of(chrome, { userAgent: true })).toEqual([
    'ua_parser_context {"useragentFamily":"Chrome","useragentMajor":"124","useragentMinor":"0","useragentPatch":"6367","useragentVersion":"Chrome 124.0.6367.91","osFamily":"Mac OS","osMajor":"10","osMinor":"15","osPatch":"7","osPatchMinor":null,"osVersion":"Mac OS 10.15.7","deviceFamily":"Macintosh"}',
  ])
  expect(of('curiosity', { userAgent: true })[0]).toContain('"useragentFamily":"Other","useragentMajor":null')
  expect(of(null, { userAgent: true })).toEqual([])
  for (const agent of [chrome, googlebot, 'x', 'Mozilla/5.0 (', '\u0000'.repeat(2_000)]) {
    const { derived_contexts } = eventOf(
      rawOf({ ...pageView, ua: agent.slice(0, 1_000) }),
      enriching({ userAgent: true }),
    )
    for (const { schema, data } of derived_contexts) {
      const compiled = compile(JSON.stringify(derivedEntitySchemas[schema as DerivedEntityKey]))
      expect('check' in compiled && compiled.check(JSON.parse(data))).toEqual([])
    }
  }
})

test('what an event was given before is not given twice', () => {
  const event = eventOf(rawOf(pageView, { userAgent: chrome }), enriching({ userAgent: true }))
  const { schema, data } = event.derived_contexts[0]!
  const schemas = new Map([
    ...definitions.schemas,
    [schema, JSON.stringify(derivedEntitySchemas[schema as DerivedEntityKey])],
  ])
  const again = { event: 'page_view', useragent: chrome, derived_contexts: [{ schema, data: JSON.parse(data) }] }
  expect(
    eventOf(rawOf(again, { format: 'ndjson' }), { ...enriching({ userAgent: true }), schemas }).derived_contexts,
  ).toEqual([{ schema, data }])
})

test('bots are told by their user agent or by the page; nobody else has the entity', () => {
  expect(of(googlebot, { bots: true })).toEqual(['bot_detection {"bot":true,"indicators":["yauaa"]}'])
  expect(of(chrome, { bots: true })).toEqual([])
  const key = 'iglu:com.snowplowanalytics.snowplow/client_side_bot_detection/jsonschema/1-0-0'
  const shop = { ...enriching({ bots: true }), schemas: new Map([[key, '{}']]) }
  const seen = (bot: boolean, userAgent: string) =>
    derivedOf(eventOf(rawOf({ ...pageView, cx: contexts([key, { bot }]) }, { userAgent }), shop))
  expect(seen(true, chrome)).toEqual(['bot_detection {"bot":true,"indicators":["clientSideDetection"]}'])
  expect(seen(true, googlebot)).toEqual(['bot_detection {"bot":true,"indicators":["yauaa","clientSideDetection"]}'])
  expect(seen(false, chrome)).toEqual([])
})

test('only cookies and headers that are named become entities', () => {
  const raw = rawOf(pageView, {
    headers: ['Host: shop.example', 'Accept-Language: de, en;q=0.5', 'COOKIE: a=1; b = x=y ;c; other=2', 'x: '],
  })
  expect(
    derivedOf(eventOf(raw, enriching({ cookies: ['b', 'c', 'absent'], headers: ['accept-language', 'absent', 'x'] }))),
  ).toEqual([
    'http_cookie {"name":"b","value":"x=y"}',
    'http_cookie {"name":"c","value":null}',
    'http_header {"name":"Accept-Language","value":"de, en;q=0.5"}',
    'http_header {"name":"x","value":""}',
  ])
  expect(eventOf(raw).derived_contexts).toEqual([])
})
