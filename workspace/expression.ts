/** Segment rules: `count('add_to_cart', '30m') >= 3 && absent('purchase', '7d') && profile.country == 'DE'`. */
import type { Comparison, EventMatch, Expression, Literal, TraitType } from '../schemas/definitions.ts'
import { anyEvent, type Catalogue } from './catalogue.ts'
import { type ConditionScope, lowerCondition, noMethods } from './condition.ts'
import { hint, quote } from './problem.ts'
import {
  type Call,
  dottedNames,
  type Findings,
  instantExpected,
  instantMsOf,
  isLiteral,
  literalOf,
  mirrored,
  type Node,
  operandsOf,
  placeOfName,
  type Reading,
  readText,
  windowExpected,
  windowMsOf,
} from './syntax.ts'

/** What a rule may speak of. A trait of type null is declared, but its declaration is wrong: it is reported there. */
export type RuleScope = { readonly traits: ReadonlyMap<string, TraitType | null>; readonly catalogue: Catalogue }

/** The threshold of a windowed count: as many events are kept for each profile. */
const thresholdMax = 1_000
const lifetimeThresholdMax = 1_000_000_000

/** Lowers the text of a segment rule to its canonical form, checked against traits and schemas. */
export function readExpression(text: string, scope: RuleScope): Reading<Expression> {
  return readText(text, (tree, findings) => lower(tree, { ...scope, findings }))
}

type Scope = RuleScope & { readonly findings: Findings }

const shape =
  "a condition such as count('purchase', '30d') >= 2, absent('purchase', '7d'), profile.tier == 'gold' or has(profile.email)"

function lower(node: Node, scope: Scope): Expression | null {
  const { findings } = scope
  switch (node.op) {
    case '&&':
    case '||': {
      const of = operandsOf(node, node.op).map((operand) => lower(operand, scope))
      return of.every((operand) => operand !== null) ? { op: node.op === '&&' ? 'and' : 'or', of } : null
    }
    case '!_': {
      const of = lower(node.args, scope)
      return of && { op: 'not', of }
    }
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return lowerComparison(node, scope)
    case 'in':
      return lowerIn(node, scope)
    case 'call':
      return lowerCall(node, scope)
    case 'rcall':
      return findings.refuse(node, noMethods)
    case '.':
      return lowerFlag(node, scope)
    default:
      return findings.refuse(node, shape)
  }
}

// --- comparisons ---

function lowerComparison(node: Extract<Node, { op: Comparison }>, scope: Scope): Expression | null {
  const [left, right] = node.args
  if (isLiteral(left) === isLiteral(right)) {
    return scope.findings.refuse(node, 'a count or a trait compared with a text, a number, true or false')
  }
  const [subject, against] = isLiteral(left) ? [right, left] : [left, right]
  const comparison = isLiteral(left) ? mirrored[node.op] : node.op
  if (subject.op === 'call' && subject.args[0] === 'count') return lowerCount(subject, comparison, against, scope)
  if (subject.op === 'call' && (subject.args[0] === 'absent' || subject.args[0] === 'has')) {
    return scope.findings.refuse(node, `${subject.args[0]}(...) alone: it is true or false already`)
  }
  const trait = traitOf(subject, scope)
  if (!trait) return null
  const value = comparableLiteral(against, trait, scope)
  if (value === null) return null
  if (trait.type === 'list' && comparison !== '==') {
    return scope.findings.refuse(node, `'x' in profile.${trait.id}, or !('x' in profile.${trait.id}): it is a list`)
  }
  if (typeof value === 'boolean' && comparison !== '==' && comparison !== '!=') {
    return scope.findings.refuse(node, 'true and false compared with == or !=')
  }
  return { op: 'trait', trait: trait.id, comparison, value }
}

