import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EventMatch, Expression, TraitType } from '../schemas/definitions.ts'
import { Catalogue } from './catalogue.ts'
import { readExpression } from './expression.ts'

const field = (type: string | readonly string[]) => ({ type })
const object = (properties: object) => ({ type: 'object', properties, additionalProperties: false })
const catalogue = new Catalogue(
  new Map<string, { [name: string]: unknown }>([
    ['iglu:com.example/product_view/jsonschema/1-0-0', object({ list: field('string') })],
    ['iglu:com.example/add_to_cart/jsonschema/1-0-0', object({})],
    ['iglu:com.example/sign_up/jsonschema/1-0-0', object({ method: field('string') })],
    [
      'iglu:com.example/purchase/jsonschema/1-0-0',
      object({
        total: field('number'),
        gift: field(['boolean', 'null']),
        codes: { type: 'array', items: field('string') },
      }),
    ],
    [
      'iglu:com.example/product/jsonschema/1-0-0',
      object({ category: field('string'), price: field('number'), maker: object({ name: field('string') }) }),
    ],
    ['iglu:com.example/loose/jsonschema/1-0-0', { type: 'object', properties: { a: field('string') } }],
  ]),
)
const traits = new Map<string, TraitType | null>([
  ['country', 'string'],
  ['tier', 'string'],
  ['email', 'string'],
  ['lifetime_value', 'decimal'],
  ['orders', 'number'],
  ['newsletter', 'boolean'],
  ['signed_up_at', 'timestamp'],
  ['categories', 'list'],
  ['broken', null],
])
const scope = { traits, catalogue }

const of = (event: string | null, where: EventMatch['where'] = null): EventMatch => ({ event, where })
const count = (
  match: EventMatch,
  windowMs: number | null,
  comparison: '<' | '>=' | '==' | '<=' | '>' | '!=',
  threshold: number,
): Expression => ({
  op: 'count',
  match,
  windowMs,
  comparison,
  threshold,
})
const category = { in: 'entity', entity: 'product', path: ['category'] } as const

