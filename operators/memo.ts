/** Pure functions, remembered. */
import type { Definitions } from '../schemas/definitions.ts'

/** What is compiled of definitions, once for each set of them, and for as long as that is in use. */
export function perDefinitions<Compiled>(
  compile: (definitions: Definitions) => Compiled,
): (definitions: Definitions) => Compiled {
  const known = new WeakMap<Definitions, Compiled>()
  return (definitions) => {
    let compiled = known.get(definitions)
    if (compiled === undefined) {
      compiled = compile(definitions)
      known.set(definitions, compiled)
    }
    return compiled
  }
}

/**
 * Remembers at most twice `entriesMax` answers, in two generations: the older is dropped when the younger is full, so
 * that what is asked for again and again stays.
 */
export function memoised<Value>(derive: (text: string) => Value, entriesMax = 5_000): (text: string) => Value {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  return (text) => {
    const known = young.get(text)
    if (known !== undefined) return known
    const value = old.get(text) ?? derive(text)
    if (young.size >= entriesMax) {
      old = young
      young = new Map()
    }
    young.set(text, value)
    return value
  }
}
