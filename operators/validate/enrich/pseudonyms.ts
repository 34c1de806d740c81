/**
 * Pseudonyms: what identifies a person is replaced by a keyed digest, `hex(hash(value + salt))`, as in Snowplow's PII
 * enrichment. The last enrichment: whatever an event is given before is covered too. What is not there is not created.
 */
import { hash } from 'node:crypto'
import type { SelfDescribing } from '../../../schemas/avro/types.ts'
import type { Definitions, PathStep, PseudonymRule } from '../../../schemas/definitions.ts'
import { memoised } from '../../memo.ts'
import type { Enrichment } from './enrichment.ts'
import { digestName } from './hashing.ts'
import { headerValues } from './headers.ts'

export function pseudonyms({ enrichments: { pseudonyms: rule }, secrets }: Definitions): Enrichment | null {
  if (!rule) return null
  const algorithm = digestName(rule.algorithm)
  const salts = rule.salts.map(({ env, fromMs }) => ({ salt: secrets.get(env) ?? '', fromMs }))
  const pathsOf = pathsBySchema(rule.data)

  return (draft, { raw, atMs, entities, findings }) => {
    if (rule.anonymousOnly && headerValues(raw.headers, 'sp-anonymous').length === 0) return
    const { salt } = salts.findLast(({ fromMs }) => fromMs === null || fromMs <= atMs)!
    const pseudonym = (value: string): string => hash(algorithm, value + salt)
    for (const column of rule.columns) {
      const value = draft[column]
      if (value === null) continue
      draft[column] = pseudonym(value)
      findings.shortened(column)
    }
    if (rule.data.length === 0) return
    const covered = (json: SelfDescribing): SelfDescribing => {
      const paths = pathsOf(json.schema)
      return paths.length === 0 ? json : { schema: json.schema, data: coveredJson(json.data, paths, pseudonym) }
    }
    if (draft.unstruct_event) draft.unstruct_event = covered(draft.unstruct_event)
    if (draft.contexts.length > 0) draft.contexts = draft.contexts.map(covered)
    if (draft.derived_contexts.length > 0) draft.derived_contexts = draft.derived_contexts.map(covered)
    for (let i = 0; i < entities.length; i++) entities[i] = covered(entities[i]!)
  }
}

type Path = readonly PathStep[]

function pathsBySchema(data: PseudonymRule['data']): (schema: string) => readonly Path[] {
  const criteria = data.map(({ criterion, paths }) => ({ parts: criterion.split(/[/-]/), paths }))
  return memoised((schema) => {
    const parts = schema.split(/[/-]/)
    const meant = (wanted: readonly string[]): boolean =>
      wanted.length === parts.length && wanted.every((part, index) => part === '*' || part === parts[index])
    return criteria.filter((each) => meant(each.parts)).flatMap(({ paths }) => paths)
  })
}

type Pseudonym = (value: string) => string

/** JSON in which every text and number that the paths lead to, or that is within what they lead to, is replaced, once. */
export function coveredJson(json: string, paths: readonly Path[], pseudonym: Pseudonym): string {
  const root = { value: JSON.parse(json) as unknown }
  const leaves: Leaves = new Map()
  for (const path of paths) follow(root, 'value', path, 0, leaves)
  for (const [holder, names] of leaves) {
    for (const name of names) {
      // not by assignment: a member may be called __proto__
      Object.defineProperty(holder, name, { value: pseudonym(String(holder[name])) })
    }
  }
  return leaves.size === 0 ? json : JSON.stringify(root.value)
}

/** Members to replace, by what holds them. */
type Leaves = Map<Holder, Set<string>>
type Holder = Readonly<Record<string, unknown>>

/** Walks the rest of the path below `holder[name]`, which is there. */
function follow(holder: Holder, name: string, path: Path, at: number, leaves: Leaves): void {
  const value = holder[name]
  const step = path[at]
  if (typeof value !== 'object' || value === null) {
    if (!step && (typeof value === 'string' || typeof value === 'number')) {
      const names = leaves.get(holder)
      if (names) names.add(name)
      else leaves.set(holder, new Set([name]))
    }
    return
  }
  const below = value as Holder
  if (step?.step === 'member' || step?.step === 'index') {
    const member = step.step === 'member' ? step.name : String(step.index)
    if (Array.isArray(value) === (step.step === 'index') && Object.hasOwn(below, member)) {
      follow(below, member, path, at + 1, leaves)
    }
    return
  }
  for (const member of Object.keys(below)) {
    if (step?.step === 'anywhere') {
      if (member === step.name && !Array.isArray(value)) follow(below, member, path, at + 1, leaves)
      follow(below, member, path, at, leaves)
    } else follow(below, member, path, step ? at + 1 : at, leaves)
  }
}
