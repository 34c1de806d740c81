/** segments/*.yaml: the rules that make audiences of profiles. */
import type { SegmentDefinition } from '../schemas/definitions.ts'
import { shortDigest } from './canonical.ts'
import { type RuleScope, readExpression } from './expression.ts'
import { description, mapping, text } from './shape.ts'
import type { Entry } from './source.ts'

const segmentShape = mapping({ description, when: text("a rule such as count('purchase', '30d') >= 2", 4_096) })

/** Null after a problem was noted. */
export function readSegment({ id, value, source }: Entry, scope: RuleScope): SegmentDefinition | null {
  const segment = source.read(segmentShape, [id], value)
  if (!segment) return null
  const { value: expression, problems } = readExpression(segment.when, scope)
  source.reportText([id, 'when'], problems)
  if (!expression) return null
  return { id, description: segment.description, source: segment.when, expression, version: shortDigest(expression) }
}
