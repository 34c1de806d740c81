/** JSON of strangers: parsed only as deep as we are willing to walk. */

/** Levels of arrays and objects, as Snowplow counts them. */
export const jsonDepthMax = 40

/** A parsed value, or why there is none. */
export type Parsed = { readonly value: unknown; readonly error: null } | { readonly error: string }

/** With `as_written`, a number that is spelled as no integer and is one (`1.0`, `1e2`) comes boxed. */
export function parseJson(text: string, integers: 'lenient' | 'as_written' = 'lenient'): Parsed {
  let value: unknown
  try {
    value = integers === 'as_written' && spelled.test(text) ? parseAsWritten(text) : JSON.parse(text)
  } catch {
    // not the engine's own message, which differs from one version of Node to the next and would change a replay
    return { error: text === '' ? 'invalid json: exhausted input' : 'invalid json' }
  }
  if (!isShallow(value, jsonDepthMax)) return { error: 'invalid json: maximum allowed JSON depth exceeded' }
  return { value, error: null }
}

const spelled = /\d[.eE]/
/** Texts, and numbers with a fraction or an exponent. */
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs

function parseAsWritten(text: string): unknown {
  JSON.parse(text) // or what follows would mend what is no JSON
  let mark = '#'
  while (text.includes(`"${mark}`)) mark += '#'
  const marked = text.replace(tokens, (token) => {
    const isSpelled = !token.startsWith('"') && /[.eE]/.test(token) && Number.isInteger(Number(token))
    return isSpelled ? `"${mark}${token}"` : token
  })
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? new Number(value.slice(mark.length)) : value,
  )
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Number)
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0) return false
  if (Array.isArray(value)) {
    for (const item of value) if (!isShallow(item, levels - 1)) return false
    return true
  }
  for (const name in value) {
    if (!isShallow((value as Record<string, unknown>)[name], levels - 1)) return false
  }
  return true
}
