/** All that a decision depends on, read from the graph. The same walk tells the runtime what to read. */
import { invariant } from '../../runtime/errors.ts'
import type { Key } from '../../runtime/operator.ts'
import type { Edge, GraphState, IdentifierNode, IdentityRequest, ProfileNode } from '../../schemas/avro/types.ts'
import type { Definitions, NamespaceRule } from '../../schemas/definitions.ts'
import { identifierHash, identifierKey, profileIdOf } from '../ids.ts'
import { perDefinitions } from '../memo.ts'
import { isAmong, isKnown, type Root, rootOf } from './forest.ts'
import { edgeRow, identifierRow, type Named, profileRow, sequenceRow } from './rows.ts'

/** The namespace of what stands for a sitting that nobody has signed in to, on a shared device. */
export const sittingNamespace = 'sitting'

export type Survey = {
  readonly seq: number
  /** The identifiers of the request, best first. */
  readonly links: readonly Link[]
  /** What stands for the sitting; read only where the sitting matters: on a shared device, and when somebody signs in. */
  readonly sitting: SittingLink | null
  /** The profiles of the sitting's only user. */
  readonly user: readonly Root[]
  /** Between the best identifier and each of the others, in their order. */
  readonly edges: readonly { readonly row: Key; readonly edge: Edge | null }[]
  /** The profile first founded on the best identifier, if one is: a notice tells of that one, knowing of no later. */
  readonly firstId: string
  /** The id for a profile to be founded on the best identifier now. */
  readonly newId: string
  /** The profile that a notice says was founded, where the graph has it already. */
  readonly founded: Root | null
}

/** An identifier and who owns it. */
export type Link = {
  readonly identifier: Named
  /** Where the identifier is kept. */
  readonly row: Key
  readonly rule: Pick<NamespaceRule, 'class' | 'unique'>
  readonly node: IdentifierNode | null
  /** Distinct, oldest link first. */
  readonly roots: readonly Root[]
}

/** `newId` is the id for a profile to be founded on the sitting. */
export type SittingLink = Link & { readonly newId: string }

export type ReadState = (key: Key) => GraphState | undefined

export function surveyOf(request: IdentityRequest, definitions: Definitions, read: ReadState): Survey {
  const { tenant } = request
  const question = questionOf(request, definitions)
  const profileOf = (id: string): ProfileNode | null | undefined => read(profileRow(tenant, id))?.profile
  const linkOf = ({ identifier, row, rule }: Subject): Link => {
    const node = read(row)?.identifier ?? null
    return { identifier, row, rule, node, roots: node ? rootsOf(node.owners, profileOf) : [] }
  }
  // Each founding counts as a link, so the number of links is a generation not yet taken.
  const newIdOn = ({ identifier: { namespace, hash }, firstId, firstRow }: Founder, { node }: Link): string => {
    if (!read(firstRow)?.profile || !node) return firstId
    const id = profileIdOf(definitions, namespace, hash, node.links)
    profileOf(id) // GRAPH makes sure that it is not in use
    return id
  }

  const best = linkOf(question.best)
  const links = [best, ...question.others.map(linkOf)]
  const sitting = question.sitting ?? (isShared(links) ? sittingOf(request, definitions) : null)
  const sittingLink = sitting && linkOf(sitting)
  return {
    seq: read(question.sequence)?.sequence?.seq ?? 0,
    links,
    firstId: question.best.firstId,
    newId: newIdOn(question.best, best),
    sitting: sitting && sittingLink && { ...sittingLink, newId: newIdOn(sitting, sittingLink) },
    user: question.user ? linkOf(question.user).roots : [],
    edges: question.edges.map((row) => ({ row, edge: read(row)?.edge ?? null })),
    founded: request.kind === 'notice' ? (rootOf(question.best.firstId, profileOf) ?? null) : null,
  }
}

/** Those who own any of the identifiers, each once, in the order of the identifiers. */
export function ownersOf(links: readonly Link[]): readonly Root[] {
  const owners: Root[] = []
  for (const { roots } of links) {
    for (const root of roots) if (!isAmong(owners, root)) owners.push(root)
  }
  return owners
}

