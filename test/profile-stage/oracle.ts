/** Segments said over in the plainest way: at an instant, over the list of all events. And expressions of chance. */
import fc from 'fast-check'
import type { Comparison, EventMatch, Expression, TraitDefinition } from '../../schemas/definitions.ts'
import { type EventParts, onEvent, traitOf } from './shop.ts'

const names = ['a', 'b', 'c']
const amount = [{ in: 'event' as const, path: ['amount'] }]

/** Traits that the expressions may name. */
export const oracleTraits: readonly TraitDefinition[] = [
  traitOf('last', 'number', { kind: 'field', policy: 'recency', match: onEvent('a'), value: amount, trust: 1 }),
  traitOf('least', 'decimal', { kind: 'field', policy: 'min', match: onEvent('b'), value: amount, trust: 1 }),
  traitOf('spent', 'decimal', { kind: 'sum', match: onEvent(null), value: amount }),
  traitOf('amounts', 'list', { kind: 'union', match: onEvent('c'), value: amount, max: 100 }),
  traitOf('often', 'number', { kind: 'count', match: onEvent('a'), windowMs: 7 }),
  traitOf('ever', 'number', { kind: 'count', match: onEvent('b'), windowMs: null }),
]

const instant = fc.nat(30)

export const oracleEvents: fc.Arbitrary<readonly EventParts[]> = fc
  .array(
    fc.record({
      name: fc.constantFrom(...names),
      atMs: instant,
      fragment: fc.constantFrom('user_id:x', 'cookie:y/1', 'cookie:y/2'),
      amount: fc.nat(4),
    }),
    { maxLength: 8 },
  )
  .map((events) =>
    events.map(({ amount, ...event }, i) => ({ ...event, id: `e${i}`, data: { amount }, collectorMs: 1_000 })),
  )

const match = fc.constantFrom<EventMatch>(...[...names, null].map(onEvent))
const comparison = fc.constantFrom<Comparison>('==', '!=', '<', '<=', '>', '>=')
const windowMs = fc.integer({ min: 1, max: 12 })
const threshold = fc.constantFrom(-1, 0, 0.5, 1, 2, 2.5, 3)

const leaf = fc.oneof(
  fc.record({
    op: fc.constant('count' as const),
    match,
    windowMs: fc.option(windowMs, { freq: 4 }),
    comparison,
    threshold,
  }),
  fc.record({ op: fc.constant('absent' as const), match, windowMs, after: fc.option(match) }),
  fc.record({
    op: fc.constant('trait' as const),
    trait: fc.constantFrom('last', 'least', 'spent', 'often', 'ever'),
    comparison,
    value: threshold,
  }),
  fc.record({
    op: fc.constant('trait_in' as const),
    trait: fc.constantFrom('last', 'often', 'ever'),
    values: fc.array(threshold, { maxLength: 3 }),
  }),
  fc.record({
    op: fc.constant('trait' as const),
    trait: fc.constant('amounts'),
    comparison,
    value: fc.constantFrom('1', '2'),
  }),
  fc.record({ op: fc.constant('has' as const), trait: fc.constantFrom(...oracleTraits.map(({ id }) => id)) }),
)

export const oracleExpressions: fc.Arbitrary<Expression> = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.record({
      op: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('expression'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ op: fc.constant('not' as const), of: tie('expression') }),
  ),
})).expression

/** Whether the rule holds at the instant for a profile that had these events. */
export function holdsAt(expression: Expression, events: readonly EventParts[], nowMs: number): boolean {
  switch (expression.op) {
    case 'and':
      return expression.of.every((each) => holdsAt(each, events, nowMs))
    case 'or':
      return expression.of.some((each) => holdsAt(each, events, nowMs))
    case 'not':
      return !holdsAt(expression.of, events, nowMs)
    case 'count':
      return compare(
        countAt(events, expression.match, expression.windowMs, nowMs),
        expression.comparison,
        expression.threshold,
      )
    case 'absent':
      return absentAt(expression, events, nowMs)
    case 'trait':
      return valuesAt(expression.trait, events, nowMs).some((value) =>
        compare(value, expression.comparison, expression.value),
      )
    case 'trait_in':
      return valuesAt(expression.trait, events, nowMs).some((value) => expression.values.some((each) => value === each))
    case 'has':
      return valuesAt(expression.trait, events, nowMs).length > 0
  }
}

function of(events: readonly EventParts[], { event }: EventMatch): readonly EventParts[] {
  return events.filter(({ name }) => event === null || name === event)
}

function countAt(events: readonly EventParts[], match: EventMatch, windowMs: number | null, nowMs: number): number {
  return of(events, match).filter(({ atMs }) => windowMs === null || atMs > nowMs - windowMs).length
}

function absentAt(
  { match, windowMs, after }: Extract<Expression, { op: 'absent' }>,
  events: readonly EventParts[],
  nowMs: number,
): boolean {
  const anchors = after ? of(events, after) : events
  if (anchors.length === 0) return false
  const times = anchors.map(({ atMs }) => atMs)
  const anchorMs = after ? Math.max(...times) : Math.min(...times)
  const matches = of(events, match).filter(({ atMs }) => atMs >= anchorMs)
  return nowMs >= Math.max(anchorMs, ...matches.map(({ atMs }) => atMs)) + windowMs
}

/** All values of a trait; none when it is not set. */
function valuesAt(trait: string, events: readonly EventParts[], nowMs: number): readonly (number | string)[] {
  const amounts = (list: readonly EventParts[]) => list.map(({ data }) => (data as { amount: number }).amount)
  switch (trait) {
    case 'last': {
      const [newest] = of(events, onEvent('a')).toSorted((x, y) => y.atMs - x.atMs || (x.id! > y.id! ? -1 : 1))
      return newest ? amounts([newest]) : []
    }
    case 'least':
      return amounts(of(events, onEvent('b')))
        .toSorted()
        .slice(0, 1)
    case 'spent':
      return [amounts(events).reduce((sum, each) => sum + each, 0)]
    case 'amounts':
      return amounts(of(events, onEvent('c'))).map(String)
    case 'often':
      return [countAt(events, onEvent('a'), 7, nowMs)]
    default:
      return [countAt(events, onEvent('b'), null, nowMs)]
  }
}

function compare(a: number | string | boolean, comparison: Comparison, b: number | string | boolean): boolean {
  switch (comparison) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
  }
}
