/** Building blocks for the shapes of YAML files: zod, with messages that say what was expected. */
import { z } from 'zod'

/** Ids of definitions: they stand in keys, topics and file names. */
export const idPattern = /^[a-z][a-z0-9_-]{0,63}$/
export const idExpected = 'a name of a-z, 0-9, _ and -, starting with a letter, at most 64 characters'

export const text = (expected: string, max = 1_024) =>
  z.string({ error: expected }).trim().min(1, { error: expected }).max(max, { error: expected })
export const id = text(idExpected).regex(idPattern, { error: idExpected })
export const description = text('a sentence that says what it is, at most 500 characters', 500)
export const flag = z.boolean({ error: 'true or false' })

const variableExpected = 'the name of an environment variable, such as RETAIL_SECRET'
export const environmentVariable = text(variableExpected).regex(/^[A-Z][A-Z0-9_]{0,127}$/, { error: variableExpected })

export function whole(min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`
  return z.int({ error: expected }).min(min, { error: expected }).max(max, { error: expected })
}

export function choice<const Options extends readonly [string, ...string[]]>(...options: Options) {
  return z.enum(options, { error: `one of ${options.join(', ')}` })
}

export function list<Item extends z.ZodType>(of: Item, expected: string, max = 100) {
  const error = `${expected}, 1 to ${max} of them`
  return z.array(of, { error }).min(1, { error }).max(max, { error })
}

/** A mapping with these keys and no others. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `only ${keys}` : `a mapping with ${keys}`),
  })
}

/** A mapping of names, which the reader checks one by one, as it does what stands under them. */
export function entries(max: number, of: string) {
  const expected = `a mapping of 1 to ${max} ${of}`
  return z.custom<Readonly<Record<string, unknown>>>((value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const { length } = Object.keys(value)
    return length > 0 && length <= max
  }, expected)
}

/** One item or a list of them. */
export function oneOrMore<Item extends z.ZodType>(of: Item, expected: string, max = 20) {
  return z.union([of, list(of, expected, max)], { error: expected })
}
