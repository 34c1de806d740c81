import { expect, test } from 'vitest'
import { lint } from './lint.ts'

const key = 'iglu:com.acme/badge/jsonschema/1-0-0'
const schemaOf = (more: object) =>
  JSON.stringify({
    $schema: 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#',
    self: { vendor: 'com.acme', name: 'badge', format: 'jsonschema', version: '1-0-0' },
    type: 'object',
    ...more,
  })
const found = (text: string, options: Parameters<typeof lint>[2] = {}) =>
  lint(key, text, options).map(({ level, check, path }) => `${level} ${check} ${path}`)
const property = (schema: object) => schemaOf({ properties: { a: { description: 'A', ...schema } } })

test.each<[string, string, string[]]>([
  ['no JSON', '{', ['error json $']],
  ['no object', '[]', ['error json $']],
  ['a good one', property({ type: 'string', maxLength: 9 }), []],
  ['an enumeration, which bounds a text', property({ enum: ['a'], type: 'string' }), []],
  ['a format, which does too', property({ format: 'uuid', type: 'string' }), []],
  ['another $schema', schemaOf({ $schema: 'http://json-schema.org/draft-07/schema#' }), ['error $schema $.$schema']],
  [
    'another name',
    schemaOf({ self: { vendor: 'com.acme', name: 'b', format: 'jsonschema', version: '1-0-0' } }),
    ['error self $.self.name'],
  ],
  ['another draft', property({ type: 'strin' }), ['error metaschema $.properties.a.type']],
  ['a root that is no object', schemaOf({ type: 'array' }), ['warning rootObject $']],
  [
    'bounds that exclude each other',
    property({ type: 'integer', minimum: 2, maximum: 1 }),
    ['error contradiction $.properties.a'],
  ],
  ['a keyword of another type', property({ type: 'boolean', maxLength: 1 }), ['error contradiction $.properties.a']],
  ['values of another type', property({ type: 'integer', enum: ['a'] }), ['error contradiction $.properties.a']],
  [
    'what is required and not allowed',
    schemaOf({ required: ['b'], additionalProperties: false }),
    ['error contradiction $'],
  ],
  ['a number without end', property({ type: 'integer', minimum: 0 }), ['warning numericMinMax $.properties.a']],
  ['a text without end', property({ type: ['string', 'null'] }), ['warning stringLength $.properties.a']],
  [
    'a format nobody knows',
    property({ type: 'string', format: 'strict-uri' }),
    ['warning unknownFormats $.properties.a'],
  ],
  ['no description', schemaOf({ properties: { a: { type: 'boolean' } } }), ['warning description $.properties.a']],
  [
    'what is deep inside',
    property({ items: { anyOf: [{ type: 'string' }] } }),
    ['warning stringLength $.properties.a.items.anyOf[0]'],
  ],
])('%s', (_, text, expected) => {
  expect([...new Set(found(text))]).toEqual(expected)
})

test('warnings can be skipped, errors cannot; nulls are asked for on request', () => {
  const text = property({ type: 'string' })
  expect(found(text, { skip: ['stringLength'] })).toEqual([])
  expect(found(text, { skip: ['stringLength'], optionalNull: true })).toEqual(['warning optionalNull $.properties.a'])
})
