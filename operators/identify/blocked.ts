/** Values that are nobody's: placeholders, test data and what broken code sends in place of an identifier. */

export const identifierCharactersMax = 1024

/** Compared whole and without regard to case. */
const placeholders: ReadonlySet<string> = new Set([
  '-1',
  'null',
  'none',
  'nan',
  'undefined',
  'n/a',
  'anonymous',
  'guest',
  'invalid',
  'unknown',
  'true',
  'false',
  'id',
  'email',
  'distinct_id',
  'not_authenticated',
  '[object object]',
])

const mailboxes: ReadonlySet<string> = new Set(['test', 'noreply', 'no-reply', 'none', 'a'])

/** Nothing but zeros and dashes, such as the advertising id of who opted out; blank too. */
const zeros = /^[0-]*$/

/** Whether a normalised value is blocked, by the built-in list or the tenant's own (lower case). Quotes around it do not count. */
export function isBlocked(normalised: string, own: ReadonlySet<string>): boolean {
  if (normalised.length > identifierCharactersMax) return true
  const value = unquoted(normalised).toLowerCase()
  if (zeros.test(value) || placeholders.has(value) || own.has(value)) return true
  const at = value.indexOf('@')
  return at >= 0 && mailboxes.has(value.slice(0, at))
}

function unquoted(value: string): string {
  let from = 0
  let to = value.length
  while (from < to && isQuote(value, from)) from++
  while (to > from && isQuote(value, to - 1)) to--
  return value.slice(from, to).trim()
}

function isQuote(value: string, at: number): boolean {
  return value[at] === '"' || value[at] === "'" || value[at] === '`'
}