const lowered: readonly (readonly [text: string, expression: Expression])[] = [
  ["count('purchase') >= 2", count(of('purchase'), null, '>=', 2)],
  ["2 <= count('purchase')", count(of('purchase'), null, '>=', 2)],
  ["3 > count('purchase', '4w')", count(of('purchase'), 28 * 86_400_000, '<', 3)],
  ["count('add_to_cart', '30m') >= 3", count(of('add_to_cart'), 1_800_000, '>=', 3)],
  ["count('add_to_cart', '1h') == 0", count(of('add_to_cart'), 3_600_000, '<', 1)],
  ["count('add_to_cart', '1h') <= 0", count(of('add_to_cart'), 3_600_000, '<', 1)],
  ["count('add_to_cart') != 0", count(of('add_to_cart'), null, '>=', 1)],
  ["0 < count('add_to_cart')", count(of('add_to_cart'), null, '>=', 1)],
  ["count('*', '5m') >= 1", count(of(null), 300_000, '>=', 1)],
  ["count('page_view', '5m') >= 1", count(of('page_view'), 300_000, '>=', 1)],
  [
    "count('product_view', '300s', product.category == 'shoes') >= 1",
    count(of('product_view', { op: 'compare', path: category, comparison: '==', value: 'shoes' }), 300_000, '>=', 1),
  ],
  [
    "count('purchase', 20 < event.total && !(product.category in ['shoes', 'hats'])) == 1",
    count(
      of('purchase', {
        op: 'and',
        of: [
          { op: 'compare', path: { in: 'event', path: ['total'] }, comparison: '>', value: 20 },
          { op: 'not', of: { op: 'in', path: category, values: ['shoes', 'hats'] } },
        ],
      }),
      null,
      '==',
      1,
    ),
  ],
  [
    "count('purchase', event.gift || has(user_id) || 'X' in event.codes || column.app_id == 'web') > 1",
    count(
      of('purchase', {
        op: 'or',
        of: [
          { op: 'compare', path: { in: 'event', path: ['gift'] }, comparison: '==', value: true },
          { op: 'has', path: { in: 'column', name: 'user_id' } },
          { op: 'compare', path: { in: 'event', path: ['codes'] }, comparison: '==', value: 'X' },
          { op: 'compare', path: { in: 'column', name: 'app_id' }, comparison: '==', value: 'web' },
        ],
      }),
      null,
      '>',
      1,
    ),
  ],
  [
    "count('purchase', '1d', has(product) && product.maker.name != 'Acme' && derived_tstamp >= '2026-01-01') >= 1",
    count(
      of('purchase', {
        op: 'and',
        of: [
          { op: 'has', path: { in: 'entity', entity: 'product', path: [] } },
          {
            op: 'compare',
            path: { in: 'entity', entity: 'product', path: ['maker', 'name'] },
            comparison: '!=',
            value: 'Acme',
          },
          {
            op: 'compare',
            path: { in: 'column', name: 'derived_tstamp' },
            comparison: '>=',
            value: Date.UTC(2026, 0, 1),
          },
        ],
      }),
      86_400_000,
      '>=',
      1,
    ),
  ],
  ["absent('purchase', '7d')", { op: 'absent', match: of('purchase'), windowMs: 604_800_000, after: null }],
  [
    "absent('purchase', '7d', after('sign_up'))",
    { op: 'absent', match: of('purchase'), windowMs: 604_800_000, after: of('sign_up') },
  ],
  [
    "absent('purchase', '7d', event.total > 5, after('sign_up', event.method == 'email'))",
    {
      op: 'absent',
      match: of('purchase', { op: 'compare', path: { in: 'event', path: ['total'] }, comparison: '>', value: 5 }),
      windowMs: 604_800_000,
      after: of('sign_up', {
        op: 'compare',
        path: { in: 'event', path: ['method'] },
        comparison: '==',
        value: 'email',
      }),
    },
  ],
  ["profile.country == 'DE'", { op: 'trait', trait: 'country', comparison: '==', value: 'DE' }],
  ["'DE' != profile.country", { op: 'trait', trait: 'country', comparison: '!=', value: 'DE' }],
  ['-1.5 < profile.lifetime_value', { op: 'trait', trait: 'lifetime_value', comparison: '>', value: -1.5 }],
  ['profile.newsletter', { op: 'trait', trait: 'newsletter', comparison: '==', value: true }],
  ['profile.newsletter == false', { op: 'trait', trait: 'newsletter', comparison: '==', value: false }],
  ["profile.tier in ['gold', 'vip']", { op: 'trait_in', trait: 'tier', values: ['gold', 'vip'] }],
  ["'shoes' in profile.categories", { op: 'trait', trait: 'categories', comparison: '==', value: 'shoes' }],
  ["profile.categories in ['a', 'b']", { op: 'trait_in', trait: 'categories', values: ['a', 'b'] }],
  [
    "profile.signed_up_at >= '2026-01-31'",
    { op: 'trait', trait: 'signed_up_at', comparison: '>=', value: Date.UTC(2026, 0, 31) },
  ],
  [
    "profile.signed_up_at < '2026-01-31T01:00:00+01:00'",
    { op: 'trait', trait: 'signed_up_at', comparison: '<', value: Date.UTC(2026, 0, 31) },
  ],
  ['has(profile.email)', { op: 'has', trait: 'email' }],
  ["profile.broken == 'x'", { op: 'trait', trait: 'broken', comparison: '==', value: 'x' }],
  [
    'has(profile.email) && (profile.orders == 1 && !profile.newsletter) || profile.orders > 9 // regulars',
    {
      op: 'or',
      of: [
        {
          op: 'and',
          of: [
            { op: 'has', trait: 'email' },
            { op: 'trait', trait: 'orders', comparison: '==', value: 1 },
            { op: 'not', of: { op: 'trait', trait: 'newsletter', comparison: '==', value: true } },
          ],
        },
        { op: 'trait', trait: 'orders', comparison: '>', value: 9 },
      ],
    },
  ],
]

