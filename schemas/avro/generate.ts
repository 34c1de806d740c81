/** Writes types.ts, the TypeScript types of the Avro schemas. `npm run generate`; a test keeps the two in step. */
import { readFileSync, writeFileSync } from 'node:fs'

type Schema = string | Schema[] | { type: Schema; [key: string]: unknown }
type Field = { name: string; type: Schema; doc?: string; default?: unknown }

const primitives: Record<string, string> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'Buffer',
}

/** The text of types.ts for the schemas in this folder. */
export function generateTypes(folder: URL = new URL('./', import.meta.url)): string {
  const order: string[] = JSON.parse(readFileSync(new URL('order.json', folder), 'utf8'))
  const declarations: string[] = []
  const declared = new Set<string>()

  const typeOf = (schema: Schema): string => {
    if (typeof schema === 'string') return primitives[schema] ?? schema.replace(/^millrace\./, '')
    if (Array.isArray(schema)) return schema.map(typeOf).join(' | ')
    if (schema.type === 'array') {
      const item = typeOf(schema['items'] as Schema)
      return item.includes('|') ? `readonly (${item})[]` : `readonly ${item}[]`
    }
    if (schema.type === 'map') return `Readonly<Record<string, ${typeOf(schema['values'] as Schema)}>>`
    if (schema.type === 'record' || schema.type === 'enum') return declare(schema)
    return typeOf(schema.type)
  }

  const declare = (schema: { type: Schema; [key: string]: unknown }): string => {
    const name = String(schema['name'])
    if (declared.has(name)) throw new Error(`${name} is declared twice`)
    declared.add(name)
    const doc = schema['doc'] ? `/** ${schema['doc']} */\n` : ''
    if (schema.type === 'enum') {
      const symbols = (schema['symbols'] as string[]).map((symbol) => `'${symbol}'`).join(' | ')
      declarations.push(`${doc}export type ${name} = ${symbols}`)
      return name
    }
    const place = declarations.push('') - 1
    const fields = (schema['fields'] as Field[]).map((field) => {
      const line = `  readonly ${field.name}: ${typeOf(field.type)}`
      return field.doc ? `  /** ${field.doc} */\n${line}` : line
    })
    declarations[place] = `${doc}export type ${name} = {\n${fields.join('\n')}\n}`
    return name
  }

  for (const name of order) declare(JSON.parse(readFileSync(new URL(`${name}.avsc`, folder), 'utf8')))
  const names = order.map((name) => `  readonly ${name}: ${name}`).join('\n')
  return [
    '// Generated from the .avsc files beside it by `npm run generate`. Do not edit.',
    ...declarations,
    `/** Every top-level schema, by name. */\nexport type Schemas = {\n${names}\n}`,
    'export type SchemaName = keyof Schemas',
    '',
  ].join('\n\n')
}

if (process.argv[1]?.endsWith('generate.ts')) writeFileSync(new URL('./types.ts', import.meta.url), generateTypes())
