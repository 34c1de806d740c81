import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Event } from '../../schemas/avro/types.ts'
import type { EventCondition, EventMatch, Literal, ValuePath } from '../../schemas/definitions.ts'
import { compileCondition, compileMatch } from './condition.ts'
import { EventReader } from './event.ts'
import { eventOf } from './testing.ts'

const category: ValuePath = { in: 'entity', entity: 'product', path: ['category'] }
const price: ValuePath = { in: 'entity', entity: 'product', path: ['price'] }
const term: ValuePath = { in: 'event', path: ['term'] }

const shoes: EventCondition = { op: 'compare', path: category, comparison: '==', value: 'shoes' }
const notShoes: EventCondition = { op: 'compare', path: category, comparison: '!=', value: 'shoes' }

const holds = (condition: EventCondition, event: Event) => compileCondition(condition)(new EventReader(event))

test('a match wants the name, and the condition where there is one', () => {
  const view = eventOf({ event_name: 'product_view', entities: [['product', { category: 'shoes' }]] })
  const matches = (match: EventMatch) => compileMatch(match)(new EventReader(view))
  expect(matches({ event: 'product_view', where: null })).toBe(true)
  expect(matches({ event: 'product_view', where: shoes })).toBe(true)
  expect(matches({ event: 'product_view', where: notShoes })).toBe(false)
  expect(matches({ event: 'purchase', where: shoes })).toBe(false)
  expect(matches({ event: null, where: null })).toBe(true)
  expect(matches({ event: null, where: shoes })).toBe(true)
})

test('any entity of the name satisfies a comparison, each comparison by its own', () => {
  const event = eventOf({
    entities: [
      ['product', { category: 'hats', price: 90 }],
      ['cart', { category: 'bags' }],
      ['product', { category: 'shoes', price: 10 }],
    ],
  })
  const dear: EventCondition = { op: 'compare', path: price, comparison: '>', value: 50 }
  expect(holds(shoes, event)).toBe(true)
  expect(holds(notShoes, event)).toBe(true)
  expect(holds({ op: 'and', of: [shoes, dear] }, event)).toBe(true)
  expect(holds({ op: 'compare', path: category, comparison: '==', value: 'bags' }, event)).toBe(false)
})

test('what is not there, null or of another type compares false under every operator, and not turns that round', () => {
  for (const data of [{}, { term: null }, { term: 7 }, { term: {} }, { term: [] }, [], 'text', null]) {
    const event = eventOf({ data })
    for (const comparison of ['==', '!=', '<', '<=', '>', '>='] as const) {
      const condition: EventCondition = { op: 'compare', path: term, comparison, value: 'x' }
      expect(holds(condition, event)).toBe(false)
      expect(holds({ op: 'not', of: condition }, event)).toBe(true)
    }
  }
})

test('a decimal column compares with a number by size, and with text as text', () => {
  const event = eventOf({ se_value: '100.50' })
  const path: ValuePath = { in: 'column', name: 'se_value' }
  expect(holds({ op: 'compare', path, comparison: '==', value: 100.5 }, event)).toBe(true)
  expect(holds({ op: 'compare', path, comparison: '>', value: 99 }, event)).toBe(true)
  expect(holds({ op: 'in', path, values: [1, 100.5] }, event)).toBe(true)
  expect(holds({ op: 'compare', path, comparison: '==', value: '100.5' }, event)).toBe(false)
})

test('an empty and holds, an empty or does not', () => {
  expect(holds({ op: 'and', of: [] }, eventOf())).toBe(true)
  expect(holds({ op: 'or', of: [] }, eventOf())).toBe(false)
})

