/** JSON in one spelling, so that what means the same has the same bytes, and digests of it. */
import { createHash } from 'node:crypto'
import { invariant } from '../runtime/errors.ts'

/** Keys sorted by UTF-16 code units, no spaces; undefined members are left out. For plain data only. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => byText(a, b))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`)
    return `{${members.join(',')}}`
  }
  invariant(
    value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value),
    'canonical JSON is made of plain data',
  )
  return JSON.stringify(value)
}

/** The first 96 bits of the SHA-256 of the canonical JSON, base64url, 16 characters: names a version of a rule. */
export function shortDigest(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest().toString('base64url', 0, 12)
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** Order of UTF-16 code units: the same on every machine, whatever its locale. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
