import { expect, test } from 'vitest'
import { defineTopology } from '../runtime/topology.ts'
import { drawTopology, mermaidTopology } from './picture.ts'

const operator = (name: string, state: 'ClientState' | null) => ({ name, state, process: () => [] })
const topic = (name: string, partitions: number) => ({
  name,
  partitions,
  cleanup: 'delete' as const,
  retentionMs: null,
  key: 'tenant/x',
  kinds: { event: 'Event' as const },
})
const topology = defineTopology({
  name: 'tiny',
  topics: [{ ...topic('in', 2), source: true }, topic('mid.way', 1), { ...topic('out', 3), cleanup: 'compact' }],
  stages: [
    {
      name: 'first',
      inbox: 'in',
      operators: [operator('a', null), operator('b', 'ClientState')],
      emits: ['mid.way', 'out'],
    },
    { name: 'second', inbox: 'mid.way', operators: [operator('c', 'ClientState')], emits: ['out'] },
  ],
})

test('a terminal picture of any topology', () => {
  expect(drawTopology(topology)).toBe(
    [
      'tiny',
      '',
      '  in ──► first [ a ▸ b ]',
      '         ├──► mid.way  (read by second)',
      '         └──► out',
      '',
      '  mid.way ──► second [ c ]',
      '              └──► out',
      '',
      '  topic    partitions  key       kept                 kinds',
      '  in       2           tenant/x  for ever             event',
      '  mid.way  1           tenant/x  for ever             event',
      '  out      3           tenant/x  last value of a key  event',
    ].join('\n'),
  )
})

test('a Mermaid picture of any topology', () => {
  expect(mermaidTopology(topology).split('\n')).toEqual([
    'flowchart LR',
    '  topic_in([in])',
    '  topic_mid_way([mid.way])',
    '  topic_out([out])',
    '  stage_first["first<br/>a ▸ b"]',
    '  topic_in --> stage_first',
    '  stage_first --> topic_mid_way',
    '  stage_first --> topic_out',
    '  stage_second["second<br/>c"]',
    '  topic_mid_way --> stage_second',
    '  stage_second --> topic_out',
  ])
})
