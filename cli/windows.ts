/** How far the rules of a workspace look back. */
import type { Expression, SegmentDefinition, TraitDefinition } from '../schemas/definitions.ts'

/** The longest window of any trait or segment; 0 when there is none. */
export function longestWindowMs(rules: {
  readonly traits: readonly TraitDefinition[]
  readonly segments: readonly SegmentDefinition[]
}): number {
  return Math.max(
    0,
    ...rules.traits.map(({ source }) => (source.kind === 'count' ? (source.windowMs ?? 0) : 0)),
    ...rules.segments.map(({ expression }) => windowOf(expression)),
  )
}

function windowOf(expression: Expression): number {
  switch (expression.op) {
    case 'and':
    case 'or':
      return Math.max(0, ...expression.of.map(windowOf))
    case 'not':
      return windowOf(expression.of)
    case 'count':
    case 'absent':
      return expression.windowMs ?? 0
    case 'trait':
    case 'trait_in':
    case 'has':
      return 0
  }
}
