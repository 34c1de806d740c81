/** The subjects of the schema registry as this version needs them: planned, then made so. */
import type avsc from 'avsc'
import { schemaTypes } from '../../schemas/avro/index.ts'
import { selfContained } from '../registry.ts'
import { schemaDifference } from '../schema-difference.ts'
import type { PlannedItem } from './plan.ts'
import type { RegistryClient } from './registry-client.ts'

/**
 * Each version must read what all before it wrote: stores and compacted topics keep values of any age. The other way
 * round is not asked for: an older version that meets a newer value it cannot read stops, and buries nothing.
 */
export const compatibility = 'BACKWARD_TRANSITIVE'

export type PlannedSubject = PlannedItem & { readonly schema: avsc.Schema }

/** One item for each schema, in their order. Refused are those that cannot read an earlier version. */
export async function planSubjects(
  client: RegistryClient,
  schemas: ReadonlyMap<string, avsc.Type> = schemaTypes,
): Promise<readonly PlannedSubject[]> {
  const planned: PlannedSubject[] = []
  for (const [name, type] of schemas) planned.push(await planSubject(client, name, selfContained(type)))
  return planned
}

async function planSubject(client: RegistryClient, schemaName: string, schema: avsc.Schema): Promise<PlannedSubject> {
  const name = client.subjectOf(schemaName)
  const item = { what: 'subject', name, schema } as const
  const latest = await client.latest(name)
  if (!latest) return { ...item, action: 'create', details: [compatibility] }

  const details: string[] = []
  if (!(await client.registered(name, schema))) {
    for (let version = latest.version; version > 0; version--) {
      const earlier = version === latest.version ? latest : await client.version(name, version)
      const difference = earlier && schemaDifference(schema, earlier.schema)
      if (difference)
        return {
          ...item,
          action: 'refuse',
          details: [`it cannot read version ${version} (id ${earlier.id}): ${difference}`],
        }
    }
    details.push(`version ${latest.version} → ${latest.version + 1}`)
  }
  const set = await client.compatibility(name)
  if (set !== compatibility) details.push(`compatibility ${set ?? 'not set'} → ${compatibility}`)
  return { ...item, action: details.length > 0 ? 'change' : 'keep', details }
}

/** Registers the schema of an item to create or change. Doing so again changes nothing. */
export async function applySubject(client: RegistryClient, { name, schema }: PlannedSubject): Promise<void> {
  await client.register(name, schema)
  // After the first schema: some registries have no settings for a subject that is not there.
  await client.setCompatibility(name, compatibility)
}
