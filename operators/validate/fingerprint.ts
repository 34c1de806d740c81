/** What tells a repeated event from another one that has its id. */
import { hash } from 'node:crypto'

/**
 * MD5, hex, over every field but the excluded, by name in UTF-16 order, each name and value followed by U+001F: the
 * default of Snowplow's event fingerprint. A value that is no text counts as its JSON.
 */
export function fingerprint(fields: Readonly<Record<string, unknown>>, excluded: ReadonlySet<string>): string {
  let text = ''
  for (const name of Object.keys(fields).sort()) {
    if (excluded.has(name)) continue
    const value = fields[name]
    text += `${name}\u001f${typeof value === 'string' ? value : JSON.stringify(value)}\u001f`
  }
  return hash('md5', text)
}
