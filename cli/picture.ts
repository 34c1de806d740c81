/** Pictures of any topology, made of the value itself. */
import type { StageDeclaration, TopicDeclaration, Topology } from '../runtime/topology.ts'

/** For a terminal: each stage with its operators, what it reads, and where what it writes goes. */
export function drawTopology(topology: Topology): string {
  const stages = topology.stages.flatMap((stage) => ['', ...drawStage(topology, stage)])
  return [topology.name, ...stages, '', ...drawTopics(topology.topics)].join('\n')
}

/** A Mermaid flowchart: stages as boxes of operators, topics as pipes between them. */
export function mermaidTopology(topology: Topology): string {
  const stages = topology.stages.flatMap(({ name, inbox, operators, emits }) => [
    `  ${nodeOf('stage', name)}["${name}<br/>${operators.map((operator) => operator.name).join(' ▸ ')}"]`,
    `  ${nodeOf('topic', inbox)} --> ${nodeOf('stage', name)}`,
    ...emits.map((topic) => `  ${nodeOf('stage', name)} --> ${nodeOf('topic', topic)}`),
  ])
  const topics = topology.topics.map(({ name }) => `  ${nodeOf('topic', name)}([${name}])`)
  return ['flowchart LR', ...topics, ...stages].join('\n')
}

function drawStage(topology: Topology, { name, inbox, operators, emits }: StageDeclaration): string[] {
  const chain = operators.map((operator) => operator.name).join(' ▸ ')
  const head = `  ${inbox} ──► ${name} [ ${chain} ]`
  const indent = ' '.repeat(2 + inbox.length + ' ──► '.length)
  const lines = emits.map((topic, place) => {
    const branch = place === emits.length - 1 ? '└──►' : '├──►'
    const reader = topology.stages.find((stage) => stage.inbox === topic)
    return `${indent}${branch} ${topic}${reader ? `  (read by ${reader.name})` : ''}`
  })
  return [head, ...lines]
}

function drawTopics(topics: readonly TopicDeclaration[]): string[] {
  const rows = topics.map(({ name, partitions, key, cleanup, retentionMs, kinds }) => [
    name,
    String(partitions),
    key,
    cleanup === 'compact'
      ? 'last value of a key'
      : retentionMs === null
        ? 'for ever'
        : `${retentionMs / 86_400_000} days`,
    Object.keys(kinds).join(', '),
  ])
  const table = [['topic', 'partitions', 'key', 'kept', 'kinds'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  return table.map(
    (row) =>
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}`,
  )
}

const nodeOf = (kind: 'stage' | 'topic', name: string): string => `${kind}_${name.replaceAll(/\W/g, '_')}`
