/**
 * GRAPH: the one writer of a tenant's identity graph. It decides in the order of the log whose an event is, joins
 * profiles that turn out to be one person, sends the event on, and teaches the client.
 *
 * In: `request` from IDENTIFY, key tenant/shard. State: identifiers and their owners, profiles as a union-find forest,
 * edges between identifiers seen together, the tenant's sequence. Out, in this order:
 *   identity.changes    one record per decision, numbered without gaps
 *   identity.aliases    merged profile -> the one it went into, one hop
 *   events.identified   merge orders to both sides, then the event
 *   events.raw          `learned`: the answer, to the client
 *
 * A notice brings no event, and gets an answer only if it found something else than it was told.
 * In, too: `alias`, when a replay is promoted: what the topic of aliases lacks, or still has, of what this graph decided.
 */
import { invariant } from '../../runtime/errors.ts'
import {
  type Context,
  count,
  type Effect,
  emit,
  erase,
  type Inbound,
  type Operator,
  put,
} from '../../runtime/operator.ts'
import type {
  AdoptedAlias,
  Edge,
  GraphState,
  IdentifiedEvent,
  IdentifierNode,
  IdentityAlias,
  IdentityRequest,
  Learned,
  LinkedIdentifier,
  MergeOrder,
} from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { fragmentOf } from '../ids.ts'
import { byAge, joined, listedIdentifiersMax, newRoot, type Root } from './forest.ts'
import { Ledger } from './ledger.ts'
import { edgeState, identifierState, profileRow, profileState, sequenceRow, sequenceState } from './rows.ts'
import { type Link, rowsToRead, type Survey, surveyOf } from './survey.ts'
import { type Verdict, verdictOn } from './verdict.ts'

export type GraphRecord = Inbound<'request', IdentityRequest> | Inbound<'alias', AdoptedAlias>

type GraphContext = Context<GraphState, Definitions>

export const graph: Operator<GraphRecord, GraphState, Definitions> = {
  name: 'graph',
  state: 'GraphState',

  needs({ kind, value }, known, definitions) {
    return definitions && kind === 'request' ? rowsToRead(value, definitions, known.state) : []
  },

  process({ kind, value }, context) {
    return kind === 'request' ? onRequest(value, context) : onAlias(value)
  },
}

function onRequest(request: IdentityRequest, context: GraphContext): readonly Effect[] {
  const { tenant } = request
  const { definitions, clockMs, generation } = context
  invariant(definitions, 'requests of a tenant come after its definitions')
  const survey = surveyOf(request, definitions, context.state)
  const verdict = verdictOn(request, survey)
  const foundingRow = verdict.founding && profileRow(tenant, verdict.founding.profileId)
  invariant(!foundingRow || !context.state(foundingRow), 'a profile is founded under an id not in use')
  const { ruleVersion } = definitions.identity
  const ledger = new Ledger({ request, rule: verdict.rule, ruleVersion, decidedAtMs: clockMs, generation }, survey.seq)

  const merge = mergeOf(request, verdict, ledger)
  recordLinks(verdict, merge.root, ledger)
  return [
    ...profileRowsOf(request, verdict, merge),
    ...identifierRowsOf(request, survey, verdict, merge),
    ...edgesOf(request, survey, ruleVersion),
    ...(ledger.seq > survey.seq ? [put(sequenceRow(tenant), sequenceState(ledger.seq))] : []),
    ...ledger.effects,
    ...merge.emissions,
    ...eventOf(request, survey, verdict, merge.root, ledger.seq),
    ...answerOf(request, survey, verdict, merge.root, ledger.seq),
    ...counted('profiles.created', verdict.founding ? 1 : 0),
    ...counted('merges', merge.lost.length),
    ...counted('merges.refused', verdict.refused.length),
    ...counted('identifiers.overshared', verdict.overshared),
  ]
}

function onAlias({ tenant, profileId, alias }: AdoptedAlias): readonly Effect[] {
  const key = `${tenant}/${profileId}`
  return [alias ? emit('identity.aliases', 'alias', key, alias) : erase('identity.aliases', 'alias', key)]
}

// --- one profile of all that were accepted ---

type Merge = {
  readonly root: Root
  /** Former roots that point at another now. */
  readonly below: readonly Root[]
  /** Profiles that are no more. */
  readonly lost: readonly string[]
  readonly emissions: readonly Effect[]
}

function mergeOf(request: IdentityRequest, { accepted, founding }: Verdict, ledger: Ledger): Merge {
  const { tenant, eventId, foundedAtMs: effectiveAtMs } = request
  const roots = [...accepted]
  if (founding) {
    const { profileId, on } = founding
    ledger.write({ type: 'profile_created', from: [], to: profileId, identifier: on.identifier })
    roots.push(newRoot(profileId, effectiveAtMs))
  }
  const [survivor, ...losers] = roots.sort(byAge)
  invariant(survivor, 'an event belongs to a profile')
  const to = survivor.node.survivor
  const aliases: Effect[] = []
  const orders: Effect[] = []
  for (const { node } of losers) {
    const from = node.survivor
    const { changeId, seq: identitySeq } = ledger.write({ type: 'profile_merged', from: [from], to, identifier: null })
    const alias: IdentityAlias = { tenant, profileId: from, mergedInto: to, identitySeq }
    const order: MergeOrder = { tenant, mergeId: changeId, from, to, identitySeq, eventId, effectiveAtMs }
    aliases.push(emit('identity.aliases', 'alias', `${tenant}/${from}`, alias))
    for (const side of [from, to]) orders.push(emit('events.identified', 'merge', `${tenant}/${side}`, order))
  }
  const { root, below } = joined(roots, ledger.seq)
  return { root, below, lost: losers.map(({ node }) => node.survivor), emissions: [...aliases, ...orders] }
}

