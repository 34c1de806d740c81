/**
 * Profiles as a union-find forest. A tree is one profile. Trees are joined by rank, so that no path is longer than
 * log2 of the tree's nodes; which profile survives is another matter, and stands in the root: the oldest.
 */
import { invariant } from '../../runtime/errors.ts'
import type { LinkedIdentifier, ProfileNode } from '../../schemas/avro/types.ts'

export type Root = { readonly id: string; readonly node: ProfileNode }

/** A root keeps the first identifiers it was given; all of them are in `identity.changes`. */
export const listedIdentifiersMax = 200

export function newRoot(profileId: string, createdAtMs: number): Root {
  const node: ProfileNode = {
    createdAtMs,
    survivor: profileId,
    parent: null,
    rank: 0,
    mergeSeq: null,
    unique: {},
    identifiers: [],
    merges: 0,
  }
  return { id: profileId, node }
}

/** The root of a node's tree; undefined while a node on the way has not been read. */
export function rootOf(id: string, read: (id: string) => ProfileNode | null | undefined): Root | undefined {
  let at = id
  let node = read(at)
  for (let steps = 0; node && node.parent !== null; steps++) {
    invariant(steps < rankMax, 'no path in the graph is longer than the rank of its root')
    at = node.parent
    node = read(at)
  }
  return node ? { id: at, node } : undefined
}

const rankMax = 64

/** A profile that somebody is known to be: one with a value of a unique namespace. */
export function isKnown({ node }: Root): boolean {
  return Object.keys(node.unique).length > 0
}

export function isAmong(roots: readonly Root[], { id }: Root): boolean {
  return roots.some((root) => root.id === id)
}

/** Oldest first: the profile created first survives a merge, among equals the smallest id. */
export function byAge(a: Root, b: Root): number {
  return a.node.createdAtMs - b.node.createdAtMs || (a.node.survivor < b.node.survivor ? -1 : 1)
}

/** One tree of several: the new root, and the nodes that were roots and now point at it. */
export function joined(
  roots: readonly Root[],
  mergeSeq: number,
): { readonly root: Root; readonly below: readonly Root[] } {
  const byRank = [...roots].sort((a, b) => b.node.rank - a.node.rank || byAge(a, b))
  const [top, ...rest] = byRank
  invariant(top, 'there is something to join')
  if (rest.length === 0) return { root: top, below: [] }
  const oldest = roots.reduce((a, b) => (byAge(a, b) <= 0 ? a : b))
  const node: ProfileNode = {
    createdAtMs: oldest.node.createdAtMs,
    survivor: oldest.node.survivor,
    parent: null,
    rank: top.node.rank + (rest[0]!.node.rank === top.node.rank ? 1 : 0),
    mergeSeq: null,
    unique: Object.fromEntries(roots.flatMap((each) => Object.entries(each.node.unique))),
    identifiers: roots
      .flatMap((each) => each.node.identifiers)
      .sort(byLink)
      .slice(0, listedIdentifiersMax),
    merges: roots.reduce((sum, each) => sum + each.node.merges, rest.length),
  }
  const below = rest.map(({ id, node: lost }) => ({
    id,
    node: { ...lost, parent: top.id, mergeSeq, unique: {}, identifiers: [] },
  }))
  return { root: { id: top.id, node }, below }
}

/** Order of linking; ties by name, so that the list does not depend on the order of a merge. */
function byLink(a: LinkedIdentifier, b: LinkedIdentifier): number {
  if (a.linkedAtMs !== b.linkedAtMs) return a.linkedAtMs - b.linkedAtMs
  return `${a.namespace}:${a.hash}` < `${b.namespace}:${b.hash}` ? -1 : 1
}
