/** What a user agent says of browser, operating system and device, as an entity. */
import { UAParser } from 'ua-parser-js'
import type { SelfDescribing } from '../../../schemas/avro/types.ts'
import type { Definitions } from '../../../schemas/definitions.ts'
import { memoised } from '../../memo.ts'
import { carries, derivedEntity } from './derived-entity.ts'
import type { Enrichment } from './enrichment.ts'

const schema = 'iglu:com.snowplowanalytics.snowplow/ua_parser_context/jsonschema/1-0-0'

/** Of a longer text the head is read: the parser's patterns are tried on it one after the other. */
export const userAgentLengthMax = 500

export function userAgent({ enrichments }: Definitions): Enrichment | null {
  if (!enrichments.userAgent) return null
  return (draft, { entities }) => {
    if (draft.useragent === null || carries(draft, schema)) return
    entities.push(entityOf(draft.useragent.slice(0, userAgentLengthMax)))
  }
}

/** A parse takes as long as the rest of VALIDATE, and few user agents are many people's. */
const entityOf = memoised((text: string): SelfDescribing => {
  const { browser, os, device } = new UAParser(text).getResult()
  const [useragentMajor, useragentMinor, useragentPatch] = partsOf(browser.version)
  const [osMajor, osMinor, osPatch, osPatchMinor] = partsOf(os.version)
  return derivedEntity(schema, {
    useragentFamily: browser.name ?? unknown,
    useragentMajor,
    useragentMinor,
    useragentPatch,
    useragentVersion: [browser.name ?? unknown, browser.version].filter(Boolean).join(' '),
    osFamily: os.name ?? unknown,
    osMajor,
    osMinor,
    osPatch,
    osPatchMinor,
    osVersion: [os.name ?? unknown, os.version].filter(Boolean).join(' '),
    deviceFamily: device.model ?? unknown,
  })
})

const unknown = 'Other'

/** `10.15.7` as its parts; null for each that is not there. */
function partsOf(version: string | undefined): readonly (string | null)[] {
  const parts = version?.split('.') ?? []
  return [0, 1, 2, 3].map((place) => parts[place] || null)
}
