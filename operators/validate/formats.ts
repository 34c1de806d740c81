/** Formats of JSON Schema: which texts have them, and how a complaint about one is worded. */
import { fullFormats } from 'ajv-formats/dist/formats.js'
import type { Compat } from './compile.ts'
import { patternOf } from './pattern.ts'

export type Format = {
  readonly test: (text: string) => boolean
  /** What a message says beside the format's name: the pattern, the value, or that it is none of its kind. */
  readonly told: string
}

/** Undefined: nobody looks at it. */
export const formatOf = (name: string, compat: Compat): Format | undefined =>
  (compat === 'iglu' ? iglu : standard).get(name)

// --- as Iglu's validator has them: its messages quote its patterns, so these stand here as they stand there ---

const quotedPatterns: ReadonlyMap<string, string> = new Map([
  [
    'ipv4',
    '^(([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\\.){3}([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$',
  ],
  [
    'ipv6',
    '^\\s*((([0-9A-Fa-f]{1,4}:){7}([0-9A-Fa-f]{1,4}|:))|(([0-9A-Fa-f]{1,4}:){6}(:[0-9A-Fa-f]{1,4}|((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3})|:))|(([0-9A-Fa-f]{1,4}:){5}(((:[0-9A-Fa-f]{1,4}){1,2})|:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3})|:))|(([0-9A-Fa-f]{1,4}:){4}(((:[0-9A-Fa-f]{1,4}){1,3})|((:[0-9A-Fa-f]{1,4})?:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}))|:))|(([0-9A-Fa-f]{1,4}:){3}(((:[0-9A-Fa-f]{1,4}){1,4})|((:[0-9A-Fa-f]{1,4}){0,2}:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}))|:))|(([0-9A-Fa-f]{1,4}:){2}(((:[0-9A-Fa-f]{1,4}){1,5})|((:[0-9A-Fa-f]{1,4}){0,3}:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}))|:))|(([0-9A-Fa-f]{1,4}:){1}(((:[0-9A-Fa-f]{1,4}){1,6})|((:[0-9A-Fa-f]{1,4}){0,4}:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}))|:))|(:(((:[0-9A-Fa-f]{1,4}){1,7})|((:[0-9A-Fa-f]{1,4}){0,5}:((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}))|:)))(%.+)?\\s*$',
  ],
  [
    'uri',
    "^[A-Za-z][A-Za-z0-9+.-]*:(\\/\\/([A-Za-z0-9._~\\-%!$&'()*+,;=:]*@)?[A-Za-z0-9._~\\-!$&'()*+,;=%:\\[\\]]*(:[0-9]*)?)?[A-Za-z0-9._~\\-%!$&'()*+,;=:@\\/]*([?][A-Za-z0-9._~\\-%!$&'()*+,;=:@\\/?]*)?([#][A-Za-z0-9._~\\-%!$&'()*+,;=:@\\/?]*)?",
  ],
  [
    'hostname',
    '^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])(\\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9]))*$',
  ],
  ['time', '^\\d{2}:\\d{2}:\\d{2}(?:\\.\\d+)?$'],
  [
    'color',
    '(#?([0-9A-Fa-f]{3,6})\\b)|(aqua)|(black)|(blue)|(fuchsia)|(gray)|(green)|(lime)|(maroon)|(navy)|(olive)|(orange)|(purple)|(red)|(silver)|(teal)|(white)|(yellow)|(rgb\\(\\s*\\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\\b\\s*,\\s*\\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\\b\\s*,\\s*\\b([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\\b\\s*\\))|(rgb\\(\\s*(\\d?\\d%|100%)+\\s*,\\s*(\\d?\\d%|100%)+\\s*,\\s*(\\d?\\d%|100%)+\\s*\\))',
  ],
  ['phone', '^\\+(?:[0-9] ?){6,14}[0-9]$'],
  ['ip-address', '^(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$'],
  ['style', '\\s*(.+?):\\s*([^;]+);?'],
  ['alpha', '^[a-zA-Z]+$'],
  ['alphanumeric', '^[a-zA-Z0-9]+$'],
  ['utc-millisec', '^[0-9]+(\\.?[0-9]+)?$'],
])

