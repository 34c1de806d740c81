/** The topology of a deployment, as its topics tell: it is asked for partition counts and destinations once. */
import { MillraceError } from '../runtime/errors.ts'
import type { TopicSpec } from '../runtime/log.ts'
import { inboxOf, type Topology } from '../runtime/topology.ts'
import { connectTopic, customerData, embeddedPartitions, type Partitions } from '../topologies/customer-data.ts'

const connectPattern = new RegExp(`^${connectTopic('([^.]+)').replace('.', '\\.')}$`)

/** TOPIC_UNKNOWN when an inbox is not there. */
export function deployedTopology(topics: readonly TopicSpec[]): Topology {
  requireInboxes(topics)
  return topologyOver(topics, destinationsIn(topics), embeddedPartitions)
}

/** What a replay of it runs: all topics after its own counts, where they are not said as many as live. */
export function replayTopology(topics: readonly TopicSpec[], partitions: Partial<Partitions>): Topology {
  requireInboxes(topics)
  const present = inboxPartitions(topics, embeddedPartitions)
  return customerData(destinationsIn(topics), { ...present, ...partitions })
}

/** Every topic has as many partitions as it has; those that are not there yet follow the inboxes, or else `usual`. */
export function topologyOver(
  topics: readonly TopicSpec[],
  destinations: readonly string[],
  usual: Partitions,
): Topology {
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions]))
  const topology = customerData(destinations, inboxPartitions(topics, usual))
  return {
    ...topology,
    topics: topology.topics.map((topic) => ({ ...topic, partitions: counts.get(topic.name) ?? topic.partitions })),
  }
}

/** Those that there is a topic for, also of the past. */
export function destinationsIn(topics: readonly TopicSpec[]): readonly string[] {
  return topics.flatMap(({ name }) => connectPattern.exec(name)?.[1] ?? []).sort()
}

const declared = customerData([], embeddedPartitions)

function inboxPartitions(topics: readonly TopicSpec[], usual: Partitions): Partitions {
  const found = declared.stages.flatMap((stage) => {
    const inbox = topics.find(({ name }) => name === stage.inbox)
    return inbox ? [[stage.name, inbox.partitions] as const] : []
  })
  return { ...usual, ...Object.fromEntries(found) }
}

function requireInboxes(topics: readonly TopicSpec[]): void {
  const missing = declared.stages.find((stage) => !topics.some(({ name }) => name === inboxOf(declared, stage).name))
  if (missing)
    throw new MillraceError(
      'TOPIC_UNKNOWN',
      `there is no topic ${missing.inbox}; on a cluster \`millrace topics apply\` makes it`,
    )
}
