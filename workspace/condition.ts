/** Conditions on one event: `product.category == 'shoes' && event.total > 20`. */
import type { Comparison, EventCondition, Literal, ValuePath } from '../schemas/definitions.ts'
import { anyEvent, type Catalogue, type Place } from './catalogue.ts'
import {
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
} from './syntax.ts'

/** Lowers the text of a condition on events of a name (`*`: of any). */
export function readCondition(text: string, event: string, catalogue: Catalogue): Reading<EventCondition> {
  return readText(text, (tree, findings) => lowerCondition(tree, { event, catalogue, findings }))
}

/** Lowers a path as YAML has it, such as `user_id` or `product.category`; an entity or an object alone is no value. */
export function readPath(text: string, event: string, catalogue: Catalogue): Reading<ValuePath> {
  const whole = { start: 0, end: text.length }
  const refused = (found: string, expected: string): Reading<ValuePath> => ({
    value: null,
    problems: [{ ...whole, found, expected }],
  })
  const parts = text.split('.')
  if (parts.some((part) => !/^[\w$-]{1,128}$/.test(part)) || parts.length > pathPartsMax) {
    return refused(`'${text}'`, 'a path such as user_id, event.total or product.category')
  }
  const place = catalogue.resolve(parts, event)
  if ('found' in place) return refused(place.found, place.expected)
  if (place.types && [...place.types].every((type) => type === 'object'))
    return refused(`'${text}'`, 'a path to a value, not to an object')
  return { value: place.path, problems: [] }
}

const pathPartsMax = 12

export type ConditionScope = { readonly event: string; readonly catalogue: Catalogue; readonly findings: Findings }

const shape =
  "a condition such as product.category == 'shoes', event.total >= 20, user_id in ['a', 'b'] or has(event.email)"

export function lowerCondition(node: Node, scope: ConditionScope): EventCondition | null {
  const { findings } = scope
  switch (node.op) {
    case '&&':
    case '||': {
      const of = operandsOf(node, node.op).map((operand) => lowerCondition(operand, scope))
      return of.every((operand) => operand !== null) ? { op: node.op === '&&' ? 'and' : 'or', of } : null
    }
    case '!_': {
      const of = lowerCondition(node.args, scope)
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
      return lowerHas(node, scope)
    case 'rcall':
      return findings.refuse(node, noMethods)
    case '.':
    case 'id':
      return lowerFlag(node, scope)
    default:
      return findings.refuse(node, shape)
  }
}

export const noMethods = 'no methods: they, and regular expressions above all, take time without bound'

type ComparisonNode = Extract<Node, { op: Comparison }>

function lowerComparison(node: ComparisonNode, scope: ConditionScope): EventCondition | null {
  const [left, right] = node.args
  if (isLiteral(left) === isLiteral(right))
    return scope.findings.refuse(node, 'a path compared with a text, a number, true or false')
  const [subject, against] = isLiteral(left) ? [right, left] : [left, right]
  const comparison = isLiteral(left) ? mirrored[node.op] : node.op
  const place = placeOf(subject, scope)
  const literal = place && comparableLiteral(against, place, scope)
  if (place === null || literal === null) return null
  if (typeof literal === 'boolean' && comparison !== '==' && comparison !== '!=') {
    return scope.findings.refuse(node, 'true and false compared with == or !=')
  }
  return { op: 'compare', path: place.path, comparison, value: literal }
}

/** `path in ['a', 'b']`, or `'a' in path` where the path leads to a list. */
function lowerIn(node: Extract<Node, { op: 'in' }>, scope: ConditionScope): EventCondition | null {
  const [left, right] = node.args
  if (isLiteral(left)) {
    const place = placeOf(right, scope)
    const value = place && comparableLiteral(left, place, scope)
    return place && value !== null ? { op: 'compare', path: place.path, comparison: '==', value } : null
  }
  if (right.op !== 'list' || right.args.length === 0) return scope.findings.refuse(right, "a list such as ['a', 'b']")
  const place = placeOf(left, scope)
  if (!place) return null
  const values = right.args.map((each) => comparableLiteral(each, place, scope))
  return values.every((value) => value !== null) ? { op: 'in', path: place.path, values } : null
}

function lowerHas(node: Extract<Node, { op: 'call' }>, scope: ConditionScope): EventCondition | null {
  const [name, args] = node.args
  if (name !== 'has') return scope.findings.refuse(node, shape)
  const [subject, ...rest] = args
  if (!subject || rest.length > 0) return scope.findings.refuse(node, 'one path, as in has(event.email)')
  const place = placeOf(subject, scope)
  return place && { op: 'has', path: place.path }
}

/** A path alone stands for `path == true`. */
function lowerFlag(node: Node, scope: ConditionScope): EventCondition | null {
  const place = placeOf(node, scope)
  if (!place) return null
  if (!place.types?.has('boolean')) return scope.findings.refuse(node, 'a comparison; only true and false stand alone')
  return { op: 'compare', path: place.path, comparison: '==', value: true }
}

function placeOf(node: Node, { event, catalogue, findings }: ConditionScope): Place | null {
  const names = dottedNames(node)
  if (!names) return findings.refuse(node, 'a path such as event.total, product.category or user_id')
  if (names[0] === 'profile') {
    return findings.refuse(
      node,
      `a path into the event${event === anyEvent ? '' : ` '${event}'`}; traits stand outside its condition`,
    )
  }
  const place = catalogue.resolve(names, event)
  if (!('found' in place)) return place
  const at = place.part === 0 ? node : placeOfName(node, names, place.part)
  return findings.add(at, place.found, place.expected)
}

/** The literal, in the type of the place: an instant where the place holds one. */
function comparableLiteral(node: Node, place: Place, { findings }: ConditionScope): Literal | null {
  const literal = literalOf(node, findings)
  if (literal === null || !place.types) return literal
  if (place.types.has('timestamp')) {
    const ms = typeof literal === 'string' ? instantMsOf(literal) : typeof literal === 'number' ? literal : null
    return ms ?? findings.refuse(node, instantExpected)
  }
  const type = typeof literal as 'string' | 'number' | 'boolean'
  if (place.types.has(type)) return literal
  return findings.refuse(node, expectedOf(place.types))
}

function expectedOf(types: ReadonlySet<string>): string {
  const names: string[] = []
  if (types.has('string')) names.push('a text')
  if (types.has('number')) names.push('a number')
  if (types.has('boolean')) names.push('true or false')
  return names.length === 0
    ? 'nothing to compare: the path leads to an object'
    : `${names.join(' or ')}, as the schema has it`
}