/** Whether the identifiers lead to several people. */
export function isShared(links: readonly Link[]): boolean {
  return ownersOf(links).filter(isKnown).length > 1
}

/** The rows that the survey reads, as far as it can tell by now; some of them may be named twice. */
export function rowsToRead(request: IdentityRequest, definitions: Definitions, read: ReadState): readonly Key[] {
  const rows: Key[] = []
  surveyOf(request, definitions, (row) => {
    rows.push(row)
    return read(row)
  })
  return rows
}

function rootsOf(
  owners: readonly string[],
  profileOf: (id: string) => ProfileNode | null | undefined,
): readonly Root[] {
  const roots: Root[] = []
  for (const owner of owners) {
    const root = rootOf(owner, profileOf)
    if (root && !isAmong(roots, root)) roots.push(root)
  }
  return roots
}

// --- what is asked ---

/** What a request asks about, as far as that does not depend on the graph. */
type Question = {
  readonly sequence: Key
  /** The identifiers of the request. */
  readonly best: Founder
  readonly others: readonly Subject[]
  /** Where somebody signs in. */
  readonly sitting: Founder | null
  readonly user: Subject | null
  /** Rows of the edges between the best identifier and each of the others. */
  readonly edges: readonly Key[]
}

type Subject = Pick<Link, 'identifier' | 'row' | 'rule'>

/** What a profile may be founded on; `firstId` is the id of the first, and `firstRow` where that is kept. */
type Founder = Subject & { readonly firstId: string; readonly firstRow: Key }

// The graph is walked several times for a request; this part of it once.
const questions = new WeakMap<IdentityRequest, { readonly definitions: Definitions; readonly question: Question }>()

function questionOf(request: IdentityRequest, definitions: Definitions): Question {
  const known = questions.get(request)
  if (known?.definitions === definitions) return known.question
  const { tenant, sittingUser } = request
  const [best, ...others] = request.identifiers.map((identifier) => subjectOf(identifier, tenant, definitions))
  invariant(best, 'a request has an identifier')
  const signsIn = request.identifiers.some((identifier) => identifierKey(identifier) === sittingUser)
  const question: Question = {
    sequence: sequenceRow(tenant),
    best: founderOf(best, tenant, definitions),
    others,
    sitting: signsIn ? sittingOf(request, definitions) : null,
    user: sittingUser === null ? null : subjectOf(parseKey(sittingUser), tenant, definitions),
    edges: others.map(({ identifier }) => edgeRow(tenant, best.identifier, identifier)),
  }
  questions.set(request, { definitions, question })
  return question
}

function subjectOf({ namespace, hash }: Named, tenant: string, definitions: Definitions): Subject {
  const identifier = { namespace, hash }
  const rule = rulesOf(definitions).get(namespace) ?? plainRule
  return { identifier, row: identifierRow(tenant, identifier), rule }
}

function founderOf({ identifier, row, rule }: Subject, tenant: string, definitions: Definitions): Founder {
  const firstId = profileIdOf(definitions, identifier.namespace, identifier.hash)
  return { identifier, row, rule, firstId, firstRow: profileRow(tenant, firstId) }
}

/** Event ids, and so sitting ids, are the client's own: only with the client do they name one sitting. */
function sittingOf({ tenant, client, sittingId }: IdentityRequest, definitions: Definitions): Founder {
  const hash = identifierHash(definitions, sittingNamespace, `${client}/${sittingId}`)
  return founderOf(subjectOf({ namespace: sittingNamespace, hash }, tenant, definitions), tenant, definitions)
}

function parseKey(identifierKey: string): Named {
  const colon = identifierKey.lastIndexOf(':')
  return { namespace: identifierKey.slice(0, colon), hash: identifierKey.slice(colon + 1) }
}

/** Of namespaces the definitions in force do not have: the client key, a sitting, one that was removed. */
const plainRule: Link['rule'] = { class: 'cookie', unique: false }

const rulesOf = perDefinitions(
  ({ identity }): ReadonlyMap<string, NamespaceRule> =>
    new Map(identity.namespaces.map((rule) => [rule.namespace, rule])),
)
