/** A topology is a value: topics, and stages that read one and write others. It can be printed, drawn, tested, and run. */
import { MillraceError } from './errors.ts'
import type { TopicSpec } from './log.ts'
import type { AnyOperator, SchemaName } from './operator.ts'

export type TopicDeclaration = TopicSpec & {
  /** What the key is, for people. */
  readonly key: string
  /** Avro schema by record kind. */
  readonly kinds: Readonly<Record<string, SchemaName>>
  /** Written from outside, with log time given once: its readers keep their own clock. */
  readonly source?: boolean
}

export type StageDeclaration = {
  readonly name: string
  /** The one topic its tasks read, a partition each. */
  readonly inbox: string
  /** Chained in one transaction; those without state come first. */
  readonly operators: readonly AnyOperator[]
  /** Topics it writes, its inbox included when it writes to its peers. */
  readonly emits: readonly string[]
}

export type Topology = {
  readonly name: string
  readonly topics: readonly TopicDeclaration[]
  readonly stages: readonly StageDeclaration[]
}

/** Checks the wiring and answers it: every name resolves, an inbox has one reader, operators without state come first. */
export function defineTopology(topology: Topology): Topology {
  const fail = (what: string): never => {
    throw new MillraceError('CONFIG_INVALID', `topology ${topology.name}: ${what}`)
  }
  const topics = new Set<string>()
  for (const { name, partitions } of topology.topics) {
    if (topics.has(name)) fail(`topic ${name} is declared twice`)
    if (!Number.isInteger(partitions) || partitions < 1)
      fail(`topic ${name} has ${partitions} partitions, expected 1 or more`)
    topics.add(name)
  }
  const inboxes = new Set<string>()
  for (const stage of topology.stages) {
    for (const topic of [stage.inbox, ...stage.emits])
      if (!topics.has(topic)) fail(`stage ${stage.name} names the topic ${topic}, which is not declared`)
    if (inboxes.has(stage.inbox)) fail(`two stages read ${stage.inbox}; an inbox has one reader`)
    inboxes.add(stage.inbox)
    const firstStateful = stage.operators.findIndex((operator) => operator.state !== null)
    const lateStateless = stage.operators.findIndex((operator, i) => i > firstStateful && operator.state === null)
    if (firstStateful < 0) fail(`stage ${stage.name} has no operator with state`)
    if (lateStateless > 0)
      fail(`stage ${stage.name}: ${stage.operators[lateStateless]?.name} has no state and must come first`)
    if (new Set(stage.operators.map((o) => o.name)).size < stage.operators.length)
      fail(`stage ${stage.name} names an operator twice`)
  }
  return topology
}

export function topicOf(topology: Topology, name: string): TopicDeclaration {
  const topic = topology.topics.find((declared) => declared.name === name)
  if (!topic) throw new MillraceError('TOPIC_UNKNOWN', `there is no topic ${name}`)
  return topic
}

export function inboxOf(topology: Topology, stage: StageDeclaration): TopicDeclaration {
  return topicOf(topology, stage.inbox)
}

/** Names of a task, and of what belongs to it. */
export const taskName = (stage: string, partition: number): string => `${stage}/${partition}`
export const changelogOf = (stage: string): string => `${stage}.changelog`
export const deadOf = (stage: string): string => `${stage}.dead`
export const definitionsTopic = 'definitions'

/** The stages whose tasks write to a stage's inbox, itself left out: its watermark is the least of their ticks. */
export function upstreamOf(topology: Topology, stage: StageDeclaration): readonly StageDeclaration[] {
  if (inboxOf(topology, stage).source) return []
  return topology.stages.filter((other) => other.name !== stage.name && other.emits.includes(stage.inbox))
}

/** The inboxes a stage passes its ticks to: those it writes, sources and its own left out. */
export function downstreamOf(topology: Topology, stage: StageDeclaration): readonly TopicDeclaration[] {
  return topology.stages
    .filter((other) => other.name !== stage.name && stage.emits.includes(other.inbox))
    .map((other) => inboxOf(topology, other))
    .filter((topic) => !topic.source)
}

/** Every topic to create: the declared ones, and a changelog and a dead-letter topic for each stage. */
export function allTopics(topology: Topology): readonly TopicDeclaration[] {
  const day = 24 * 3600 * 1000
  const runtimeTopics = topology.stages.flatMap((stage): TopicDeclaration[] => {
    const { partitions } = inboxOf(topology, stage)
    return [
      {
        name: changelogOf(stage.name),
        partitions,
        cleanup: 'compact',
        retentionMs: null,
        key: 'as the state',
        kinds: { row: 'Row', checkpoint: 'Checkpoint' },
      },
      {
        name: deadOf(stage.name),
        partitions,
        cleanup: 'delete',
        retentionMs: 30 * day,
        key: 'as the record',
        kinds: { dead: 'DeadLetter', replayed: 'Replayed' },
      },
    ]
  })
  const definitions: TopicDeclaration = {
    name: definitionsTopic,
    partitions: 1,
    cleanup: 'delete',
    retentionMs: null,
    key: 'tenant/kind:id',
    kinds: { definition: 'Definition' },
  }
  return [...topology.topics, ...runtimeTopics, definitions]
}
