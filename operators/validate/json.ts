/** JSON of strangers: parsed only as deep as we are willing to walk. */

/** Levels of arrays and objects, as Snowplow counts them. */
export const jsonDepthMax = 40

/** A parsed value, or why there is none. */
export type Parsed = { readonly value: unknown; readonly error: null } | { readonly error: string }

export function parseJson(text: string): Parsed {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // not the engine's own message, which differs from one version of Node to the next and would change a replay
    return { error: text === '' ? 'invalid json: exhausted input' : 'invalid json' }
  }
  if (!isShallow(value, jsonDepthMax)) return { error: 'invalid json: maximum allowed JSON depth exceeded' }
  return { value, error: null }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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
