import { describe, expect, test } from 'vitest'
import { badRowOf, derivedOf, enriching, eventOf, pageView, rawOf } from '../testing.ts'

const shop = enriching({ crossNavigation: true })
const landing = (link: string) => rawOf({ ...pageView, url: `https://shop.example/?a=b&_sp=${link}#top` })
const base64 = (text: string): string => Buffer.from(text).toString('base64url')
const atMs = Date.parse('2015-03-13T11:19:21.368Z')

describe('a link from another site', () => {
  test('sets who followed it and when, whether or not the entity is wanted', () => {
    for (const of of [shop, enriching({})]) {
      const { refr_domain_userid, refr_dvce_tstamp } = eventOf(landing('abc.1426245561368'), of)
      expect([refr_domain_userid, refr_dvce_tstamp]).toEqual(['abc', atMs])
    }
  })

  test('in its long form says all that it carries', () => {
    const session = '6f1e0a52-6b3c-4a8e-9f6a-0d5a0c6f7a11'
    const link = ['abc', '1426245561368', session, base64('ada'), base64('shop-app'), 'mob', base64('größe')].join('.')
    expect(derivedOf(eventOf(landing(link), shop))).toEqual([
      `cross_navigation {"domain_user_id":"abc","timestamp":"2015-03-13T11:19:21.368Z","session_id":"${session}","user_id":"ada","source_id":"shop-app","source_platform":"mob","reason":"größe"}`,
    ])
    expect(derivedOf(eventOf(landing(link), enriching({})))).toEqual([])
  })

  test('with empty parts says less', () => {
    expect(derivedOf(eventOf(landing('abc.1426245561368.....'), shop))).toEqual([
      'cross_navigation {"domain_user_id":"abc","timestamp":"2015-03-13T11:19:21.368Z","session_id":null,"user_id":null,"source_id":null,"source_platform":null,"reason":null}',
    ])
    const { refr_domain_userid, refr_dvce_tstamp, derived_contexts } = eventOf(landing('abc'), shop)
    expect([refr_domain_userid, refr_dvce_tstamp, derived_contexts]).toEqual(['abc', null, []])
  })

  test('with a time that is none is an enrichment failure', () => {
    const { schema, data } = badRowOf(landing('abc.yesterday'), shop)
    expect(schema).toBe('iglu:com.snowplowanalytics.snowplow.badrows/enrichment_failures/jsonschema/2-0-1')
    expect(data).toMatchObject({
      failure: { messages: [{ enrichment: null, message: { field: 'sp_dtm', value: 'yesterday' } }] },
    })
  })

  test('whose entity does not satisfy its schema is a schema violation', () => {
    const { schema, data } = badRowOf(landing('abc.1426245561368.no-uuid...web.'), shop)
    expect(schema).toBe('iglu:com.snowplowanalytics.snowplow.badrows/schema_violations/jsonschema/2-0-1')
    expect(data).toMatchObject({
      failure: {
        messages: [
          {
            schemaKey: 'iglu:com.snowplowanalytics.snowplow/cross_navigation/jsonschema/1-0-0',
            error: { error: 'ValidationError', dataReports: [{ path: '$.session_id' }] },
          },
        ],
      },
    })
  })
})