// --- who owns what from now on ---

function recordLinks({ linked, refused }: Verdict, { node }: Root, ledger: Ledger): void {
  const to = node.survivor
  for (const { identifier } of linked) ledger.write({ type: 'identifier_linked', from: [], to, identifier })
  for (const { link, roots } of refused) {
    const from = roots.map((root) => root.node.survivor)
    ledger.write({ type: 'merge_refused', from, to, identifier: link.identifier })
  }
}

function profileRowsOf(request: IdentityRequest, verdict: Verdict, { root, below }: Merge): readonly Effect[] {
  const rows = [...below]
  if (addsTo(root, verdict)) rows.push(enriched(root, request, verdict))
  else if (verdict.founding || below.length > 0) rows.push(root)
  return rows.map(({ id, node }) => put(profileRow(request.tenant, id), profileState(node)))
}

function identifierRowsOf(
  request: IdentityRequest,
  { links, sitting }: Survey,
  verdict: Verdict,
  { root, below }: Merge,
): readonly Effect[] {
  const joinedIds = new Set(below.map(({ id }) => id))
  const effects: Effect[] = []
  for (const link of sitting ? [...links, sitting] : links) {
    const node = ownersAfter(link, request, verdict, root.id, joinedIds)
    if (node) effects.push(put(link.row, identifierState(node)))
  }
  return effects
}

function addsTo({ node }: Root, { linked, unique }: Verdict): boolean {
  return linked.length > 0 || unique.some(([namespace, hash]) => node.unique[namespace] !== hash)
}

function enriched({ id, node }: Root, { foundedAtMs }: IdentityRequest, { linked, unique }: Verdict): Root {
  const listed = linked.map(
    ({ identifier: { namespace, hash } }): LinkedIdentifier => ({ namespace, hash, linkedAtMs: foundedAtMs }),
  )
  return {
    id,
    node: {
      ...node,
      unique: unique.length === 0 ? node.unique : { ...node.unique, ...Object.fromEntries(unique) },
      identifiers: [...node.identifiers, ...listed].slice(0, listedIdentifiersMax),
    },
  }
}

/** The identifier's row, with paths to its owners shortened to roots; undefined when it stays as it is. */
function ownersAfter(
  link: Link,
  { foundedAtMs }: IdentityRequest,
  { linked, founding }: Verdict,
  rootId: string,
  joinedIds: ReadonlySet<string>,
): IdentifierNode | undefined {
  const gains = linked.includes(link)
  const present = link.roots.map(({ id }) => (joinedIds.has(id) ? rootId : id))
  const owners = [...new Set(gains ? [...present, rootId] : present)]
  const links = (link.node?.links ?? 0) + (gains || founding?.on === link ? 1 : 0)
  const { node } = link
  if (owners.length === 0 && links === 0) return undefined
  if (node && node.links === links && sameList(node.owners, owners)) return undefined
  return { owners, links, firstSeenMs: Math.min(node?.firstSeenMs ?? foundedAtMs, foundedAtMs) }
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}

function edgesOf(request: IdentityRequest, { edges }: Survey, ruleVersion: string): readonly Effect[] {
  const { foundedAtMs: atMs, eventId, event } = request
  return edges.map(({ row, edge }) => {
    const next: Edge = edge
      ? {
          ...edge,
          firstSeenMs: Math.min(edge.firstSeenMs, atMs),
          lastSeenMs: Math.max(edge.lastSeenMs, atMs),
          count: edge.count + 1,
        }
      : { firstSeenMs: atMs, lastSeenMs: atMs, count: 1, eventId, source: event?.source ?? '', ruleVersion }
    return put(row, edgeState(next))
  })
}

// --- the event, and the answer ---

function eventOf(
  request: IdentityRequest,
  { links }: Survey,
  { sittingOnly }: Verdict,
  { node }: Root,
  identitySeq: number,
): readonly Effect[] {
  const { tenant, client, sittingId, identifiers, event } = request
  if (!event) return []
  const best = links[0]!
  const personal = best.rule.class === 'person' && !sittingOnly
  const value: IdentifiedEvent = {
    tenant,
    profileId: node.survivor,
    fragment: fragmentOf(best.identifier, personal ? null : sittingId),
    client,
    sittingId,
    identitySeq,
    hops: 0,
    identifiers,
    event,
  }
  return [emit('events.identified', 'event', `${tenant}/${node.survivor}`, value)]
}

function answerOf(
  request: IdentityRequest,
  { firstId }: Survey,
  { sittingOnly }: Verdict,
  { node }: Root,
  identitySeq: number,
): readonly Effect[] {
  const { tenant, client, requestSeq, setKey, kind, sittingId } = request
  const profileId = node.survivor
  const told = kind === 'notice' ? firstId : null
  if (told === profileId && !sittingOnly) return []
  const learned: Learned = {
    tenant,
    client,
    requestSeq,
    setKey,
    sittingId: sittingOnly ? sittingId : null,
    profileId,
    replaces: told === profileId ? null : told,
    identitySeq,
  }
  return [emit('events.raw', 'learned', `${tenant}/${client}`, learned)]
}

const counted = (name: string, by: number): readonly Effect[] => (by > 0 ? [count(name, by)] : [])