test.each(lowered)('%s', (text, expression) => {
  expect(readExpression(text, scope)).toEqual({ value: expression, problems: [] })
})

const refused: readonly (readonly [text: string, start: number, found: string, expected: RegExp])[] = [
  ['', 0, 'an empty text', /^a condition$/],
  ["count('purchase'", 16, 'the end of the text', /^'\)'$/],
  ['profile.orders = 1', 15, "'='", /^==$/],
  ['profile.orders > 1 and profile.newsletter', 19, "'and'", /^&&$/],
  ['profile.orders > 1 or profile.newsletter', 19, "'or'", /^\|\|$/],
  ['profile.orders > ', 17, 'the end of the text', /^a condition, an operator/],
  ["count('purchase')", 0, '"count(\'purchase\')"', /as in count\('purchase'\) >= 1$/],
  ["count('purchse') >= 1", 6, "'purchse'", /did you mean 'purchase'\?/],
  ["count('purchase', '400d') >= 1", 18, "'400d'", /^a window from '1s' to '365d'/],
  ["count('purchase', '0s') >= 1", 18, "'0s'", /^a window/],
  ["count('purchase', '7 days') >= 1", 18, "'7 days'", /^a window/],
  ["count('purchase', '7d') >= 1001", 27, "'1001'", /^a whole number from 1 to 1000 for a count in a window$/],
  ["count('purchase', '7d') >= 1.5", 27, "'1.5'", /^a whole number/],
  ["count('purchase', '7d') >= -1", 27, "'-1'", /^a whole number/],
  ["count('purchase', '7d') >= 0", 27, "'0'", />= 0 is always true$/],
  ["count('purchase') < 0", 20, "'0'", /< 0 is never true$/],
  [
    "count('purchase', '7d', event.totl > 1) >= 1",
    30,
    "'totl'",
    /^a field of the event 'purchase' \(codes, gift, total\) \(did you mean 'total'\?\)$/,
  ],
  ["count('purchase', '7d', event.total > 'x') >= 1", 38, "'x'", /^a number, as the schema has it$/],
  ["count('purchase', '7d', prodct.price > 1) >= 1", 24, "'prodct.price'", /did you mean 'product'\?/],
  ["count('purchase', '7d', product.price.x > 1) >= 1", 38, "'x'", /^a field of the entity 'product'$/],
  ["count('page_view', '7d', event.x == 1) >= 1", 25, "'event.x'", /'page_view' has no fields of its own/],
  ["count('purchase', '7d', column.usr_id == 'x') >= 1", 24, "'column.usr_id'", /did you mean 'user_id'\?/],
  [
    "count('purchase', '7d', profile.country == 'DE') >= 1",
    24,
    "'profile.country'",
    /traits stand outside its condition$/,
  ],
  ["count('purchase', '7d', after('sign_up')) >= 1", 24, '"after(\'sign_up\')"', /only inside absent/],
  [
    "count('purchase', '7d', true, true, true) >= 1",
    0,
    "\"count('purchase', '7d', true, true, true)\"",
    /^count\('event'\)/,
  ],
  ['count(purchase) >= 1', 6, "'purchase'", /^the name of an event in quotes/],
  ['count() >= 1', 0, "'count()'", /^count\('event'\)/],
  ["absent('purchase')", 0, '"absent(\'purchase\')"', /^absent\('event', '7d'\)/],
  ["absent('purchase', '7d') == true", 0, "\"absent('purchase', '7d') == true\"", /^absent\(\.\.\.\) alone/],
  ["after('purchase')", 0, '"after(\'purchase\')"', /inside absent/],
  ["absnt('purchase', '7d')", 0, "'absnt'", /did you mean 'absent'\?/],
  ["profile.contry == 'DE'", 8, "'contry'", /^a trait of the workspace \(did you mean 'country'\?\)$/],
  ['profile.country == 3', 19, "'3'", /^a text such as 'x', for profile.country is a string$/],
  ["profile.orders >= '3'", 18, "'3'", /^a number, for profile.orders is a number$/],
  ['profile.newsletter > true', 0, "'profile.newsletter > true'", /== or !=$/],
  ['profile.country', 0, "'profile.country'", /^a comparison, as in profile.country == /],
  ["profile.categories != 'x'", 0, '"profile.categories != \'x\'"', /!\('x' in profile.categories\)/],
  ["'x' in profile.country", 0, '"\'x\' in profile.country"', /it is no list$/],
  ['profile.country in []', 19, "'[]'", /^a list such as/],
  ["profile.country in ['DE', 3]", 26, "'3'", /^a text/],
  ["profile.signed_up_at > '2026-02-30'", 23, "'2026-02-30'", /^a date such as/],
  ['profile.signed_up_at > 5', 23, "'5'", /^a date such as/],
  ['profile.country == null', 19, "'null'", /^a text such as 'x', a number, true or false$/],
  [
    "profile.email.matches('(a+)+$')",
    0,
    '"profile.email.matches(\'(a+)+$\')"',
    /^no methods: they, and regular expressions/,
  ],
  ["count('sign_up', event.method.matches('x')) > 1", 17, '"event.method.matches(\'x\')"', /^no methods/],
  ['profile.country == profile.tier', 0, "'profile.country == profile.tier'", /compared with a text/],
  ['1 == 1', 0, "'1 == 1'", /compared with a text/],
  ['true', 0, "'true'", /^a condition such as/],
  ['profile.orders + 1 > 2', 0, "'profile.orders + 1'", /^count\('event'\) or profile/],
  ['profile.orders > 1 ? true : false', 0, "'profile.orders > 1 ? true : false'", /^a condition such as/],
  ['profile.orders > 9223372036854775807', 17, "'9223372036854775807'", /at most 9007199254740991/],
  ["profile['country'] == 'DE'", 0, '"profile[\'country\']"', /^count\('event'\) or profile/],
  [`${'!('.repeat(40)}profile.newsletter${')'.repeat(40)}`, 48, "'!'", /^a shorter rule/],
]

