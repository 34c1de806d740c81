/** The rows of the graph: the key tells what a row is. */
import type { Key } from '../../runtime/operator.ts'
import type { Edge, GraphState, IdentifierNode, ProfileNode } from '../../schemas/avro/types.ts'
import { identifierKey } from '../ids.ts'

export type Named = { readonly namespace: string; readonly hash: string }

export const sequenceRow = (tenant: string): Key => `${tenant}/seq`
export const identifierRow = (tenant: string, identifier: Named): Key => `${tenant}/id:${identifierKey(identifier)}`
export const profileRow = (tenant: string, nodeId: string): Key => `${tenant}/profile:${nodeId}`

/** The same row whichever of the two is named first. */
export function edgeRow(tenant: string, a: Named, b: Named): Key {
  const [first, second] = [identifierKey(a), identifierKey(b)].sort()
  return `${tenant}/edge:${first}|${second}`
}

export const sequenceState = (seq: number): GraphState => ({
  sequence: { seq },
  identifier: null,
  profile: null,
  edge: null,
})
export const identifierState = (identifier: IdentifierNode): GraphState => ({
  sequence: null,
  identifier,
  profile: null,
  edge: null,
})
export const profileState = (profile: ProfileNode): GraphState => ({
  sequence: null,
  identifier: null,
  profile,
  edge: null,
})
export const edgeState = (edge: Edge): GraphState => ({ sequence: null, identifier: null, profile: null, edge })
