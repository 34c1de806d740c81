/** What tells a repeated event from another one that has its id. */
import { hash } from 'node:crypto'
import type { Definitions } from '../../../schemas/definitions.ts'
import { unfingerprinted as ofColumns } from '../ndjson.ts'
import { unfingerprinted as ofCalls } from '../segment.ts'
import type { Enrichment } from './enrichment.ts'
import { digestName } from './hashing.ts'

/** `event_fingerprint`. What is excluded by name are parameters of the tracker protocol; of columns and of Segment's calls it is settled. */
export function eventFingerprint({ enrichments: { fingerprint: rule } }: Definitions): Enrichment {
  const algorithm = digestName(rule.algorithm)
  const excluded: ReadonlySet<string> = new Set(rule.exclude)
  return (draft, { raw: { format }, fields }) => {
    const left = format === 'tp2' ? excluded : format === 'segment' ? ofCalls : ofColumns
    draft.event_fingerprint ??= fingerprint(fields, left, algorithm)
  }
}

/**
 * The digest, hex, of every field but the excluded, by name in UTF-16 order, each name and value followed by U+001F:
 * Snowplow's event fingerprint. A value that is no text counts as its JSON.
 */
export function fingerprint(
  fields: Readonly<Record<string, unknown>>,
  excluded: ReadonlySet<string>,
  algorithm = 'md5',
): string {
  let text = ''
  for (const name of Object.keys(fields).sort()) {
    if (excluded.has(name)) continue
    const value = fields[name]
    text += `${name}\u001f${typeof value === 'string' ? value : JSON.stringify(value)}\u001f`
  }
  return hash(algorithm, text)
}
