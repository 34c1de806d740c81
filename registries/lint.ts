/** What is wrong with a schema, or could be better: the checks of igluctl, without what every author skips. */
import ajvDraft4 from 'ajv-draft-04'

/** An error keeps a schema from being published; a warning does not. */
export type Finding = {
  readonly level: 'error' | 'warning'
  readonly check: Check
  /** `$.properties.email`. */
  readonly path: string
  readonly message: string
}

/** Those that may be skipped, and those that may not. */
export const skippable = ['rootObject', 'unknownFormats', 'numericMinMax', 'stringLength', 'description'] as const
export type Skippable = (typeof skippable)[number] | 'optionalNull'
export type Check = Skippable | 'json' | 'self' | '$schema' | 'metaschema' | 'contradiction'

type Schema = Readonly<Record<string, unknown>>

const selfDescribing = 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#'

/**
 * `key` is what the schema's place says it is, `iglu:vendor/name/jsonschema/M-R-A`. Skips what is named; `optionalNull` is
 * looked at only when it is asked for, as `nulls: drop` does what it is about.
 */
export function lint(
  key: string,
  text: string,
  { skip = [], optionalNull = false }: { readonly skip?: readonly Skippable[]; readonly optionalNull?: boolean } = {},
): readonly Finding[] {
  const findings: Finding[] = []
  const tell = (level: Finding['level'], check: Check, path: string, message: string): void => {
    if (!skip.includes(check as Skippable)) findings.push({ level, check, path, message })
  }
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch (error) {
    tell('error', 'json', '$', `it is no JSON: ${(error as Error).message}`)
    return findings
  }
  if (!isObject(schema)) {
    tell('error', 'json', '$', 'it is no JSON object')
    return findings
  }
  const { $schema, self, ...rest } = schema
  if ($schema !== selfDescribing) tell('error', '$schema', '$.$schema', `it must be "${selfDescribing}"`)
  checkSelf(key, self, tell)
  const ajv = new ajvDraft4.default({ strict: false, allErrors: true, validateSchema: false, logger: false })
  if (!ajv.validateSchema(rest)) {
    for (const { instancePath, message } of (ajv.errors ?? []).slice(0, 20))
      tell('error', 'metaschema', `$${instancePath.replaceAll('/', '.')}`, `it is not of draft 4: it ${message}`)
  }
  if (rest['type'] !== 'object') tell('warning', 'rootObject', '$', 'the data of an event or entity are an object')
  walk(rest, '$', { tell, optionalNull })
  return findings
}

type Tell = (level: Finding['level'], check: Check, path: string, message: string) => void
type Walk = { readonly tell: Tell; readonly optionalNull: boolean }

function checkSelf(key: string, self: unknown, tell: Tell): void {
  const [vendor, name, format, version] = key.replace(/^iglu:/, '').split('/')
  const found = isObject(self) ? self : {}
  for (const [part, wanted] of Object.entries({ vendor, name, format, version })) {
    if (found[part] !== wanted)
      tell('error', 'self', `$.self.${part}`, `it is ${JSON.stringify(found[part])}, and its place says "${wanted}"`)
  }
}

function walk(schema: Schema, path: string, { tell, optionalNull }: Walk): void {
  const types = typesOf(schema)
  for (const [low, high] of bounds) {
    const [min, max] = [schema[low], schema[high]]
    if (typeof min === 'number' && typeof max === 'number' && min > max)
      tell('error', 'contradiction', path, `${low} is greater than ${high}: nothing satisfies it`)
  }
  for (const [keyword, of] of keywordTypes) {
    if (schema[keyword] !== undefined && types && !types.some((type) => of.includes(type)))
      tell('error', 'contradiction', path, `${keyword} says nothing of a value of type ${types.join(' or ')}`)
  }
  const values = schema['enum']
  if (types && Array.isArray(values)) {
    const wrong = values.filter((value) => !types.some((type) => isOf(type, value)))
    if (wrong.length > 0)
      tell('error', 'contradiction', path, `the enumeration has ${JSON.stringify(wrong[0])}, which is not of its type`)
  }
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  if (schema['additionalProperties'] === false && !schema['patternProperties']) {
    for (const name of required)
      if (!Object.hasOwn(properties, String(name)))
        tell('error', 'contradiction', path, `it requires '${name}', which it does not allow`)
  }

  const isOpen = values === undefined
  if (isOpen && types?.some((type) => type === 'integer' || type === 'number')) {
    const missing = ['minimum', 'maximum'].filter((keyword) => schema[keyword] === undefined)
    if (missing.length > 0) tell('warning', 'numericMinMax', path, `a number without ${missing.join(' and ')}`)
  }
  const { format, pattern, maxLength } = schema
  if (isOpen && types?.includes('string') && [format, pattern, maxLength].every((keyword) => keyword === undefined))
    tell('warning', 'stringLength', path, 'a text without maxLength, and nothing else that bounds it')
  if (typeof format === 'string' && !formats.has(format))
    tell('warning', 'unknownFormats', path, `the format '${format}' is not looked at`)

  for (const [name, property] of Object.entries(properties)) {
    if (!isObject(property)) continue
    const place = `${path}.properties.${name}`
    if (typeof property['description'] !== 'string' && !property['$ref'])
      tell('warning', 'description', place, 'it has no description')
    if (optionalNull && !required.includes(name) && typesOf(property)?.includes('null') === false)
      tell('warning', 'optionalNull', place, 'an optional property that does not allow for null')
    walk(property, place, { tell, optionalNull })
  }
  for (const [keyword, below] of Object.entries(schema)) {
    if (subschemas.includes(keyword) && isObject(below)) walk(below, `${path}.${keyword}`, { tell, optionalNull })
    if (!branches.includes(keyword) || !Array.isArray(below)) continue
    for (const [at, branch] of below.entries())
      if (isObject(branch)) walk(branch, `${path}.${keyword}[${at}]`, { tell, optionalNull })
  }
}

const bounds = [
  ['minimum', 'maximum'],
  ['minLength', 'maxLength'],
  ['minItems', 'maxItems'],
  ['minProperties', 'maxProperties'],
] as const

const keywordTypes: readonly (readonly [string, readonly string[]])[] = [
  ...['minimum', 'maximum', 'multipleOf'].map((keyword) => [keyword, ['integer', 'number']] as const),
  ...['minLength', 'maxLength', 'pattern', 'format'].map((keyword) => [keyword, ['string']] as const),
  ...['items', 'minItems', 'maxItems'].map((keyword) => [keyword, ['array']] as const),
  ...['properties', 'required', 'additionalProperties'].map((keyword) => [keyword, ['object']] as const),
]
const subschemas: readonly string[] = ['items', 'additionalProperties', 'not']
const branches: readonly string[] = ['anyOf', 'oneOf', 'allOf', 'items']

/** Those that the validator of Iglu looks at. */
const formats: ReadonlySet<string> = new Set(
  'alpha alphanumeric color date date-time duration email hostname ip-address ipv4 ipv6 phone style time uri utc-millisec uuid'.split(
    ' ',
  ),
)

function typesOf({ type }: Schema): readonly string[] | null {
  if (typeof type === 'string') return [type]
  return Array.isArray(type) ? type.map(String) : null
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'object':
      return isObject(value)
    default:
      return typeof value === type
  }
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