/** `profile.tier in ['gold', 'vip']`, or `'shoes' in profile.categories` for a list. */
function lowerIn(node: Extract<Node, { op: 'in' }>, scope: Scope): Expression | null {
  const [left, right] = node.args
  if (isLiteral(left)) {
    const trait = traitOf(right, scope)
    if (!trait) return null
    if (trait.type !== null && trait.type !== 'list') {
      return scope.findings.refuse(node, `profile.${trait.id} == ${describeType(trait.type)}: it is no list`)
    }
    const value = comparableLiteral(left, trait, scope)
    return value === null ? null : { op: 'trait', trait: trait.id, comparison: '==', value }
  }
  if (right.op !== 'list' || right.args.length === 0)
    return scope.findings.refuse(right, "a list such as ['gold', 'vip']")
  const trait = traitOf(left, scope)
  if (!trait) return null
  const values = right.args.map((each) => comparableLiteral(each, trait, scope))
  return values.every((value) => value !== null) ? { op: 'trait_in', trait: trait.id, values } : null
}

/** A trait alone stands for `trait == true`. */
function lowerFlag(node: Node, scope: Scope): Expression | null {
  const trait = traitOf(node, scope)
  if (!trait) return null
  if (trait.type !== null && trait.type !== 'boolean') {
    return scope.findings.refuse(
      node,
      `a comparison, as in profile.${trait.id} == ${describeType(trait.type)}, or has(profile.${trait.id})`,
    )
  }
  return { op: 'trait', trait: trait.id, comparison: '==', value: true }
}

type Trait = { readonly id: string; readonly type: TraitType | null }

function traitOf(node: Node, { traits, findings }: Scope): Trait | null {
  const names = dottedNames(node)
  if (names?.[0] !== 'profile') return findings.refuse(node, "count('event') or profile.<trait>")
  const [, id, ...rest] = names
  if (id === undefined || rest.length > 0) return findings.refuse(node, 'profile.<trait>')
  const type = traits.get(id)
  if (type === undefined)
    return findings.add(placeOfName(node, names, 1), quote(id), `a trait of the workspace${hint(id, traits.keys())}`)
  return { id, type }
}

/** The literal in the type of the trait: instants as milliseconds since 1970. */
function comparableLiteral(node: Node, trait: Trait, { findings }: Scope): Literal | null {
  const literal = literalOf(node, findings)
  if (literal === null || trait.type === null) return literal
  switch (trait.type) {
    case 'timestamp': {
      const ms = typeof literal === 'string' ? instantMsOf(literal) : null
      return ms ?? findings.refuse(node, `${instantExpected}, for profile.${trait.id} is an instant`)
    }
    case 'boolean':
    case 'string':
      if (typeof literal === trait.type) return literal
      break
    case 'number':
    case 'decimal':
      if (typeof literal === 'number') return literal
      break
    case 'list':
      if (typeof literal === 'string') return literal
  }
  return findings.refuse(
    node,
    `${describeType(trait.type)}, for profile.${trait.id} is ${trait.type === 'list' ? 'a list of texts' : `a ${trait.type}`}`,
  )
}

function describeType(type: TraitType): string {
  switch (type) {
    case 'string':
    case 'list':
      return "a text such as 'x'"
    case 'number':
    case 'decimal':
      return 'a number'
    case 'boolean':
      return 'true or false'
    case 'timestamp':
      return "'2026-01-31'"
  }
}

// --- count, absent, has ---

function lowerCall(node: Call, scope: Scope): Expression | null {
  const [name] = node.args
  if (name === 'absent') return lowerAbsent(node, scope)
  if (name === 'has') return lowerHas(node, scope)
  if (name === 'count')
    return scope.findings.refuse(node, `a comparison, as in ${node.input.slice(node.start, node.end)} >= 1`)
  if (name === 'after')
    return scope.findings.refuse(
      node,
      "after(...) inside absent(...), as in absent('purchase', '7d', after('sign_up'))",
    )
  const known = hint(name, ['count', 'absent', 'has'])
  return scope.findings.add(node, quote(name), `count(...), absent(...) or has(...)${known}`)
}

/** count(event [, window] [, condition]) against a whole number. */
function lowerCount(node: Call, comparison: Comparison, against: Node, scope: Scope): Expression | null {
  const args = readArguments(node, "count('event'), count('event', '30m') or count('event', '30m', <condition>)", scope)
  if (args?.after) return scope.findings.refuse(args.after, 'after(...) only inside absent(...)')
  const match = args && matchOf(args, scope)
  const windowMs = args?.window ? windowOf(args.window, scope) : null
  const counted = comparisonOfCount(comparison, against, args?.window != null, scope)
  if (!match || !counted || (args.window && windowMs === null)) return null
  return { op: 'count', match, windowMs, ...counted }
}

