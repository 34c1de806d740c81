/** Validator errors in the words of Iglu: the messages people have alerts and dashboards on. */
import type { ErrorObject } from 'ajv'
import { type DataReport, reportsMax } from './failure.ts'
import { isObject } from './json.ts'

/** In the order of the validator; the branches of oneOf and anyOf speak for themselves. */
export function reportsOf(errors: readonly ErrorObject[], root: unknown): readonly DataReport[] {
  const reports: DataReport[] = []
  for (const error of errors) {
    if (reports.length === reportsMax) break
    if (!wrappers.has(error.keyword)) reports.push(reportOf(error, root))
  }
  // a oneOf that more than one branch satisfies has no branch errors
  if (reports.length === 0) for (const error of errors.slice(0, reportsMax)) reports.push(reportOf(error, root))
  return reports
}

const wrappers: ReadonlySet<string> = new Set(['oneOf', 'anyOf', 'if'])

/** Texts of the event in a message are cut to this many characters. */
const quotedLengthMax = 256

function reportOf(error: ErrorObject, root: unknown): DataReport {
  const path = jsonPath(error.instancePath, root)
  const { keyword, params, schema, data } = error as ErrorObject & { params: Record<string, unknown> }
  const report = (message: string, targets: readonly string[], at = path, name = keyword): DataReport => ({
    message: `${at}: ${message}`,
    path,
    keyword: name,
    targets,
  })
  switch (keyword) {
    case 'type': {
      const found = typeName(data)
      if (Array.isArray(schema)) {
        const wanted = `[${schema.join(', ')}]`
        return report(`${found} found, but ${wanted} is required`, [found, wanted], path, 'unionType')
      }
      return report(`${found} found, ${schema} expected`, [found, String(schema)])
    }
    case 'required': {
      const name = String(params['missingProperty'])
      return report('is missing but it is required', [name], member(path, name))
    }
    case 'additionalProperties': {
      const name = quoted(params['additionalProperty'])
      const message = 'is not defined in the schema and the schema does not allow additional properties'
      return report(message, [name], member(path, name))
    }
    case 'enum': {
      const values = `[${(params['allowedValues'] as readonly unknown[]).map(plain).join(', ')}]`
      return report(`does not have a value in the enumeration ${values}`, [values])
    }
    case 'pattern': {
      const pattern = String(params['pattern'])
      return report(`does not match the regex pattern ${pattern}`, [pattern])
    }
    case 'format':
      return formatReport(String(params['format']), quoted(data), report)
    case 'uniqueItems':
      return report('the items in the array must be unique', [])
    case 'multipleOf': {
      const divisor = String(params['multipleOf'])
      return report(`must be multiple of ${divisor}`, [divisor])
    }
    default: {
      const limit = String(params['limit'])
      const limited = limits.get(keyword)
      return limited ? report(limited(limit), [limit]) : report(error.message ?? `does not satisfy ${keyword}`, [])
    }
  }
}

const limits: ReadonlyMap<string, (limit: string) => string> = new Map([
  ['maxLength', (limit) => `may only be ${limit} characters long`],
  ['minLength', (limit) => `must be at least ${limit} characters long`],
  ['minimum', (limit) => `must have a minimum value of ${limit}`],
  ['maximum', (limit) => `must have a maximum value of ${limit}`],
  ['minItems', (limit) => `there must be a minimum of ${limit} items in the array`],
  ['maxItems', (limit) => `there must be a maximum of ${limit} items in the array`],
  ['minProperties', (limit) => `must have at least ${limit} properties`],
  ['maxProperties', (limit) => `may only have a maximum of ${limit} properties`],
])

type Report = (message: string, targets: readonly string[], at?: string, name?: string) => DataReport

function formatReport(format: string, value: string, report: Report): DataReport {
  switch (format) {
    case 'date-time':
    case 'date':
      return report(`${value} is an invalid ${format}`, [value, format], undefined, 'dateTime')
    case 'uuid':
      return report(`${value} is an invalid uuid`, [value, format], undefined, 'uuid')
    case 'email':
      return report(`does not match the ${value} pattern email`, [value, format])
    default:
      return report(`does not match the ${format} pattern`, [format])
  }
}

/** `/beers/1/name` as `$.beers[1].name`: a step is an index only where there is an array. */
function jsonPath(pointer: string, root: unknown): string {
  let path = '$'
  let place = root
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    path = Array.isArray(place) ? `${path}[${name}]` : member(path, name)
    place = Array.isArray(place)
      ? place[Number(name)]
      : isObject(place) && Object.hasOwn(place, name)
        ? place[name]
        : undefined
  }
  return path
}

const member = (path: string, name: string): string => `${path}.${quoted(name)}`

/** The name of a JSON value's type, where an integer is told from a number. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const quoted = (value: unknown): string =>
  plain(value)
    .slice(0, quotedLengthMax)
    .replace(/[\ud800-\udbff]$/, '')
