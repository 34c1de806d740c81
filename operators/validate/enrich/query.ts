/** Querystrings of pages: only what is asked for is decoded. */

/**
 * The values of the wanted names, decoded; of a name that is repeated the last; empty ones left out. Null when there is
 * none. What is no percent-encoding is taken as it stands.
 */
export function queryValues(query: string, wanted: ReadonlySet<string>): ReadonlyMap<string, string> | null {
  let values: Map<string, string> | null = null
  for (let start = 0; start < query.length; ) {
    const ampersand = query.indexOf('&', start)
    const end = ampersand < 0 ? query.length : ampersand
    const pair = query.slice(start, end)
    start = end + 1
    const equals = pair.indexOf('=')
    const name = equals < 1 ? '' : decodeQuery(pair.slice(0, equals))
    if (!wanted.has(name)) continue
    const value = decodeQuery(pair.slice(equals + 1))
    if (value === '') continue
    values ??= new Map()
    values.set(name, value)
  }
  return values
}

export function decodeQuery(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    // the standard's own decoder leaves alone what it cannot read
    return new URLSearchParams(`v=${text}`).get('v') ?? ''
  }
}
