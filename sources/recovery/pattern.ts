/** Regular expressions of recovery flows: Java's spelling, in time that is linear in the text. */
import { RE2JS } from 're2js'

export type Pattern = {
  finds(text: string): boolean
  /** `$1` in `by` is the first group. */
  replaceAll(text: string, by: string): string
}

/** Throws a SyntaxError when it is none. */
export function patternOf(source: string): Pattern {
  // Java's (?U) says that classes are Unicode's; to RE2 it is something else
  const java = source.replace(/^\(\?([a-zA-Z]+)\)/, (_, flags: string) => {
    const kept = flags.replace(/[^ims]/g, '')
    return kept === '' ? '' : `(?${kept})`
  })
  try {
    const compiled = RE2JS.compile(java)
    return {
      finds: (text) => compiled.matcher(text).find(),
      replaceAll: (text, by) => compiled.matcher(text).replaceAll(by),
    }
  } catch (error) {
    throw new SyntaxError(`no regular expression: ${(error as Error).message}`)
  }
}