/** A count of none is said with 1, so that every threshold is at least 1: == 0 is < 1. */
function comparisonOfCount(
  comparison: Comparison,
  against: Node,
  windowed: boolean,
  { findings }: Scope,
): { readonly comparison: Comparison; readonly threshold: number } | null {
  const max = windowed ? thresholdMax : lifetimeThresholdMax
  const threshold = literalOf(against, findings)
  if (threshold === null) return null
  if (typeof threshold !== 'number' || !Number.isInteger(threshold) || threshold < 0 || threshold > max) {
    return findings.refuse(against, `a whole number from 1 to ${max}${windowed ? ' for a count in a window' : ''}`)
  }
  if (threshold > 0) return { comparison, threshold }
  switch (comparison) {
    case '==':
    case '<=':
      return { comparison: '<', threshold: 1 }
    case '!=':
    case '>':
      return { comparison: '>=', threshold: 1 }
    case '>=':
    case '<':
      return findings.refuse(
        against,
        `a whole number from 1: ${comparison} 0 is ${comparison === '>=' ? 'always' : 'never'} true`,
      )
  }
}

/** absent(event, window [, condition] [, after(event [, condition])]). */
function lowerAbsent(node: Call, scope: Scope): Expression | null {
  const usage = "absent('event', '7d'), with a condition or after('event') behind"
  const args = readArguments(node, usage, scope)
  if (!args) return null
  if (!args.window) return scope.findings.refuse(node, usage)
  const match = matchOf(args, scope)
  const windowMs = windowOf(args.window, scope)
  const after = args.after ? lowerAfter(args.after, scope) : null
  if (!match || windowMs === null || (args.after && !after)) return null
  return { op: 'absent', match, windowMs, after }
}

function lowerAfter(node: Call, scope: Scope): EventMatch | null {
  const usage = "after('event') or after('event', <condition>)"
  const args = readArguments(node, usage, scope)
  if (!args) return null
  if (args.window ?? args.after) return scope.findings.refuse(node, usage)
  return matchOf(args, scope)
}

function lowerHas(node: Call, scope: Scope): Expression | null {
  const [subject, ...rest] = node.args[1]
  if (!subject || rest.length > 0) return scope.findings.refuse(node, 'one trait, as in has(profile.email)')
  const trait = traitOf(subject, scope)
  return trait && { op: 'has', trait: trait.id }
}

type Arguments = {
  readonly event: Node
  readonly window: Node | null
  readonly condition: Node | null
  readonly after: Call | null
}

/** Sorts out arguments in their order: event, window, condition, after. */
function readArguments(node: Call, usage: string, { findings }: Scope): Arguments | null {
  const [event, ...rest] = node.args[1]
  if (!event) return findings.refuse(node, usage)
  const window = rest[0] && isLiteral(rest[0]) ? rest.shift()! : null
  const condition = rest[0] && !isAfter(rest[0]) ? rest.shift()! : null
  const last = rest.shift()
  const after = last && isAfter(last) ? last : null
  if (rest.length > 0 || (last && !after)) return findings.refuse(node, usage)
  return { event, window, condition, after }
}

function isAfter(node: Node): node is Call {
  return node.op === 'call' && node.args[0] === 'after'
}

function matchOf({ event, condition }: Arguments, { catalogue, findings }: Scope): EventMatch | null {
  const name = event.op === 'value' ? event.args : null
  if (typeof name !== 'string') return findings.refuse(event, "the name of an event in quotes, or '*' for every event")
  const astray = catalogue.astrayEvent(name)
  if (astray !== null) findings.add(event, quote(name), astray)
  const scope: ConditionScope = { event: astray === null ? name : anyEvent, catalogue, findings }
  const where = condition && lowerCondition(condition, scope)
  if (astray !== null || (condition && !where)) return null
  return { event: name === anyEvent ? null : name, where }
}

function windowOf(node: Node, { findings }: Scope): number | null {
  const text = node.op === 'value' ? node.args : null
  const windowMs = typeof text === 'string' ? windowMsOf(text) : null
  return windowMs ?? findings.refuse(node, windowExpected)
}
