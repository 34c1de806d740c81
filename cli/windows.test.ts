import { expect, test } from 'vitest'
import type { Expression, SegmentDefinition, TraitDefinition } from '../schemas/definitions.ts'
import { longestWindowMs } from './windows.ts'

const match = { event: 'purchase', where: null }
const segment = (expression: Expression): SegmentDefinition => ({
  id: 's',
  description: '',
  source: '',
  expression,
  version: '',
})
const count = (windowMs: number | null): Expression => ({
  op: 'count',
  match,
  windowMs,
  comparison: '>=',
  threshold: 1,
})
const absent = (windowMs: number): Expression => ({ op: 'absent', match, windowMs, after: null })
const trait = (windowMs: number | null): TraitDefinition => ({
  id: 't',
  description: '',
  type: 'number',
  source: { kind: 'count', match, windowMs },
})

test('the longest window, however deep it stands', () => {
  expect(longestWindowMs({ traits: [], segments: [] })).toBe(0)
  expect(longestWindowMs({ traits: [trait(null), trait(70)], segments: [segment(count(50))] })).toBe(70)
  const deep = segment({ op: 'and', of: [{ op: 'not', of: { op: 'or', of: [absent(90), count(null)] } }, count(80)] })
  expect(longestWindowMs({ traits: [trait(70)], segments: [deep, segment({ op: 'has', trait: 't' })] })).toBe(90)
})
