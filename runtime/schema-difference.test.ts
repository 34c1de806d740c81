import type avsc from 'avsc'
import { expect, test } from 'vitest'
import { schemaTypes } from '../schemas/avro/index.ts'
import { schemaDifference } from './schema-difference.ts'

const record = (name: string, fields: Readonly<Record<string, unknown>>) =>
  ({
    type: 'record',
    name,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  }) as avsc.Schema
const order = (fields: Readonly<Record<string, unknown>>) => record('shop.Order', fields)
const inside = (type: unknown) => order({ line: record('shop.Line', { price: type }) })

test.each([
  ['itself', order({ id: 'long' }), order({ id: 'long' })],
  ['a narrower number', order({ id: 'long' }), order({ id: 'int' })],
  ['a field it does not know', order({ id: 'long' }), order({ id: 'long', note: 'string' })],
])('a schema reads %s', (_, reader, writer) => {
  expect(schemaDifference(reader, writer)).toBeNull()
})

test.each([
  [
    order({ id: 'long', note: 'string' }),
    order({ id: 'long' }),
    'field note: the reader wants it and has no default; the writer has none',
  ],
  [inside('int'), inside('string'), 'field line.price: the reader has int, the writer string'],
  [
    order({ lines: { type: 'array', items: record('shop.Line', { price: 'int' }) } }),
    order({ lines: { type: 'array', items: record('shop.Line', { price: 'long' }) } }),
    'field lines[].price: the reader has int, the writer long',
  ],
  [
    order({ id: ['null', 'int'] }),
    order({ id: ['null', 'string'] }),
    'field id: the reader has null | int, the writer null | string, of which string has no place',
  ],
  [
    order({ line: ['null', record('shop.Line', { price: 'int' })] }),
    order({ line: ['null', record('shop.Line', { price: 'string' })] }),
    'field line.price: the reader has int, the writer string',
  ],
  [order({ id: 'int' }), record('shop.Return', {}), 'the whole: the reader has shop.Order, the writer shop.Return'],
])('a schema that cannot read another says why: case %#', (reader, writer, difference) => {
  expect(schemaDifference(reader, writer)).toBe(difference)
})

test('every schema of ours reads itself, written out', () => {
  for (const type of schemaTypes.values()) {
    const schema = type.schema({ exportAttrs: true })
    expect(schemaDifference(schema, schema)).toBeNull()
  }
})