test.each(refused)('refused: %s', (text, start, found, expected) => {
  const { problems } = readExpression(text, scope)
  expect(problems.map((problem) => [problem.start, problem.found])).toEqual([[start, found]])
  expect(problems[0]!.expected).toMatch(expected)
})

test('all problems of a rule are found at once', () => {
  const { problems } = readExpression(
    "count('purchse', '9y', prodct.x == 1) >= 5000 && profile.nme == 'x' || foo()",
    scope,
  )
  expect(problems.map(({ found }) => found)).toEqual(["'purchse'", "'prodct.x'", "'9y'", "'5000'", "'nme'", "'foo'"])
})

test('what a schema leaves open is not refused', () => {
  expect(readExpression("count('loose', '1d', event.b == 1 && event.b.c == 'x') >= 1", scope).problems).toEqual([])
})

test('no text whatever ends in anything but an expression or problems with their place', () => {
  const pieces = fc.constantFrom(
    'profile',
    '.',
    'tier',
    'count',
    '(',
    ')',
    "'purchase'",
    ',',
    "'7d'",
    '>=',
    '3',
    '&&',
    '!',
    'in',
    '[',
    ']',
    'has',
    ' ',
    '"',
    '\\',
    '\u0000',
    '😀',
    '__proto__',
    'constructor',
    '{',
    '?',
    ':',
    '-',
    '1e9',
    'b"x"',
    'null',
  )
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.array(pieces, { maxLength: 20 }).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const { value, problems } = readExpression(text, scope)
      expect(value === null).toBe(problems.length > 0)
      for (const { start, end } of problems) {
        expect(start).toBeGreaterThanOrEqual(0)
        expect(end).toBeGreaterThanOrEqual(start)
        expect(end).toBeLessThanOrEqual(text.length)
      }
    }),
    { numRuns: 2_000 },
  )
})
