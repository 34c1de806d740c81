/** Cookies of the request that an event came in, as entities: only those that are named. */
import type { Definitions } from '../../../schemas/definitions.ts'
import { addEntity, carries } from './derived-entity.ts'
import type { Enrichment } from './enrichment.ts'
import { headerValues } from './headers.ts'

const schema = 'iglu:org.ietf/http_cookie/jsonschema/1-0-0'

/** One entity for each cookie, in the order in which they were sent. */
export function cookies({ enrichments: { cookies: names } }: Definitions): Enrichment | null {
  if (names.length === 0) return null
  const wanted: ReadonlySet<string> = new Set(names)
  return (draft, work) => {
    if (work.raw.headers.length === 0 || carries(draft, schema)) return
    for (const header of headerValues(work.raw.headers, 'cookie')) {
      for (const pair of header.split(';')) {
        const equals = pair.indexOf('=')
        const name = (equals < 0 ? pair : pair.slice(0, equals)).trim()
        if (wanted.has(name))
          addEntity(schema, { name, value: equals < 0 ? null : pair.slice(equals + 1).trim() }, work)
      }
    }
  }
}
