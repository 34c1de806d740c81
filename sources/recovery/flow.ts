/**
 * Recovery flows in the format of Snowplow's event recovery (`recoveries/jsonschema/4-*`): for each schema of bad rows a
 * list of flows, of which the first whose conditions all hold is taken, and its steps are done one after the other.
 */
import { z } from 'zod'
import { MillraceError } from '../../runtime/errors.ts'
import { type Pattern, patternOf } from './pattern.ts'
import { changed, isObject, placeOf, textOf, Unrecoverable, valuesAt } from './place.ts'

/** A bad row as others read it. */
export type Row = { readonly schema: string; readonly data: { readonly payload: unknown } }

export type Flow = {
  readonly name: string
  /** Of a row's data: processor, failure, payload. */
  readonly holds: (data: Row['data']) => boolean
  /** Of a row's payload. Throws Unrecoverable. */
  readonly apply: (payload: unknown) => unknown
}

/** The flow for a row, or undefined. */
export type Flows = (row: Row) => Flow | undefined

/** CONFIG_INVALID with the path of what is wrong. `file` names it. */
export function flowsOf(text: string, file: string): Flows {
  const invalid = (message: string): MillraceError => new MillraceError('CONFIG_INVALID', `${file}: ${message}`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw invalid(`no JSON (${(error as Error).message})`)
  }
  const parsed = flowsShape.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`${issue?.path.join('.') || 'the whole'}: ${issue?.message}`)
  }
  const bySchema = Object.entries(parsed.data.data).map(([criterion, flows]) => ({
    fits: criterionOf(criterion),
    flows: flows.map(flowOf),
  }))
  return ({ schema, data }) =>
    bySchema
      .filter(({ fits }) => fits.test(schema))
      .flatMap(({ flows }) => flows)
      .find(({ holds }) => holds(data))
}

/** Texts that a function reads further; what it throws is what is wrong with them. */
const read = <Read>(of: (text: string) => Read) =>
  z
    .string()
    .max(10_000)
    .transform((text, context): Read => {
      try {
        return of(text)
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message })
        return z.NEVER
      }
    })

const castTypes = ['String', 'Numeric', 'Boolean', 'Array'] as const
const place = read(placeOf)
const pattern = read(patternOf)

const conditionShape = z.strictObject({
  op: z.literal('Test'),
  path: place,
  value: z.union([
    z.strictObject({ value: z.json() }),
    z.strictObject({ regex: pattern }),
    z.strictObject({
      size: z.union([
        z.strictObject({ eq: z.number() }),
        z.strictObject({ gt: z.number() }),
        z.strictObject({ lt: z.number() }),
      ]),
    }),
  ]),
})

const stepShape = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('Replace'), path: place, match: pattern.nullish(), value: z.json() }),
  z.strictObject({ op: z.literal('Remove'), path: place, match: pattern.nullish() }),
  z.strictObject({ op: z.literal('Cast'), path: place, from: z.enum(castTypes), to: z.enum(castTypes) }),
])

const flowsShape = z.strictObject({
  schema: z.string().regex(/^iglu:com\.snowplowanalytics\.snowplow\/recoveries\/jsonschema\/\d+-\d+-\d+$/, {
    error: 'expected iglu:com.snowplowanalytics.snowplow/recoveries/jsonschema/4-0-0',
  }),
  data: z.record(
    z.string().regex(/^iglu:[\w.-]+\/[\w-]+\/jsonschema\/(\d+|\*)-(\d+|\*)-(\d+|\*)$/, {
      error: 'expected the schema of bad rows, such as iglu:…/schema_violations/jsonschema/2-*-*',
    }),
    z.array(z.strictObject({ name: z.string(), conditions: z.array(conditionShape), steps: z.array(stepShape) })),
  ),
})

type Condition = z.infer<typeof conditionShape>
type StepOfFlow = z.infer<typeof stepShape>
type CastType = (typeof castTypes)[number]

const criterionOf = (criterion: string): RegExp =>
  new RegExp(`^${criterion.replaceAll('.', '\\.').replaceAll('*', '\\d+')}$`)

function flowOf({ name, conditions, steps }: z.infer<typeof flowsShape>['data'][string][number]): Flow {
  return {
    name,
    holds: (data) =>
      conditions.every((condition) => valuesAt(data, condition.path).some((value) => fits(condition, value))),
    apply: (payload) =>
      steps.reduce((made, step) => changed(made, step.path, (value) => stepped(step, value)), payload),
  }
}

function fits({ value: matcher }: Condition, value: unknown): boolean {
  if ('regex' in matcher) return value !== null && matcher.regex.finds(textOf(value))
  if ('value' in matcher) return JSON.stringify(value) === JSON.stringify(matcher.value)
  const size = sizeOf(value)
  const { size: bound } = matcher
  if ('eq' in bound) return size === bound.eq
  return 'gt' in bound ? size > bound.gt : size < bound.lt
}

/** Of a text its characters, of a list or object its members, of a number itself. */
function sizeOf(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  return isObject(value) ? Object.keys(value).length : Number.NaN
}

function stepped(step: StepOfFlow, value: unknown): unknown {
  switch (step.op) {
    case 'Replace':
      return replaced(value, step.match ?? null, step.value)
    case 'Remove':
      return step.match && value !== null && !step.match.finds(textOf(value)) ? value : undefined
    case 'Cast':
      return cast(value, step.from, step.to)
  }
}

/** A text by the pattern, or as a whole; an object as its text; of a list its members. Others take what is of their type. */
function replaced(value: unknown, match: Pattern | null, by: unknown): unknown {
  if (value === null) return by
  if (typeof value === 'string') return match && typeof by === 'string' ? match.replaceAll(value, by) : textOf(by)
  if (typeof value !== 'object') {
    if (typeof by === typeof value) return by
    throw new Unrecoverable(`a ${typeof value} is not replaced by ${textOf(by)}`)
  }
  if (Array.isArray(value)) {
    if (!match) return Array.isArray(by) ? by : [by]
    if (Array.isArray(by)) return [...value.filter((item) => !match.finds(textOf(item))), ...by]
    return value.map((item) => parsed(match.replaceAll(JSON.stringify(item), textOf(by))))
  }
  const made = match ? parsed(match.replaceAll(JSON.stringify(value), textOf(by))) : by
  if (isObject(made)) return made
  throw new Unrecoverable('what is to replace an object is none')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Unrecoverable('what the replacement leaves is no JSON')
  }
}

function cast(value: unknown, from: CastType, to: CastType): unknown {
  if (to === 'Array' && !Array.isArray(value)) return [value]
  if (to === 'String') return textOf(value)
  if (from === 'Numeric' && to === 'Boolean' && typeof value === 'number') return value !== 0
  if (from === 'Boolean' && to === 'Numeric' && typeof value === 'boolean') return value ? 1 : 0
  if (from === 'String' && to === 'Numeric' && typeof value === 'string' && number.test(value)) return Number(value)
  throw new Unrecoverable(`${textOf(value).slice(0, 100)} cannot be cast from ${from} to ${to}`)
}

const number = /^-?\d{1,15}(\.\d{1,15})?$/
