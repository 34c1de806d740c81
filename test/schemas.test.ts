import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generateTypes } from '../schemas/avro/generate.ts'
import { schemaNames, schemaType } from '../schemas/avro/index.ts'

const folder = new URL('../schemas/avro/', import.meta.url)

test('types.ts is what the schemas say; `npm run generate` makes it so', () => {
  expect(readFileSync(new URL('types.ts', folder), 'utf8')).toBe(generateTypes())
})

test('order.json names every schema file once', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.avsc'))
  expect([...schemaNames].sort()).toEqual(files.map((file) => file.replace('.avsc', '')).sort())
})

test.each([...schemaNames])('%s: the file holds the schema of its name, with a docstring', (name) => {
  expect(schemaType(name).name).toBe(`millrace.${name}`)
  expect(JSON.parse(readFileSync(new URL(`${name}.avsc`, folder), 'utf8'))).toMatchObject({ doc: expect.any(String) })
})
