/** The text of rules: CEL, parsed by cel-js within bounds; literals and durations read, findings collected with their place. */
import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js'
import type { Comparison, Literal } from '../schemas/definitions.ts'
import { quote } from './problem.ts'

export type Node = ASTNode
export type Call = Extract<ASTNode, { op: 'call' }>

/** Something wrong with a text, at [start, end) of it. */
export type TextProblem = {
  readonly start: number
  readonly end: number
  readonly found: string
  readonly expected: string
}

/** What reading a text came to: a value, or why not. */
export type Reading<T> = { readonly value: T; readonly problems: readonly [] } | Refused
export type Refused = { readonly value: null; readonly problems: readonly TextProblem[] }

/** Collects what is wrong; a reader goes on after each, so that the author sees all of it at once. */
export class Findings {
  readonly problems: TextProblem[] = []

  /** Notes a problem; null, for the reader to return in place of a value. */
  add(at: { readonly start: number; readonly end: number }, found: string, expected: string): null {
    this.problems.push({ start: at.start, end: at.end, found, expected })
    return null
  }

  /** Notes that a part of the text is not what it should be. */
  refuse(node: Node, expected: string): null {
    const text = textOf(node)
    return this.add(node, /^(['"])[^'"]{0,60}\1$/.test(text) ? text : quote(text), expected)
  }
}

const textMax = 4_096
const environment = new Environment({
  unlistedVariablesAreDyn: true,
  limits: { maxAstNodes: 500, maxDepth: 24, maxListElements: 100, maxMapEntries: 1, maxCallArguments: 8 },
})

/** Parses a text and reads its tree. */
export function readText<T>(text: string, read: (tree: Node, findings: Findings) => T | null): Reading<T> {
  const findings = new Findings()
  const tree = parse(text, findings)
  const value = tree && read(tree, findings)
  if (findings.problems.length > 0 || value === null) return { value: null, problems: findings.problems }
  return { value, problems: [] }
}

function parse(text: string, findings: Findings): Node | null {
  if (text.trim() === '') return findings.add({ start: 0, end: 0 }, 'an empty text', 'a condition')
  if (text.length > textMax) {
    return findings.add({ start: textMax, end: text.length }, `${text.length} characters`, `at most ${textMax}`)
  }
  try {
    return environment.parse(text).ast
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    return syntaxProblem(error, text, findings)
  }
}

/** What the author meant when writing in another language. */
const foreign: ReadonlyMap<string, string> = new Map([
  ['and', '&&'],
  ['AND', '&&'],
  ['&', '&&'],
  ['or', '||'],
  ['OR', '||'],
  ['|', '||'],
  ['=', '=='],
])

const tokens: ReadonlyMap<string, string> = new Map([
  ['RPAREN', "')'"],
  ['LPAREN', "'('"],
  ['RBRACKET', "']'"],
  ['COLON', "':'"],
  ['IDENTIFIER', 'a name'],
])

function syntaxProblem(error: ParseError, text: string, findings: Findings): null {
  const start = Math.min(error.range?.start ?? 0, text.length)
  const found = /^(\w+|[^\s\w'"()]+|\S|)/.exec(text.slice(start))?.[0] ?? ''
  const at = { start, end: start + found.length }
  const shown = found === '' ? 'the end of the text' : quote(found)
  const instead = foreign.get(found)
  if (instead !== undefined) return findings.add(at, shown, instead)
  if (/exceeded|limit/i.test(error.summary)) return findings.add(at, shown, `a shorter rule: ${error.summary}`)
  const token = /^Expected (\w+), got/.exec(error.summary)?.[1]
  if (token !== undefined && tokens.has(token)) return findings.add(at, shown, tokens.get(token)!)
  if (
    found !== '' &&
    error.code !== 'unexpected_character' &&
    error.code !== 'unexpected_token' &&
    token === undefined
  ) {
    return findings.add(at, shown, `a well-formed text (${error.summary})`)
  }
  return findings.add(at, shown, 'a condition, an operator such as && || == >= in, or the end of the text')
}

/** A node as the author wrote it. */
export function textOf(node: Node): string {
  return node.input.slice(node.start, node.end)
}

/** Whether a node is a literal of the language; what it is worth is for `literalOf`. */
export function isLiteral(node: Node): boolean {
  return node.op === 'value' || (node.op === '-_' && node.args.op === 'value')
}

/** A text, a number or a truth value; anything else is refused. */
export function literalOf(node: Node, findings: Findings): Literal | null {
  const negative = node.op === '-_'
  const value = negative ? (node.args.op === 'value' ? node.args.args : null) : node.op === 'value' ? node.args : null
  if (!negative && (typeof value === 'string' || typeof value === 'boolean')) return value
  if (typeof value === 'number') return negative ? 0 - value : value
  if (typeof value === 'bigint') {
    const number = Number(value)
    if (!Number.isSafeInteger(number)) return findings.refuse(node, 'a number of at most 9007199254740991')
    return negative && number !== 0 ? -number : number
  }
  return findings.refuse(node, "a text such as 'x', a number, true or false")
}

/** `a && b && c`, which the parser nests, as one list. */
export function operandsOf(node: Node, op: '&&' | '||'): readonly Node[] {
  return node.op === op ? [...operandsOf(node.args[0], op), ...operandsOf(node.args[1], op)] : [node]
}

/** `product.brand.name` as its names; null when the node is no such chain. */
export function dottedNames(node: Node): readonly string[] | null {
  if (node.op === 'id') return [node.args]
  if (node.op !== '.') return null
  const before = dottedNames(node.args[0])
  return before && [...before, node.args[1]]
}

/** Where the name at an index of such a chain stands. */
export function placeOfName(
  node: Node,
  names: readonly string[],
  index: number,
): { readonly start: number; readonly end: number } {
  let at = node
  for (let i = names.length - 1; i > index && at.op === '.'; i--) at = at.args[0]
  return { start: at.end - names[index]!.length, end: at.end }
}

/** A comparison with its operands exchanged. */
export const mirrored: Readonly<Record<Comparison, Comparison>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

const unitMs: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
])

export const windowMsMax = 365 * 86_400_000
export const windowExpected = "a window from '1s' to '365d', such as '300s', '30m', '12h', '7d' or '4w'"

/** `30m` in milliseconds; null when it is no window, or one out of bounds. */
export function windowMsOf(text: string): number | null {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) return null
  const windowMs = Number(digits) * unitMs.get(unit)!
  return windowMs >= 1_000 && windowMs <= windowMsMax ? windowMs : null
}

/** `2026-01-31` or an RFC 3339 instant, as milliseconds since 1970; null when it is neither. */
export function instantMsOf(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) return null
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) return null
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number]
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day ? ms : null
}

export const instantExpected = "a date such as '2026-01-31', or an instant such as '2026-01-31T12:00:00Z'"
