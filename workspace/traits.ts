/** traits/*.yaml: what is learned or computed of a profile. */
import { z } from 'zod'
import type { TraitDefinition, TraitSource, TraitType } from '../schemas/definitions.ts'
import type { Catalogue } from './catalogue.ts'
import { matchFrom, matchShape, pathsFrom } from './match.ts'
import { choice, description, mapping, oneOrMore, text, whole } from './shape.ts'
import type { Entry } from './source.ts'
import { windowExpected, windowMsOf } from './syntax.ts'

const paths = oneOrMore(text('a path such as event.total', 256), 'paths such as event.total')
const literal = z.union([z.string().max(1_024), z.number(), z.boolean()], { error: 'a text, a number, true or false' })

const traitShape = mapping({
  description,
  type: choice('string', 'number', 'decimal', 'boolean', 'timestamp', 'list').optional(),
  field: mapping({
    ...matchShape,
    value: z.union([paths, mapping({ literal })], { error: 'paths such as event.email, or { literal: value }' }),
    policy: choice('recency', 'first', 'max', 'min').default('recency'),
    trust: whole(0, 100).default(1),
  }).optional(),
  sum: mapping({ ...matchShape, value: paths }).optional(),
  union: mapping({ ...matchShape, value: paths, max: whole(1, 200).default(100) }).optional(),
  count: mapping({ ...matchShape, within: text(windowExpected, 16).optional() }).optional(),
})

type Written = z.infer<typeof traitShape>

/** The one type that a computed trait has. */
const computedTypes: Readonly<Record<'sum' | 'union' | 'count', TraitType>> = {
  sum: 'decimal',
  union: 'list',
  count: 'number',
}
const kinds = ['field', 'sum', 'union', 'count'] as const

/** Null after a problem was noted. */
export function readTrait(entry: Entry, catalogue: Catalogue): TraitDefinition | null {
  const { id, source } = entry
  const written = source.read(traitShape, [id], entry.value)
  if (!written) return null
  const given = kinds.filter((kind) => written[kind] !== undefined)
  const [kind] = given
  if (kind === undefined || given.length > 1) {
    source.report([id], given.length === 0 ? 'no source' : given.join(' and '), `one of ${kinds.join(', ')}`)
    return null
  }
  const type = typeOf(kind, written)
  if (type === null) {
    const expected =
      kind === 'field'
        ? 'string, number, decimal, boolean or timestamp'
        : `${computedTypes[kind]}, or no type: a ${kind} has no other`
    source.report(written.type === undefined ? [id] : [id, 'type'], written.type ?? 'no type', expected)
  }
  const traitSource = sourceOf(kind, written, entry, catalogue)
  return type && traitSource && { id, description: written.description, type, source: traitSource }
}

function typeOf(kind: (typeof kinds)[number], { type }: Written): TraitType | null {
  if (kind === 'field') return type === undefined || type === 'list' ? null : type
  return type === undefined || type === computedTypes[kind] ? computedTypes[kind] : null
}

function sourceOf(
  kind: (typeof kinds)[number],
  written: Written,
  entry: Entry,
  catalogue: Catalogue,
): TraitSource | null {
  const { id, source } = entry
  const part = written[kind]!
  const match = matchFrom(part, [id, kind], source, catalogue)
  const pathsOf = (value: string | readonly string[]) =>
    pathsFrom(value, part.on, [id, kind, 'value'], source, catalogue)
  if (kind === 'field') {
    const { value: from, policy, trust } = written.field!
    const constant = typeof from === 'object' && 'literal' in from ? { literal: from.literal } : null
    if (constant && !fits(constant.literal, written.type)) {
      source.report([id, kind, 'value', 'literal'], String(constant.literal), `a ${written.type}, as the trait is one`)
      return null
    }
    const value = constant ?? pathsOf(from as string | readonly string[])
    return match && value && { kind, policy, match, value, trust }
  }
  if (kind === 'count') {
    const { within } = written.count!
    const windowMs = within === undefined ? null : windowMsOf(within)
    if (within !== undefined && windowMs === null) source.report([id, kind, 'within'], `'${within}'`, windowExpected)
    return match && (within === undefined || windowMs !== null) ? { kind, match, windowMs } : null
  }
  const value = pathsOf(written[kind]!.value)
  if (!match || !value) return null
  return kind === 'sum' ? { kind, match, value } : { kind, match, value, max: written.union!.max }
}

function fits(value: string | number | boolean, type: TraitType | undefined): boolean {
  if (type === 'string' || type === 'boolean') return typeof value === type
  return type === 'number' || type === 'decimal' ? typeof value === 'number' : type === undefined
}
