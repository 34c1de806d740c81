/** Entities that enrichments add: built, checked against their schemas, and written as JSON. */
import type { SelfDescribing } from '../../../schemas/avro/types.ts'
import { type DerivedEntityKey, derivedEntitySchemas } from '../../../schemas/derived-entities.ts'
import { memoised } from '../../memo.ts'
import { type Check, compile } from '../compile.ts'
import type { Draft } from '../draft.ts'
import { invalid } from '../failure.ts'
import type { Work } from './enrichment.ts'

/** Adds an entity, unless it does not satisfy its schema: then that is found. */
export function addEntity(schema: DerivedEntityKey, data: object, { entities, findings }: Work): void {
  const reports = checkOf(schema)(data)
  if (reports.length > 0) findings.entities.push(invalid(schema, reports))
  else entities.push({ schema, data: JSON.stringify(data) })
}

/** An entity of data that always satisfy the schema. It may be added to many events. */
export const derivedEntity = (schema: DerivedEntityKey, data: object): SelfDescribing =>
  Object.freeze({ schema, data: JSON.stringify(data) })

/** Whether an event that was enriched before carries such an entity already. */
export function carries(draft: Draft, schema: DerivedEntityKey): boolean {
  for (const entity of draft.derived_contexts) if (entity.schema === schema) return true
  return false
}

const checkOf = memoised((key: string): Check => {
  const compiled = compile(JSON.stringify(derivedEntitySchemas[key as DerivedEntityKey]))
  if ('issue' in compiled) throw new Error(`the schema ${key} cannot be used: ${compiled.issue}`)
  return compiled.check
})
