/** Iglu schemas of a workspace: `schemas/<vendor>/<name>/jsonschema/<model-revision-addition>`, JSON. */
import Ajv from 'ajv-draft-04'
import { canonicalJson } from './canonical.ts'
import { describe, type Problem, quote } from './problem.ts'
import { deeperThan, hasInfinity } from './source.ts'

export type JsonObject = { readonly [name: string]: unknown }
export type Schemas = ReadonlyMap<string, JsonObject>

const depthMax = 40
const placePattern = /^([a-zA-Z0-9_.-]{1,128})\/([a-zA-Z0-9_-]{1,128})\/jsonschema\/([1-9]\d{0,3}-\d{1,4}-\d{1,4})$/
const metaSchema = 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#'

/** Parses schema files by their path below `schemas/`; what is wrong goes to `problems`. */
export function readSchemas(files: ReadonlyMap<string, string>, problems: Problem[]): Schemas {
  const ajv = new Ajv.default({ strict: false, allErrors: true, validateSchema: false, logger: false })
  const schemas = new Map<string, JsonObject>()
  for (const [place, text] of files) {
    const report = (path: string, found: string, expected: string) => {
      problems.push({ file: `schemas/${place}`, line: null, column: null, path, found, expected })
    }
    const [, vendor, name, version] = placePattern.exec(place) ?? []
    if (!vendor || !name || !version) {
      report('', `the path ${quote(place)}`, 'schemas/<vendor>/<name>/jsonschema/<model-revision-addition>')
      continue
    }
    const schema = parseSchema(text, report)
    if (!schema) continue
    if (schema['$schema'] !== metaSchema) report('$schema', describe(schema['$schema']), quote(metaSchema))
    checkSelf(schema['self'], { vendor, name, format: 'jsonschema', version }, report)
    checkDraft04(ajv, schema, report)
    schemas.set(`iglu:${vendor}/${name}/jsonschema/${version}`, schema)
  }
  return schemas
}

/** The text under which a schema travels. */
export function schemaText(schema: JsonObject): string {
  return canonicalJson(schema)
}

type Report = (path: string, found: string, expected: string) => void

function parseSchema(text: string, report: Report): JsonObject | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    report('', `no JSON (${(error as Error).message})`, 'a JSON Schema')
    return null
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report('', describe(value), 'a JSON Schema, which is an object')
    return null
  }
  if (deeperThan(value, depthMax)) {
    report('', `more than ${depthMax} levels`, 'at most as many')
    return null
  }
  if (hasInfinity(value)) {
    report('', 'a number too large for a double', 'numbers that a double holds')
    return null
  }
  return value as JsonObject
}

function checkSelf(self: unknown, expected: Readonly<Record<string, string>>, report: Report): void {
  const found = typeof self === 'object' && self !== null ? (self as Record<string, unknown>) : {}
  for (const [part, value] of Object.entries(expected)) {
    if (found[part] !== value)
      report(`self.${part}`, describe(found[part]), `${quote(value)}, as in the path of the file`)
  }
}

function checkDraft04(
  ajv: InstanceType<typeof Ajv.default>,
  { $schema: _, ...schema }: JsonObject,
  report: Report,
): void {
  if (ajv.validateSchema(schema)) return
  const first = new Map([...(ajv.errors ?? [])].reverse().map((error) => [error.instancePath, error]))
  for (const { instancePath, message } of [...first.values()].reverse().slice(0, 10)) {
    report(
      instancePath.slice(1).replaceAll('/', '.'),
      'what is no JSON Schema',
      `draft-04: ${message ?? 'a valid schema'}`,
    )
  }
}
