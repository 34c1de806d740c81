/** The topology of a deployment, as its topics tell: it is asked for partition counts and destinations once. */
import { MillraceError } from '../runtime/errors.ts'
import type { TopicSpec } from '../runtime/log.ts'
import { inboxOf, type Topology } from '../runtime/topology.ts'
import { connectTopic, customerData, embeddedPartitions, type Partitions } from '../topologies/customer-data.ts'

const connectPattern = new RegExp(`^${connectTopic('([^.]+)').replace('.', '\\.')}$`)

/** `partitions` instead of those that the inboxes have. TOPIC_UNKNOWN when an inbox is not there. */
export function deployedTopology(topics: readonly TopicSpec[], partitions: Partial<Partitions> = {}): Topology {
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions]))
  const declared = customerData([], embeddedPartitions)
  const present = declared.stages.map((stage) => {
    const inbox = inboxOf(declared, stage).name
    const count = counts.get(inbox)
    if (count === undefined)
      throw new MillraceError(
        'TOPIC_UNKNOWN',
        `there is no topic ${inbox}; on a cluster \`millrace topics apply\` makes it`,
      )
    return [stage.name, count] as const
  })
  return customerData(destinationsIn(topics), {
    ...embeddedPartitions,
    ...Object.fromEntries(present),
    ...partitions,
  })
}

/** Those that there is a topic for, also of the past. */
export function destinationsIn(topics: readonly TopicSpec[]): readonly string[] {
  return topics.flatMap(({ name }) => connectPattern.exec(name)?.[1] ?? []).sort()
}