const names = fc.constantFrom('category', 'price', '__proto__', 'constructor', 'toString', 'sizes')
const literals = fc.oneof(
  fc.constantFrom<Literal>('a', 'b', '', 'shoes'),
  fc.integer({ min: -2, max: 2 }),
  fc.boolean(),
)
const paths: fc.Arbitrary<ValuePath> = fc.oneof(
  fc.record({
    in: fc.constant('column' as const),
    name: fc.constantFrom('user_id', 'constructor', '__proto__', 'contexts'),
  }),
  fc.record({ in: fc.constant('event' as const), path: fc.array(names, { maxLength: 3 }) }),
  fc.record({
    in: fc.constant('entity' as const),
    entity: fc.constantFrom('product', 'cart'),
    path: fc.array(names, { maxLength: 3 }),
  }),
)
const comparisons = fc.constantFrom(
  '==' as const,
  '!=' as const,
  '<' as const,
  '<=' as const,
  '>' as const,
  '>=' as const,
)
const { condition: conditions } = fc.letrec<{ condition: EventCondition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4 },
    fc.record({ op: fc.constant('compare' as const), path: paths, comparison: comparisons, value: literals }),
    fc.record({ op: fc.constant('in' as const), path: paths, values: fc.array(literals, { maxLength: 3 }) }),
    fc.record({ op: fc.constant('has' as const), path: paths }),
    fc.record({ op: fc.constantFrom('and' as const, 'or' as const), of: fc.array(tie('condition'), { maxLength: 3 }) }),
    fc.record({ op: fc.constant('not' as const), of: tie('condition') }),
  ),
}))
const { data: datas } = fc.letrec((tie) => ({
  data: fc.oneof(
    { maxDepth: 4 },
    literals,
    fc.constant(null),
    fc.array(tie('data'), { maxLength: 3 }),
    fc
      .array(fc.tuple(names, tie('data')), { maxLength: 3 })
      .map((entries) =>
        JSON.parse(`{${entries.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join(',')}}`),
      ),
  ),
}))
const events = fc
  .record({
    user_id: fc.option(fc.constantFrom('a', 'b')),
    data: datas,
    entities: fc.array(fc.tuple(fc.constantFrom('product', 'cart'), datas), { maxLength: 3 }),
  })
  .map(eventOf)

test('compiled conditions agree with a naive reading of the rules', () => {
  fc.assert(
    fc.property(conditions, events, (condition, event) => {
      expect(holds(condition, event)).toBe(naive(condition, event))
    }),
    { numRuns: 3_000 },
  )
})

/** The semantics said over: collect all leaves of a path, then look at each. */
function naive(condition: EventCondition, event: Event): boolean {
  switch (condition.op) {
    case 'and':
      return condition.of.every((each) => naive(each, event))
    case 'or':
      return condition.of.some((each) => naive(each, event))
    case 'not':
      return !naive(condition.of, event)
    case 'has':
      return leaves(condition.path, event).length > 0
    case 'in':
      return leaves(condition.path, event).some((leaf) => condition.values.some((value) => value === leaf))
    case 'compare':
      return leaves(condition.path, event).some((leaf) => {
        if (typeof leaf !== typeof condition.value) return false
        const order = leaf === condition.value ? 0 : (leaf as Literal) < condition.value ? -1 : 1
        return {
          '==': order === 0,
          '!=': order !== 0,
          '<': order < 0,
          '<=': order <= 0,
          '>': order > 0,
          '>=': order >= 0,
        }[condition.comparison]
      })
  }
}

function leaves(path: ValuePath, event: Event): unknown[] {
  if (path.in === 'column') return path.name === 'user_id' && event.user_id !== null ? [event.user_id] : []
  const sources =
    path.in === 'event' ? [event.unstruct_event!] : event.contexts.filter((c) => c.schema.includes(`/${path.entity}/`))
  let at: unknown[] = sources.flatMap((source) => flat(JSON.parse(source.data)))
  for (const name of path.path) {
    at = at.flatMap((value) =>
      Object.entries(Object(typeof value === 'object' ? value : {}))
        .filter(([key]) => key === name)
        .flatMap(([, found]) => flat(found)),
    )
  }
  return at
}

function flat(value: unknown): unknown[] {
  if (value === null) return []
  return Array.isArray(value) ? value.flatMap(flat) : [value]
}