/** They match whole texts, where `$` alone would allow for the end of a line. */
const matched = [...quotedPatterns].map(([name, source]): [string, Format] => {
  const pattern = patternOf(`^(?:${source.replace(/^\^/, '').replace(/\$$/, '')})\\z`)
  const test =
    name === 'ipv6' ? (text: string) => !/[\s%]/.test(text) && pattern.test(text) : pattern.test.bind(pattern)
  return [name, { test, told: source }]
})

const instant =
  /^(\d{4}-\d\d-\d\d)[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|(60))(?:\.\d{0,9})?(?:[Zz]|[+-](?:(?:0\d|1[0-7]):[0-5]\d|18:00))$/
const isUtcMinute = /[Tt ]23:59:60(?:\.\d*)?(?:[Zz]|\+00:00)$/
/** Halves of a year end in leap seconds. */
const leapDay = /-(?:06-30|12-31)$/

function isDateTime(text: string): boolean {
  const [, day, leap] = instant.exec(text) ?? []
  if (!day || text.endsWith('-00:00') || !isDate(day)) return false
  return !leap || (leapDay.test(day) && isUtcMinute.test(text))
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const month = Number(text.slice(5, 7))
  const day = Number(text.slice(8))
  const year = Number(text.slice(0, 4))
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month >= 1 && month <= 12 && day >= 1 && day <= (month === 2 && leap ? 29 : monthDays[month - 1]!)
}
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const duration = /^-?P(?=[\dT])(?!T?$)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)$/

/**
 * The other validator knows a list of top-level domains, of some years ago. Here any is taken but those that are nobody's
 * by RFC 2606, 6761 and 6762.
 */
function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@')
  if (at < 1 || at > 64 || text.length > 320) return false
  const place = text.slice(at + 1).replace(/\n$/, '')
  if (!localPart.test(text.slice(0, at))) return false
  if (place.startsWith('[')) return place.endsWith(']') && ipv4.test(place.slice(1, -1))
  const labels = place.split('.')
  const top = labels.at(-1)!.toLowerCase()
  return labels.length > 1 && labels.every((each) => label.test(each)) && topLevel.test(top) && !nobodys.has(top)
}
const localPart = /^(?:"(?:[^"\\]|\\.)*"|(?:[^\s"(),:;<>@[\]\\.]|\\.)+(?:\.(?:[^\s"(),:;<>@[\]\\.]|\\.)+)*)$/
const label = /^[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$/u
const topLevel = /^(?:xn--[a-z0-9-]+|\p{L}{2,63})$/u
const nobodys: ReadonlySet<string> = new Set(['example', 'internal', 'invalid', 'local', 'localhost', 'onion', 'test'])
const ipv4 = /^(?:(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])(?:\.(?!$)|$)){4}$/

const iglu: ReadonlyMap<string, Format> = new Map<string, Format>([
  ...matched,
  ['date-time', { test: isDateTime, told: 'dateTime' }],
  ['date', { test: isDate, told: 'dateTime' }],
  ['uuid', { test: (text) => uuid.test(text), told: 'uuid' }],
  ['email', { test: isEmail, told: 'value' }],
  ['duration', { test: (text) => duration.test(text), told: 'value' }],
])

// --- as the standards have them ---

/** Those tests run on a backtracking engine. No text that has one of these formats is longer. */
const standardLengthMax = 4_096

const standard: ReadonlyMap<string, Format> = new Map(
  Object.entries(fullFormats).flatMap(([name, test]): [string, Format][] => {
    const isOf = test instanceof RegExp ? (text: string) => test.test(text) : validateOf(test)
    if (!isOf) return []
    const told = iglu.get(name)?.told ?? 'value'
    return [[name, { test: (text) => text.length <= standardLengthMax && isOf(text), told }]]
  }),
)

function validateOf(test: unknown): ((text: string) => boolean) | undefined {
  if (typeof test === 'function') return test as (text: string) => boolean
  const { type, validate } = (typeof test === 'object' && test !== null ? test : {}) as Record<string, unknown>
  if (type === 'number') return undefined
  if (validate instanceof RegExp) return (text) => validate.test(text)
  return typeof validate === 'function' ? (validate as (text: string) => boolean) : undefined
}
