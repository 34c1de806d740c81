/**
 * Places in a bad row, as Snowplow's event recovery names them: the JSONPath subset `$.raw.parameters.cx.data.[1].sku`,
 * `[?(@.schema=~regex)]`. Lists of {name, value} are walked by name, and texts that hold JSON, in base64 too, are opened
 * on the way and closed again. A filter leads to all members that fit.
 * https://docs.snowplow.io/docs/monitoring/recovering-failed-events/manual/configuration/
 */
import { type Pattern, patternOf } from './pattern.ts'

export type Place = readonly Step[]
type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly pattern: Pattern }

/** What a change makes of a value; undefined takes it away. */
export type Change = (value: unknown) => unknown

/** A place that is not there, or a change that its value does not take. */
export class Unrecoverable extends Error {}

/** Throws a SyntaxError. */
export function placeOf(text: string): Place {
  const steps: Step[] = []
  let rest = text.replace(/^\$\.?/, '')
  while (rest !== '') {
    const [step] = /^\[\?\(@\..+?\)\](?=\.|$)|^\[\d{1,9}\](?=\.|$)|^[^.[\]]+(?=\.|$)/.exec(rest) ?? []
    if (step === undefined) throw new SyntaxError(`no step of a path at ${rest.slice(0, 40)}`)
    steps.push(stepOf(step))
    rest = rest.slice(step.length).replace(/^\./, '')
  }
  if (steps.length === 0) throw new SyntaxError('the path leads nowhere')
  return steps
}

function stepOf(text: string): Step {
  const [, path, regex] = /^\[\?\(@\.([\w.$-]+)=~(.+)\)\]$/.exec(text) ?? []
  if (path && regex) return { kind: 'filter', path: path.split('.'), pattern: patternOf(regex) }
  if (text.startsWith('[?')) throw new SyntaxError(`no filter: ${text.slice(0, 40)}`)
  if (text.startsWith('[')) return { kind: 'index', index: Number(text.slice(1, -1)) }
  return { kind: 'name', name: text }
}

/** A copy of the value with the change made at every place. Throws Unrecoverable. */
export function changed(value: unknown, place: Place, change: Change): unknown {
  const [step, ...others] = place
  if (!step) return change(value)
  const opened = typeof value === 'string' ? openedText(value) : null
  if (opened) return opened.close(changed(opened.value, place, change))
  const onward: Change = (child) => changedEnd(child, others, change)
  switch (step.kind) {
    case 'name':
      return isPairs(value) ? withPair(value, step.name, onward) : withMember(value, step.name, onward)
    case 'index':
      if (!Array.isArray(value) || step.index >= value.length) throw new Unrecoverable(`there is no [${step.index}]`)
      return withItems(value, (_, index) => index === step.index, onward)
    case 'filter': {
      const fits = (item: unknown): boolean => {
        const found = step.path.reduce(
          (at, name) => (isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined),
          item,
        )
        return found !== undefined && step.pattern.finds(textOf(found))
      }
      if (!Array.isArray(value) || !value.some(fits)) throw new Unrecoverable('no member fits the filter')
      return withItems(value, fits, onward)
    }
  }
}

/** At the end of a path a text that holds JSON is changed as that JSON, as where a path leads into it. */
function changedEnd(value: unknown, place: Place, change: Change): unknown {
  if (place.length > 0 || typeof value !== 'string') return changed(value, place, change)
  const opened = openedText(value)
  if (!opened) return change(value)
  const made = change(opened.value)
  return made === undefined ? undefined : opened.close(made)
}

/** Every value at the place; empty where there is none. */
export function valuesAt(value: unknown, place: Place): readonly unknown[] {
  const found: unknown[] = []
  try {
    changed(value, place, (each) => {
      found.push(each)
      return each
    })
  } catch (error) {
    if (!(error instanceof Unrecoverable)) throw error
  }
  return found
}

/** A text as it is, anything else as JSON. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

type Pair = { readonly name: string; readonly value?: unknown }

const isPairs = (value: unknown): value is readonly Pair[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => isObject(item) && typeof item['name'] === 'string')

function withPair(pairs: readonly Pair[], name: string, change: Change): readonly Pair[] {
  if (!pairs.some((pair) => pair.name === name)) throw new Unrecoverable(`there is no ${name}`)
  return pairs.flatMap((pair) => {
    if (pair.name !== name) return [pair]
    const value = change(pair.value ?? null)
    return value === undefined ? [] : [{ ...pair, value }]
  })
}

function withMember(value: unknown, name: string, change: Change): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) throw new Unrecoverable(`there is no ${name}`)
  return Object.fromEntries(
    Object.entries(value).flatMap(([each, member]): [string, unknown][] => {
      if (each !== name) return [[each, member]]
      const made = change(member)
      return made === undefined ? [] : [[each, made]]
    }),
  )
}

const withItems = (
  items: readonly unknown[],
  fits: (item: unknown, index: number) => boolean,
  change: Change,
): readonly unknown[] =>
  items.flatMap((item, index) => {
    if (!fits(item, index)) return [item]
    const made = change(item)
    return made === undefined ? [] : [made]
  })

type Opened = { readonly value: unknown; readonly close: (value: unknown) => string }

/** The object or list that a text holds, as JSON or as base64 of JSON; null when it holds none. */
function openedText(text: string): Opened | null {
  const plain = jsonIn(text)
  if (plain !== undefined) return { value: plain, close: textOf }
  const decoded = base64.test(text) ? jsonIn(Buffer.from(text, 'base64url').toString('utf8')) : undefined
  if (decoded === undefined) return null
  return { value: decoded, close: (value) => Buffer.from(textOf(value)).toString('base64url') }
}

const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/

function jsonIn(text: string): object | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
