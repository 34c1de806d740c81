/** What a cluster and its schema registry need to hold for a workspace to run on them: planned, then made so. */
import { positionsTopic } from '../../connectors/positions.ts'
import { deadTopicOf } from '../../connectors/runner.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { KafkaConnection } from '../../runtime/kafka/connection.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { PlannedItem } from '../../runtime/kafka/plan.ts'
import { RegistryClient } from '../../runtime/kafka/registry-client.ts'
import { applySubject, type PlannedSubject, planSubjects } from '../../runtime/kafka/subjects.ts'
import { alterTopics, describeTopics } from '../../runtime/kafka/topic-admin.ts'
import { clusterDefault, type PlannedTopic, planTopics } from '../../runtime/kafka/topic-plan.ts'
import { createTopics } from '../../runtime/kafka/topics.ts'
import type { TopicSpec } from '../../runtime/log.ts'
import { allTopics, topicOf } from '../../runtime/topology.ts'
import { connectTopic, embeddedPartitions, type Partitions } from '../../topologies/customer-data.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { topologyOver } from '../deployed-topology.ts'
import { feedPositionsTopic } from '../feed.ts'
import { generationInForce, generationLog, generationsTopic, ownTopics, replayPrefix } from '../generation.ts'
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
  const base = await KafkaLog.open({ ...kafka, prefix })
  try {
    const { connection } = base
    const generation = await generationInForce(base)
    const topics = await generationLog(base, generation).topics()
    const ids = destinations.map(({ id }) => id)
    const own = generation.number === 0 ? '' : replayPrefix(generation.name)
    const declared = declaredTopics(topics, ids, options.partitions).map((spec) => ({
      ...spec,
      name: prefix + (ownTopics.has(spec.name) ? own : '') + spec.name,
    }))
    const present = await describeTopics(
      connection,
      declared.map(({ name }) => name),
    )
    const plan = { topics: planTopics(declared, present, replication), subjects: await planSubjects(client) }
    return await use(plan, () => apply(plan, connection, client, replication))
  } finally {
    await base.close()
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

/** The topology's, and those that destinations, feeds of histories and generations keep their places in. */
function declaredTopics(
  present: readonly TopicSpec[],
  destinations: readonly string[],
  partitions: Partial<Partitions>,
): readonly TopicSpec[] {
  // A deployment is asked for their number once. Saying another one is refused, as the topics are there.
  const topology = topologyOver(present, destinations, { ...embeddedPartitions, ...partitions })
  const asked = new Map(
    topology.stages.flatMap(({ name, inbox }) => {
      const count = partitions[name as keyof Partitions]
      return count === undefined ? [] : [[inbox, count] as const]
    }),
  )
  const topics = topology.topics.map((topic) => ({ ...topic, partitions: asked.get(topic.name) ?? topic.partitions }))
  const refused = destinations.map((id) => deadTopicOf(topicOf(topology, connectTopic(id))))
  return [...allTopics({ ...topology, topics }), ...refused, positionsTopic, feedPositionsTopic, generationsTopic]
}
