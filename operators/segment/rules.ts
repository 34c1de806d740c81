/** The segments of a tenant, compiled for SEGMENT and listed by the events that can change them. */
import type { Membership } from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { perDefinitions } from '../memo.ts'
import { compileExpression, type Evaluate, eventsOf } from './expression.ts'

export type SegmentRule = {
  readonly id: string
  /** Digest of the expression. */
  readonly version: string
  readonly evaluate: Evaluate
  /** What is not stored of a profile: never a member, and nothing to wait for. */
  readonly outsider: Membership
}

export type SegmentRules = {
  /** Of the definitions; empty before there are any. */
  readonly hash: string
  readonly all: readonly SegmentRule[]
  /** Those that an event of the name can change. */
  forEvent(name: string | null): readonly SegmentRule[]
  has(segmentId: string): boolean
}

const compiled = perDefinitions(compile)

const noRules: SegmentRules = { hash: '', all: [], forEvent: () => [], has: () => false }

export function segmentRules(definitions: Definitions | undefined): SegmentRules {
  return definitions ? compiled(definitions) : noRules
}

function compile(definitions: Definitions): SegmentRules {
  const traits = new Map(definitions.traits.map((trait) => [trait.id, trait]))
  const listed = definitions.segments.map(({ id, version, expression }) => ({
    rule: {
      id,
      version,
      evaluate: compileExpression(expression, traits),
      outsider: { segmentId: id, version, member: false, seq: 0, effectiveAtMs: 0, validUntilMs: null },
    },
    events: eventsOf(expression, traits),
  }))
  const forName = (name: string | null) =>
    listed.filter(({ events }) => events.has(null) || events.has(name)).map(({ rule }) => rule)
  const named = new Map(listed.flatMap(({ events }) => [...events]).map((name) => [name, forName(name)]))
  const unnamed = forName(null)
  const ids = new Set(listed.map(({ rule }) => rule.id))
  return {
    hash: definitions.hash,
    all: listed.map(({ rule }) => rule),
    forEvent: (name) => named.get(name) ?? unnamed,
    has: (segmentId) => ids.has(segmentId),
  }
}
