/** The Avro schemas of every topic and store, by name. A schema may refer to those before it in order.json. */
import { readFileSync } from 'node:fs'
import avsc from 'avsc'
import { nullableHook } from './nullable.ts'

/** Files are beside this module in the source tree, and in the source tree of the build. */
const folder = new URL(import.meta.url.includes('/dist/') ? '../../../schemas/avro/' : './', import.meta.url)

export const schemaNames: readonly string[] = JSON.parse(readFileSync(new URL('order.json', folder), 'utf8'))

/** The parsed schemas. Longs are JavaScript numbers (all ours fit in 53 bits); unions are bare values, not wrapped. */
export const schemaTypes: ReadonlyMap<string, avsc.Type> = (() => {
  const registry: Record<string, avsc.Type> = {}
  const types = new Map<string, avsc.Type>()
  for (const name of schemaNames) {
    const schema = JSON.parse(readFileSync(new URL(`${name}.avsc`, folder), 'utf8'))
    types.set(name, avsc.Type.forSchema(schema, { registry, wrapUnions: false, typeHook: nullableHook }))
  }
  return types
})()

export function schemaType(name: string): avsc.Type {
  const type = schemaTypes.get(name)
  if (!type) throw new Error(`no Avro schema is named ${name}; schemas/avro/order.json lists them`)
  return type
}
