/** A workspace as records of the topic `definitions`, and `Definitions` made of such records again. */
import { invariant, MillraceError } from '../runtime/errors.ts'
import type { Definition, DefinitionKind } from '../schemas/avro/types.ts'
import {
  type Definitions,
  defaultEnrichments,
  type EnrichmentRules,
  type IgluRules,
  type Registries,
  type SchemaLookup,
} from '../schemas/definitions.ts'
import { byText, canonicalJson, sha256Hex } from './canonical.ts'
import type { Workspace } from './workspace.ts'

/** The records of one version; `hash` is the manifest's, and names the version's content. */
export type Manifest = { readonly hash: string; readonly records: readonly Definition[] }

/** What a manifest says of each definition, in order of kind and id. */
type Listed = { readonly kind: DefinitionKind; readonly id: string; readonly hash: string }

const bodyBytesMax = 200_000

/**
 * One record a definition, and last the manifest that lists them. A workspace with the same content has the same
 * hashes, whatever the version, the actor, the layout of its files and the order within them. CONFIG_INVALID when
 * a definition is too large to travel. `refresh` counts how often registries were to be asked anew.
 */
export function manifestOf(workspace: Workspace, { version = 1, actor = 'workspace', refresh = 0 } = {}): Manifest {
  const recordOf = (kind: DefinitionKind, id: string, body: string): Definition => {
    const bytes = Buffer.byteLength(body)
    if (bytes > bodyBytesMax) {
      throw new MillraceError(
        'CONFIG_INVALID',
        `the ${kind} ${id} takes ${bytes} bytes; at most ${bodyBytesMax} are allowed`,
      )
    }
    return { tenant: workspace.tenant, hash: sha256Hex(`${kind}\n${id}\n${body}`), kind, id, body, version, actor }
  }
  const definitions = [
    ...[...workspace.schemas].map(([key, text]) => recordOf('schema', key, text)),
    recordOf('iglu', 'iglu', canonicalJson(withRefresh(workspace.iglu, refresh))),
    recordOf('identity', 'identity', canonicalJson(workspace.identity)),
    recordOf('consent', 'consent', canonicalJson(workspace.consent)),
    recordOf('enrichments', 'enrichments', canonicalJson(workspace.enrichments)),
    ...workspace.traits.map((trait) => recordOf('trait', trait.id, canonicalJson(trait))),
    ...workspace.segments.map((segment) => recordOf('segment', segment.id, canonicalJson(segment))),
    ...workspace.destinations.map((destination) => recordOf('destination', destination.id, canonicalJson(destination))),
  ].sort((a, b) => byText(a.kind, b.kind) || byText(a.id, b.id))
  const listed = definitions.map(({ kind, id, hash }): Listed => ({ kind, id, hash }))
  const manifest = recordOf('manifest', workspace.tenant, canonicalJson(listed))
  return { hash: manifest.hash, records: [...definitions, manifest] }
}

/** Where definitions find what registries have answered: the reader of the topic. */
export type Outside = {
  find(
    scope: { readonly tenant: string; readonly hash: string; readonly settings: string },
    id: string,
    atMs: number,
  ):
    | {
        readonly found: Definition | null
        readonly answer: { readonly failures: readonly { readonly repository: string; readonly message: string }[] }
      }
    | undefined
}

function lookupIn(tenant: string, registries: Registries, outside: Outside): SchemaLookup {
  const settings = canonicalJson(registries)
  const scope = { tenant, settings, hash: sha256Hex(settings).slice(0, 16) }
  return (uri, atMs) => {
    const known = outside.find(scope, uri, atMs)
    if (!known) return undefined
    const { found, answer } = known
    return { schema: found && { uri: found.id, text: found.body }, failures: answer.failures }
  }
}

const withRefresh = (iglu: IgluRules, refresh: number): IgluRules =>
  iglu.registries ? { ...iglu, registries: { ...iglu.registries, refresh } } : iglu

/** How often the registries of a definition of kind `iglu` were to be asked anew. */
export function refreshOf(iglu: Definition | undefined): number {
  return (iglu && (JSON.parse(iglu.body) as IgluRules).registries?.refresh) ?? 0
}

export type Finding = {
  /** Of the manifest; needed where there are several. */
  readonly hash?: string
  /** What registries have answered. */
  readonly outside?: Outside
  /** Where secrets are; null for who only reads definitions, and has none. */
  readonly env?: NodeJS.ProcessEnv | null
}

/**
 * The definitions of the manifest among the records: of the one with that hash, or of the only one. Other records may
 * stand among them, in any order. DEFINITION_MISSING when a body, or the manifest, is not there; CONFIG_INVALID when the
 * environment lacks a secret that they name.
 */
export function definitionsFrom(
  records: Iterable<Definition>,
  tenantKey: Uint8Array,
  { hash, outside, env = process.env }: Finding = {},
): Definitions {
  const byHash = new Map<string, Definition>()
  let manifest: Definition | undefined
  for (const record of records) {
    byHash.set(record.hash, record)
    if (record.kind !== 'manifest' || (hash !== undefined && record.hash !== hash)) continue
    invariant(!manifest || manifest.hash === record.hash, 'a manifest is named where there are several')
    manifest = record
  }
  if (!manifest)
    throw new MillraceError('DEFINITION_MISSING', `there is no manifest${hash === undefined ? '' : ` ${hash}`}`)
  const { tenant, version } = manifest
  const listed = JSON.parse(manifest.body) as readonly Listed[]
  const bodies = listed.map(({ kind, id, hash }) => {
    const record = byHash.get(hash)
    if (!record)
      throw new MillraceError('DEFINITION_MISSING', `the ${kind} ${id} (${hash}) of tenant ${tenant} is not there`)
    return record
  })
  const of = <Kind extends DefinitionKind>(kind: Kind) => bodies.filter((record) => record.kind === kind)
  const parsed = <T>(kind: DefinitionKind) => of(kind).map(({ body }) => JSON.parse(body) as T)
  const [identity] = parsed<Definitions['identity']>('identity')
  const [consent] = parsed<Definitions['consent']>('consent')
  const [iglu] = parsed<IgluRules>('iglu')
  invariant(identity && consent, 'a manifest lists identity and consent')
  // manifests of before there were enrichments have none
  const [enrichments = defaultEnrichments] = parsed<EnrichmentRules>('enrichments')
  return {
    tenant,
    version,
    hash: manifest.hash,
    tenantKey,
    schemas: new Map(of('schema').map(({ id, body }) => [id, body])),
    ...(iglu && { iglu }),
    ...(iglu?.registries && outside && { lookup: lookupIn(tenant, iglu.registries, outside) }),
    identity,
    traits: parsed('trait'),
    segments: parsed('segment'),
    destinations: parsed('destination'),
    consent,
    enrichments,
    secrets: env === null ? new Map() : secretsOf(enrichments, env),
  }
}

function secretsOf({ pseudonyms }: EnrichmentRules, env: NodeJS.ProcessEnv): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>()
  for (const { env: name } of pseudonyms?.salts ?? []) {
    const secret = env[name]
    if (!secret) {
      const what = `the environment variable ${name}, which enrichments.yaml names as a salt of pseudonyms, is not set`
      throw new MillraceError('CONFIG_INVALID', what)
    }
    secrets.set(name, secret)
  }
  return secrets
}
