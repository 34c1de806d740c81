/** All that a decision depends on, read from the graph. The same walk tells the runtime what to read. */
import { invariant } from '../../runtime/errors.ts'
import { type Key, tenantOf } from '../../runtime/operator.ts'
import type { Edge, GraphState, IdentifierNode, IdentityRequest, ProfileNode } from '../../schemas/avro/types.ts'
import type { Definitions, NamespaceRule } from '../../schemas/definitions.ts'
import { identifierHash, identifierKey, profileIdOf } from '../ids.ts'
import { isKnown, type Root, rootOf } from './forest.ts'
import { edgeRow, identifierRow, type Named, profileRow, sequenceRow } from './rows.ts'

/** The namespace of what stands for a sitting that nobody has signed in to, on a shared device. */
export const sittingNamespace = 'sitting'

export type Survey = {
  readonly tenant: string
  readonly seq: number
  /** The identifiers of the request, best first. */
  readonly links: readonly Link[]
  /** What stands for the sitting; read only where the sitting matters: on a shared device, and when somebody signs in. */
  readonly sitting: Link | null
  /** The profiles of the sitting's only user. */
  readonly user: readonly Root[]
  /** Between the best identifier and each of the others, in their order. */
  readonly edges: readonly { readonly key: Key; readonly edge: Edge | null }[]
  /** The id for a profile to be founded on an identifier. */
  newIdOn(link: Link): string
  /** The profile that a notice says was founded, where the graph has it already. */
  readonly founded: Root | null
}

/** An identifier and who owns it. */
export type Link = {
  readonly identifier: Named
  readonly rule: Pick<NamespaceRule, 'class' | 'unique'>
  readonly node: IdentifierNode | null
  /** Distinct, oldest link first. */
  readonly roots: readonly Root[]
}

export type ReadState = (key: Key) => GraphState | undefined

export function surveyOf(request: IdentityRequest, key: Key, definitions: Definitions, read: ReadState): Survey {
  const tenant = tenantOf(key)
  const rules = rulesOf(definitions)
  const profileOf = (id: string): ProfileNode | null | undefined => read(profileRow(tenant, id))?.profile

  const linkOf = ({ namespace, hash }: Named): Link => {
    const identifier = { namespace, hash }
    const node = read(identifierRow(tenant, identifier))?.identifier ?? null
    const roots = new Map<string, Root>()
    for (const owner of node?.owners ?? []) {
      const root = rootOf(owner, profileOf)
      if (root) roots.set(root.id, root)
    }
    return { identifier, rule: rules.get(namespace) ?? plainRule, node, roots: [...roots.values()] }
  }
  // Each founding counts as a link, so the number of links is a generation not yet taken.
  const newIdOn = ({ identifier: { namespace, hash }, node }: Link): string => {
    const first = profileIdOf(definitions, namespace, hash)
    const id = profileOf(first) && node ? profileIdOf(definitions, namespace, hash, node.links) : first
    profileOf(id)
    return id
  }

  const links = request.identifiers.map(linkOf)
  const [best, ...others] = links
  invariant(best, 'a request has an identifier')
  const signsIn = links.some(({ identifier }) => identifierKey(identifier) === request.sittingUser)
  const sitting = signsIn || isShared(links) ? linkOf(sittingOf(request, definitions)) : null
  newIdOn(best)
  if (sitting) newIdOn(sitting)
  return {
    tenant,
    seq: read(sequenceRow(tenant))?.sequence?.seq ?? 0,
    links,
    sitting,
    user: request.sittingUser === null ? [] : linkOf(parseKey(request.sittingUser)).roots,
    edges: others.map((other) => {
      const row = edgeRow(tenant, best.identifier, other.identifier)
      return { key: row, edge: read(row)?.edge ?? null }
    }),
    newIdOn,
    founded: request.kind === 'notice' ? (rootOf(foundedBy(request, definitions), profileOf) ?? null) : null,
  }
}

/** Those who own any of the identifiers, each once, in the order of the identifiers. */
export function ownersOf(links: readonly Link[]): readonly Root[] {
  const roots = new Map<string, Root>()
  for (const link of links) for (const root of link.roots) roots.set(root.id, root)
  return [...roots.values()]
}

/** Whether the identifiers lead to several people. */
export function isShared(links: readonly Link[]): boolean {
  return ownersOf(links).filter(isKnown).length > 1
}

/** The rows that the survey reads, as far as it can tell by now. */
export function rowsToRead(
  request: IdentityRequest,
  key: Key,
  definitions: Definitions,
  read: ReadState,
): readonly Key[] {
  const keys = new Set<Key>()
  surveyOf(request, key, definitions, (row) => {
    keys.add(row)
    return read(row)
  })
  return [...keys]
}

/** Event ids, and so sitting ids, are the client's own: only with the client do they name one sitting. */
function sittingOf({ client, sittingId }: IdentityRequest, definitions: Definitions): Named {
  return {
    namespace: sittingNamespace,
    hash: identifierHash(definitions, sittingNamespace, `${client}/${sittingId}`),
  }
}

/** The profile that IDENTIFY has founded, by its notice: on the client's only identifier, knowing of no earlier generation. */
export function foundedBy({ identifiers }: IdentityRequest, definitions: Definitions): string {
  const { namespace, hash } = identifiers[0]!
  return profileIdOf(definitions, namespace, hash)
}

function parseKey(identifierKey: string): Named {
  const colon = identifierKey.lastIndexOf(':')
  return { namespace: identifierKey.slice(0, colon), hash: identifierKey.slice(colon + 1) }
}

/** Of namespaces the definitions in force do not have: the client key, a sitting, one that was removed. */
const plainRule: Link['rule'] = { class: 'cookie', unique: false }

const compiled = new WeakMap<Definitions, ReadonlyMap<string, NamespaceRule>>()

function rulesOf(definitions: Definitions): ReadonlyMap<string, NamespaceRule> {
  let rules = compiled.get(definitions)
  if (!rules) {
    rules = new Map(definitions.identity.namespaces.map((rule) => [rule.namespace, rule]))
    compiled.set(definitions, rules)
  }
  return rules
}
