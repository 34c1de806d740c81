/** A workspace: the folder of YAML and JSON in which a tenant decides everything, read and checked as a whole. */
import type { z } from 'zod'
import {
  type ConsentRules,
  type DestinationDefinition,
  defaultEnrichments,
  type EnrichmentRules,
  type IdentityRules,
  type IgluRules,
  type SegmentDefinition,
  type TraitDefinition,
} from '../schemas/definitions.ts'
import { byText } from './canonical.ts'
import { Catalogue } from './catalogue.ts'
import { type CollectorSettings, defaultCollector, readCollector } from './collector.ts'
import { readConsent } from './consent.ts'
import { readDestination } from './destinations.ts'
import { readEnrichments } from './enrichments.ts'
import { readFiles } from './folder.ts'
import { readIdentity } from './identity.ts'
import { readRegistries, schemaRules, schemaRulesShape } from './iglu.ts'
import { type Problem, problemsError, quote } from './problem.ts'
import { readReferers } from './referers.ts'
import { readSchemas, schemaText } from './schemas.ts'
import { readSegment } from './segments.ts'
import { environmentVariable, id, idExpected, idPattern, mapping, text } from './shape.ts'
import { type Entry, Source } from './source.ts'
import { readTrait } from './traits.ts'

/** Everything a tenant decides, without the version and the key it will have in force. Lists are in order of id. */
export type Workspace = {
  readonly tenant: string
  /** Where it was read from. */
  readonly folder: string
  /** For people. */
  readonly name: string
  /** The environment variable that holds the tenant's secret key; null: the program makes and keeps one. */
  readonly tenantKeyEnv: string | null
  readonly collector: CollectorSettings
  readonly schemas: ReadonlyMap<string, string>
  readonly iglu: IgluRules
  readonly identity: IdentityRules
  readonly consent: ConsentRules
  readonly enrichments: EnrichmentRules
  readonly traits: readonly TraitDefinition[]
  readonly segments: readonly SegmentDefinition[]
  readonly destinations: readonly DestinationDefinition[]
}

/** The workspace in a folder. CONFIG_INVALID with all problems, each with file, line, path, what was found and what was expected. */
export async function loadWorkspace(folder: string): Promise<Workspace> {
  const { workspace, problems } = await checkWorkspace(folder)
  if (!workspace) throw problemsError(folder, problems)
  return workspace
}

export type Checked =
  | { readonly workspace: Workspace; readonly problems: readonly [] }
  | { readonly workspace: null; readonly problems: readonly Problem[] }

/** The workspace in a folder, or everything that is wrong with it. */
export async function checkWorkspace(folder: string): Promise<Checked> {
  const problems: Problem[] = []
  const files = await readFiles(folder, problems)
  const sourceOf = (name: string) => {
    const text = files.root.get(name)
    return text === undefined ? null : new Source(name, text, problems)
  }
  const entriesOf = (of: 'traits' | 'segments' | 'destinations') =>
    distinct(
      [...files[of]].flatMap(([file, text]) => new Source(file, text, problems).entries()),
      definitionsMax[of],
    )

  const given = readSettings(sourceOf('millrace.yaml'))
  const collectorSource = sourceOf('collector.yaml')
  const collector = collectorSource ? readCollector(collectorSource) : defaultCollector
  const registries = readRegistries(sourceOf('iglu.json'))
  const parsed = readSchemas(files.schemas, problems)
  const catalogue = new Catalogue(parsed)
  const identitySource = sourceOf('identity.yaml')
  const identity = identitySource && readIdentity(identitySource, catalogue)
  const consentSource = sourceOf('consent.yaml')
  const consent = consentSource && readConsent(consentSource, catalogue)
  const enrichmentsSource = sourceOf('enrichments.yaml')
  const referersSource = sourceOf('referers.yaml')
  const referers = referersSource ? readReferers(referersSource) : []
  const enrichments = enrichmentsSource ? readEnrichments(enrichmentsSource, referers ?? []) : defaultEnrichments

  const traitEntries = entriesOf('traits')
  const traits = traitEntries.map((entry) => readTrait(entry, catalogue))
  const traitTypes = new Map(traitEntries.map((entry, index) => [entry.id, traits[index]?.type ?? null]))
  const segmentEntries = entriesOf('segments')
  const segments = segmentEntries.map((entry) => readSegment(entry, { traits: traitTypes, catalogue }))
  const scope = {
    segments: new Set(segmentEntries.map((entry) => entry.id)),
    purposes: namesIn(consentSource, 'purposes'),
    namespaces: namesIn(identitySource, 'namespaces'),
    traits: new Set(traitTypes.keys()),
  }
  const destinations = entriesOf('destinations').map((entry) => readDestination(entry, scope))

  if (problems.length > 0 || !given || !collector || !identity || !consent || !enrichments) {
    return { workspace: null, problems }
  }
  const { rules, ...settings } = given
  const schemas = new Map([...parsed].map(([key, schema]): [string, string] => [key, schemaText(schema)]))
  const workspace = {
    folder,
    ...settings,
    collector,
    schemas: new Map([...schemas].sort(([a], [b]) => byText(a, b))),
    iglu: schemaRules(rules, registries),
    identity,
    consent,
    enrichments,
    traits: present(traits),
    segments: present(segments),
    destinations: present(destinations),
  }
  return { workspace, problems: [] }
}

/** A profile's views, evaluations and manifests all grow with these. */
const definitionsMax = { traits: 200, segments: 500, destinations: 50 } as const

const settingsShape = mapping({
  tenant: id,
  name: text('a name for people, at most 100 characters', 100),
  tenantKey: mapping({ env: environmentVariable }).optional(),
  schemas: schemaRulesShape.optional(),
})

type Settings = Pick<Workspace, 'tenant' | 'name' | 'tenantKeyEnv'> & {
  readonly rules: z.infer<typeof schemaRulesShape> | undefined
}

function readSettings(source: Source | null): Settings | null {
  if (source?.value === undefined) return null
  const settings = source.read(settingsShape, [], source.value)
  if (!settings) return null
  const { tenant, name, tenantKey, schemas } = settings
  return { tenant, name, tenantKeyEnv: tenantKey?.env ?? null, rules: schemas }
}

/** Entries with sound ids, the first of each; reports the others. */
function distinct(entries: readonly Entry[], max: number): readonly Entry[] {
  const firsts = new Map<string, Entry>()
  for (const entry of entries) {
    const first = firsts.get(entry.id)
    if (!idPattern.test(entry.id)) entry.source.reportKey([entry.id], `the id ${quote(entry.id)}`, idExpected)
    else if (first)
      entry.source.reportKey(
        [entry.id],
        `the id ${quote(entry.id)} again`,
        `an id of its own; ${first.source.file} has this one`,
      )
    else if (firsts.size === max) entry.source.reportKey([entry.id], `more than ${max} of its kind`, 'at most as many')
    else firsts.set(entry.id, entry)
  }
  return [...firsts.values()]
}

/** Names as declared, sound or not: what refers to an unsound one is not reported a second time. Null: not to be told. */
function namesIn(source: Source | null, key: string): ReadonlySet<string> | null {
  const value = source?.value
  if (value === undefined) return null
  const under = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
  if (Array.isArray(under)) return new Set(under.filter((name) => typeof name === 'string'))
  return new Set(typeof under === 'object' && under !== null ? Object.keys(under) : [])
}

function present<T extends { readonly id: string }>(definitions: readonly (T | null)[]): readonly T[] {
  return definitions.filter((each) => each !== null).sort((a, b) => byText(a.id, b.id))
}
