/** What a cluster and its schema registry need to hold for a workspace to run on them: planned, then made so. */
import { positionsTopic } from '../../connectors/positions.ts'
import { deadTopicOf } from '../../connectors/runner.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { KafkaConnection } from '../../runtime/kafka/connection.ts'
import type { PlannedItem } from '../../runtime/kafka/plan.ts'
import { RegistryClient } from '../../runtime/kafka/registry-client.ts'
import { applySubject, type PlannedSubject, planSubjects } from '../../runtime/kafka/subjects.ts'
import { alterTopics, describeTopics } from '../../runtime/kafka/topic-admin.ts'
import { clusterDefault, type PlannedTopic, planTopics } from '../../runtime/kafka/topic-plan.ts'
import { createTopics } from '../../runtime/kafka/topics.ts'
import type { TopicSpec } from '../../runtime/log.ts'
import { allTopics, inboxOf, topicOf } from '../../runtime/topology.ts'
import { connectTopic, customerData, embeddedPartitions, type Partitions } from '../../topologies/customer-data.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { feedPositionsTopic } from '../feed.ts'
import type { ClusterPlace } from '../place.ts'

export type PlanOptions = {
  readonly place: ClusterPlace
  readonly workspaceFolder: string
  /** null: the cluster's default for what is created, and whatever there is for the rest. */
  readonly replication: number | null
  /** Of the stages named; the others keep what they have, or get the usual number. */
  readonly partitions: Partial<Partitions>
}

export type ClusterPlan = { readonly topics: readonly PlannedTopic[]; readonly subjects: readonly PlannedSubject[] }

/** The plan, and a way to perform it, for the time of `use`. CONFIG_INVALID with all problems of the workspace. */
export async function withClusterPlan<Result>(
  options: PlanOptions,
  use: (plan: ClusterPlan, apply: () => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const { replication } = options
  const { kafka, registryUrl, prefix } = options.place
  const { destinations } = await loadWorkspace(options.workspaceFolder)
  const client = new RegistryClient({ url: registryUrl, subjectPrefix: prefix })
  const connection = await KafkaConnection.open(kafka)
  try {
    const ids = destinations.map(({ id }) => id)
    const partitions = { ...(await presentPartitions(connection, prefix)), ...options.partitions }
    const declared = declaredTopics(ids, partitions).map((spec) => ({ ...spec, name: prefix + spec.name }))
    const present = await describeTopics(
      connection,
      declared.map(({ name }) => name),
    )
    const plan = { topics: planTopics(declared, present, replication), subjects: await planSubjects(client) }
    return await use(plan, () => apply(plan, connection, client, replication))
  } finally {
    await connection.close()
  }
}

/** Nothing is changed when an item is refused: TOPIC_MISMATCH or SCHEMA_INCOMPATIBLE, with all that are. */
async function apply(
  plan: ClusterPlan,
  connection: KafkaConnection,
  client: RegistryClient,
  replication: number | null,
): Promise<void> {
  const refused = [...plan.topics, ...plan.subjects].filter(({ action }) => action === 'refuse')
  if (refused.length > 0) {
    const reasons = refused.map(({ what, name, details }) => `  ${what} ${name}: ${details.join('; ')}`)
    throw new MillraceError(
      plan.topics.some(({ action }) => action === 'refuse') ? 'TOPIC_MISMATCH' : 'SCHEMA_INCOMPATIBLE',
      ['nothing was changed, for this cannot be as declared:', ...reasons].join('\n'),
    )
  }
  const to = <Item extends PlannedItem>(action: PlannedItem['action'], items: readonly Item[]) =>
    items.filter((item) => item.action === action)
  const missing = to('create', plan.topics).map(({ spec }) => spec)
  await createTopics(connection, '', missing, replication ?? clusterDefault)
  await alterTopics(connection, to('change', plan.topics))
  for (const subject of [...to('create', plan.subjects), ...to('change', plan.subjects)])
    await applySubject(client, subject)
}

/** The topology's, and those that destinations and feeds of histories keep their places in. */
function declaredTopics(destinations: readonly string[], partitions: Partitions): readonly TopicSpec[] {
  const topology = customerData(destinations, partitions)
  const refused = destinations.map((id) => deadTopicOf(topicOf(topology, connectTopic(id))))
  return [...allTopics(topology), ...refused, positionsTopic, feedPositionsTopic]
}

/** As many as the stages' inboxes have: a deployment is asked for their number once. */
async function presentPartitions(connection: KafkaConnection, prefix: string): Promise<Partitions> {
  const topology = customerData([], embeddedPartitions)
  const inboxes = topology.stages.map((stage) => [stage.name, prefix + inboxOf(topology, stage).name] as const)
  const present = await describeTopics(
    connection,
    inboxes.map(([, topic]) => topic),
  )
  const found = inboxes.flatMap(([stage, topic]) => {
    const partitions = present.get(topic)?.partitions
    return partitions === undefined ? [] : [[stage, partitions] as const]
  })
  return { ...embeddedPartitions, ...Object.fromEntries(found) }
}
