import Big from 'big.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Compat, compile, multiplesOf } from './compile.ts'

function reports(schema: unknown, data: unknown, compat?: Compat) {
  const compiled = compile(typeof schema === 'string' ? schema : JSON.stringify(schema), compat)
  if ('issue' in compiled) throw new Error(compiled.issue)
  return compiled.check(data)
}
const messages = (schema: unknown, data: unknown) => reports(schema, data).map(({ message }) => message)
const accepts = (schema: unknown, data: unknown): boolean => reports(schema, data).length === 0

describe('a report is in Iglu’s words', () => {
  test.each<[string, unknown, unknown, object]>([
    [
      'type',
      { type: 'string' },
      7,
      { message: '$: integer found, string expected', path: '$', keyword: 'type', targets: ['integer', 'string'] },
    ],
    [
      'several types',
      { properties: { a: { type: ['string', 'null'] } } },
      { a: 1.5 },
      {
        message: '$.a: number found, but [string, null] is required',
        path: '$.a',
        keyword: 'unionType',
        targets: ['number', '[string, null]'],
      },
    ],
    [
      'required',
      { properties: { a: { required: ['b'] } } },
      { a: {} },
      { message: '$.a.b: is missing but it is required', path: '$.a', keyword: 'required', targets: ['b'] },
    ],
    [
      'additionalProperties',
      { additionalProperties: false },
      { x: 1 },
      {
        message: '$.x: is not defined in the schema and the schema does not allow additional properties',
        path: '$',
        keyword: 'additionalProperties',
        targets: ['x'],
      },
    ],
    [
      'enum',
      { enum: ['a', 1, null] },
      'b',
      {
        message: '$: does not have a value in the enumeration [a, 1, null]',
        path: '$',
        keyword: 'enum',
        targets: ['[a, 1, null]'],
      },
    ],
    [
      'maxLength',
      { maxLength: 2 },
      'abc',
      { message: '$: may only be 2 characters long', path: '$', keyword: 'maxLength', targets: ['2'] },
    ],
    [
      'minLength',
      { minLength: 2 },
      'a',
      { message: '$: must be at least 2 characters long', path: '$', keyword: 'minLength', targets: ['2'] },
    ],
    [
      'minimum',
      { minimum: 2 },
      1,
      { message: '$: must have a minimum value of 2', path: '$', keyword: 'minimum', targets: ['2'] },
    ],
    [
      'maximum',
      { maximum: 2, exclusiveMaximum: true },
      2,
      { message: '$: must have a maximum value of 2', path: '$', keyword: 'maximum', targets: ['2'] },
    ],
    [
      'minItems',
      { minItems: 2 },
      [1],
      { message: '$: there must be a minimum of 2 items in the array', path: '$', keyword: 'minItems', targets: ['2'] },
    ],
    [
      'uniqueItems',
      { items: { uniqueItems: true } },
      [
        [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
      ],
      { message: '$[0]: the items in the array must be unique', path: '$[0]', keyword: 'uniqueItems', targets: [] },
    ],
    [
      'maxItems',
      { maxItems: 1 },
      [1, 2],
      { message: '$: there must be a maximum of 1 items in the array', keyword: 'maxItems', targets: ['1'] },
    ],
    [
      'minProperties',
      { minProperties: 2 },
      { a: 1 },
      { message: '$: should have a minimum of 2 properties', keyword: 'minProperties', targets: ['2'] },
    ],
    [
      'maxProperties',
      { maxProperties: 1 },
      { a: 1, b: 2 },
      { message: '$: may only have a maximum of 1 properties', keyword: 'maxProperties', targets: ['1'] },
    ],
    [
      'multipleOf',
      { multipleOf: 2 },
      3,
      { message: '$: must be multiple of 2.0', keyword: 'multipleOf', targets: ['2.0'] },
    ],
    [
      'not',
      { not: { type: 'string' } },
      'x',
      {
        message: '$: should not be valid to the schema "not" : {"type":"string"}',
        keyword: 'not',
        targets: ['"not" : {"type":"string"}'],
      },
    ],
    [
      'dependencies',
      { dependencies: { a: ['b'] } },
      { a: 1 },
      { message: '$: has an error with dependencies {a=[b]}', keyword: 'dependencies', targets: ['{a=[b]}'] },
    ],
    [
      'additionalItems',
      { items: [{}], additionalItems: false },
      [1, 2],
      { message: '$[1]: no validator found at this index', path: '$', keyword: 'items', targets: ['1'] },
    ],
    [
      'oneOf, more than once',
      { oneOf: [{ type: 'integer' }, { minimum: 0 }] },
      1,
      {
        message:
          '$: should be valid to one and only one of schema, but more than one are valid: {"type":"integer"}{"minimum":0}',
        keyword: 'oneOf',
        targets: ['{"type":"integer"}{"minimum":0}'],
      },
    ],
    [
      'a format by a pattern',
      { format: 'alpha' },
      '1',
      {
        message: '$: does not match the alpha pattern ^[a-zA-Z]+$',
        keyword: 'format',
        targets: ['alpha', '^[a-zA-Z]+$'],
      },
    ],
    [
      'pattern',
      { pattern: '^a$' },
      'b',
      { message: '$: does not match the regex pattern ^a$', path: '$', keyword: 'pattern', targets: ['^a$'] },
    ],
    [
      'date-time',
      { format: 'date-time' },
      'now',
      { message: '$: now is an invalid date-time', path: '$', keyword: 'dateTime', targets: ['now', 'date-time'] },
    ],
    [
      'uuid',
      { format: 'uuid' },
      'x',
      { message: '$: x is an invalid uuid', path: '$', keyword: 'uuid', targets: ['x', 'uuid'] },
    ],
    [
      'email',
      { format: 'email' },
      'x',
      { message: '$: does not match the x pattern email', path: '$', keyword: 'format', targets: ['x', 'email'] },
    ],
    [
      'a path through lists and names that look like places in them',
      { properties: { '0': { items: { properties: { 'a/b~c': { type: 'null' } } } } } },
      { '0': [{}, { 'a/b~c': 1 }] },
      { message: '$.0[1].a/b~c: integer found, null expected', path: '$.0[1].a/b~c' },
    ],
  ])('%s', (_, schema, data, report) => {
    expect(reports(schema, data)).toMatchObject([report])
  })

  test('the branches of anyOf and oneOf speak for themselves', () => {
    expect(messages({ anyOf: [{ type: 'string' }, { type: 'null' }] }, 1)).toEqual([
      '$: integer found, string expected',
      '$: integer found, null expected',
    ])
    expect(messages({ oneOf: [{ type: 'integer' }, { minimum: 0 }] }, 1)).toHaveLength(1)
  })

  test('there are never more than a hundred', () => {
    expect(reports({ items: { type: 'string' } }, Array(1_000).fill(1))).toHaveLength(100)
  })
})

describe('a verdict', () => {
  test.each<[string, unknown, unknown, boolean]>([
    ['of a decimal step, in decimals', { multipleOf: 0.01 }, 0.07, true],
    ['of a decimal step, in decimals', { multipleOf: 0.01 }, 0.075, false],
    ['of a pattern with Java’s flag', { pattern: '(?i)^abc$' }, 'ABC', true],
    ['of a pattern that is none in Unicode mode', { pattern: '^\\w\\-\\w$' }, 'a-b', true],
    ['of a pattern over characters outside of the first plane', { pattern: '^.$' }, '😀', true],
    [
      'of a reference out of the document',
      { properties: { a: { $ref: 'http://example.com/x.json' } } },
      { a: 1 },
      true,
    ],
    ['of a reference to nowhere', { properties: { a: { $ref: '#/definitions/none' } } }, { a: 1 }, true],
    [
      'of a reference within it',
      { definitions: { s: { type: 'string' } }, properties: { a: { $ref: '#/definitions/s' } } },
      { a: 1 },
      false,
    ],
    ['of a recursive schema', { properties: { a: { $ref: '#' }, b: { type: 'null' } } }, { a: { a: { b: 1 } } }, false],
    ['of a property named $ref', { properties: { $ref: { type: 'integer' } } }, { $ref: 'x' }, false],
    ['of a property every object inherits', { required: ['toString'] }, {}, false],
    ['of a format nobody knows', { format: 'strict-uri' }, 'x', true],
    ['of a schema that says which draft it is', { $schema: 'http://example.com/whatever#', type: 'string' }, 1, false],
    ['of a leap day', { format: 'date-time' }, '2024-02-29T00:00:00Z', true],
    ['of no leap day', { format: 'date-time' }, '2023-02-29T00:00:00Z', false],
    ['of an offset without colon', { format: 'date-time' }, '2024-02-29T00:00:00+0200', false],
    ['of no offset', { format: 'date-time' }, '2024-02-29T00:00:00', false],
    ['of a negative zero offset', { format: 'date-time' }, '2024-02-29T00:00:00-00:00', false],
    ['of nine digits', { format: 'date-time' }, '2024-02-29T00:00:00.123456789Z', true],
    ['of ten', { format: 'date-time' }, '2024-02-29T00:00:00.1234567890Z', false],
    ['of a URN', { format: 'uuid' }, 'urn:uuid:6f1e0a52-6b3c-4a8e-9f6a-0d5a0c6f7a11', false],
    ['of an address', { format: 'ipv4' }, '1.2.3.256', false],
  ])('%s', (_, schema, data, expected) => {
    expect(accepts(schema, data)).toBe(expected)
  })

  test.each<[string, unknown, unknown, { iglu: boolean; standard: boolean }]>([
    ['of an address of nobody’s domain', { format: 'email' }, 'a@shop.example', { iglu: false, standard: true }],
    ['of a URI with nothing in it', { format: 'uri' }, 'http:', { iglu: true, standard: false }],
    ['of an instant with a blank', { format: 'date-time' }, '2024-02-29 00:00:00.Z', { iglu: true, standard: false }],
    ['of an object’s values', { uniqueItems: true }, { a: 1, b: 1 }, { iglu: false, standard: true }],
    ['of a colour', { format: 'color' }, 'purplish', { iglu: false, standard: true }],
    ['of a pattern for a pattern', { format: 'regex' }, '(', { iglu: true, standard: false }],
  ])('%s is Iglu’s, or the standard’s', (_, schema, data, verdict) => {
    expect(accepts(schema, data)).toBe(verdict.iglu)
    expect(reports(schema, data, 'standard').length === 0).toBe(verdict.standard)
  })

  test('of each pattern is its own, though they differ in flags alone', () => {
    expect(accepts({ allOf: [{ pattern: '(?i)^a' }, { pattern: '^A' }] }, 'ab')).toBe(false)
    expect(accepts({ patternProperties: { '^a': { type: 'null' } } }, { ab: 1 })).toBe(false)
  })
})

test.each([
  '{',
  '[]',
  '"x"',
  '{"pattern":"("}',
  '{"pattern":"(a)\\\\1"}',
  '{"minimum":"1"}',
  '{"patternProperties":[]}',
])('%s is no schema: it says so and does not throw', (text) => {
  expect(compile(text)).toEqual({ issue: expect.any(String) })
})

describe('a schema', () => {
  test('may call itself whatever it likes, draft 4 itself included', () => {
    const id = 'http://json-schema.org/draft-04/schema#'
    expect(accepts({ id, type: 'string' }, 'text')).toBe(true)
    expect(accepts({ id, type: 'integer' }, 'text')).toBe(false)
  })

  test.each([
    { required: [] },
    { required: true },
    { minimum: 0, exclusiveMinimum: 5 },
    { minLength: 'x' },
    { properties: 'x' },
    { items: 7 },
    { allOf: [] },
    { dependencies: { a: 'b' } },
    { $ref: 7 },
    { const: 5 },
    { type: 'any' },
  ])('%j says nothing that Iglu heeds', (schema) => {
    for (const data of [{ a: 1 }, 'text', 1, [1], null]) expect(accepts(schema, data)).toBe(true)
  })

  test('of a type that is none is satisfied by nothing', () => {
    expect(messages({ type: 'strin' }, 'x')).toEqual(['$: string found, unknown expected'])
  })

  test('that refers to itself without end breaks down; one that does so by many ways, too', () => {
    expect(() => reports({ $ref: '#' }, 1)).toThrow()
    const ways = { allOf: [{ $ref: '#/definitions/a' }, { $ref: '#/definitions/a' }] }
    const definitions = Object.fromEntries(
      Array.from({ length: 26 }, (_, at) => {
        const $ref = `#/definitions/${String.fromCharCode(98 + at)}`
        return [String.fromCharCode(97 + at), { allOf: [{ $ref }, { $ref }] }]
      }),
    )
    expect(() => reports({ ...ways, definitions }, 1)).toThrow('references')
  })
})

test('a multiple is one in decimals, whatever the sizes', () => {
  const decimal = fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 12 }))
  const numbers = fc.oneof(
    decimal.map(([digits, decimals]) => Number(`${digits}e-${decimals}`)),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }),
  )
  const steps = fc.constantFrom(1, 2, 3, 0.5, 0.1, 0.01, 0.05, 0.001, 0.25, 1e-9, 1e-12, 1.5, 100, 1e6, 0.3)
  fc.assert(
    fc.property(numbers, steps, fc.integer({ min: 0, max: 1000 }), (number, step, times) => {
      for (const value of [number, Number(new Big(step).times(times))]) {
        expect([value, step, multiplesOf(step)(value)]).toEqual([value, step, new Big(value).mod(step).eq(0)])
      }
    }),
    { numRuns: 2000 },
  )
})
