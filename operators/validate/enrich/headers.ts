/** Headers of the request that an event came in, as entities: only those that are named. */
import type { Definitions } from '../../../schemas/definitions.ts'
import { addEntity, carries } from './derived-entity.ts'
import type { Enrichment } from './enrichment.ts'

const schema = 'iglu:org.ietf/http_header/jsonschema/1-0-0'

/** One entity for each header, in the order in which they were sent. */
export function headers({ enrichments: { headers: names } }: Definitions): Enrichment | null {
  if (names.length === 0) return null
  const wanted: ReadonlySet<string> = new Set(names)
  return (draft, work) => {
    const { headers: lines } = work.raw
    if (lines.length === 0 || carries(draft, schema)) return
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon)
      if (colon > 0 && wanted.has(name.toLowerCase()))
        addEntity(schema, { name, value: line.slice(colon + 1).trim() }, work)
    }
  }
}

/** The values of the headers of a name, which is given in lower case, among lines `Name: value`. */
export function headerValues(lines: readonly string[], name: string): readonly string[] {
  const values: string[] = []
  for (const line of lines) {
    if (line[name.length] !== ':' || line.slice(0, name.length).toLowerCase() !== name) continue
    values.push(line.slice(name.length + 1).trim())
  }
  return values
}
