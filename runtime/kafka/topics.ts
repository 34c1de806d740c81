/** Topics as Kafka keeps them. */
import { MillraceError } from '../errors.ts'
import type { TopicSpec } from '../log.ts'
import { requireSamePartitions } from '../log-checks.ts'
import type { KafkaConnection } from './connection.ts'
import { codes, errorCodeOf, KafkaFault, requireNoFault } from './faults.ts'
import { latest, listOffset } from './offsets.ts'

const topicResource = 2
const createMs = 5000
const deleteMs = 5000
const dayMs = 24 * 3600 * 1000
/** Only closed segments are compacted: with Kafka's own 1 GiB a changelog would keep what is long superseded. */
const compactedSegmentBytes = 64 << 20

/** Creates what is missing, and waits until every partition has a leader that answers. TOPIC_MISMATCH before anything is created. */
export async function createTopics(
  connection: KafkaConnection,
  prefix: string,
  topics: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  const wireName = ({ name }: TopicSpec) => prefix + name
  /** Metadata names a leader before that knows of it. */
  const answers = async (topic: string, partition: number) =>
    listOffset(await connection.leaderOf(topic, partition), topic, partition, latest)
  const found = await describe(connection, topics.map(wireName))
  const missing = topics.filter(({ name, ...spec }) => {
    const partitions = found.get(prefix + name)?.length
    if (partitions !== undefined) requireSamePartitions({ ...spec, name, partitions }, { ...spec, name })
    return partitions === undefined
  })
  if (missing.length === 0) return
  await connection.retrying('cannot create topics', {}, async () => {
    const { topicErrors } = await (await connection.controller()).send('CreateTopics', {
      topics: missing.map((spec) => ({
        topic: prefix + spec.name,
        numPartitions: spec.partitions,
        replicationFactor,
        configEntries: [...declaredSettings(spec, replicationFactor)].map(([name, value]) => ({ name, value })),
      })),
      timeout: createMs,
    })
    for (const { topic, errorCode, errorMessage } of topicErrors) {
      if (errorCode === 0 || errorCode === codes.topicAlreadyExists) continue
      const fault = new KafkaFault('CreateTopics', errorCode)
      const code = errorCodeOf(fault)
      if (code === 'KAFKA_UNAVAILABLE') throw fault
      const name = topic.slice(prefix.length)
      throw new MillraceError(code, `cannot create the topic ${name}: ${errorMessage ?? fault.message}`, {
        cause: fault,
        place: { topic: name },
      })
    }
  })
  await connection.retrying('the topics that were created have no leaders yet', {}, async () => {
    const found = await describe(connection, missing.map(wireName))
    for (const { name, partitions } of missing) {
      if (found.get(prefix + name)?.length !== partitions) throw new KafkaFault('Metadata', codes.leaderNotAvailable)
      await Promise.all(Array.from({ length: partitions }, (_, partition) => answers(prefix + name, partition)))
    }
  })
}

/** Deletes those that are there, and waits until no broker we ask tells of them. */
export async function deleteTopics(
  connection: KafkaConnection,
  prefix: string,
  topics: readonly string[],
): Promise<void> {
  if (topics.length === 0) return
  const names = topics.map((name) => prefix + name)
  await connection.retrying('cannot delete topics', {}, async () => {
    const request = { topics: names, timeout: deleteMs }
    const { topicErrors } = await (await connection.controller()).send('DeleteTopics', request)
    for (const { errorCode } of topicErrors)
      if (errorCode !== codes.unknownTopicOrPartition) requireNoFault('DeleteTopics', errorCode)
  })
  await connection.retrying('the topics that were deleted are still there', {}, async () => {
    if ((await describe(connection, names)).size > 0) throw new KafkaFault('Metadata', codes.leaderNotAvailable)
  })
}

/** All topics of the prefix, by their names without it. */
export async function listTopics(connection: KafkaConnection, prefix: string): Promise<readonly TopicSpec[]> {
  const all = [...(await describe(connection, []))]
  const ours = all.filter(([topic]) => topic.startsWith(prefix) && !topic.startsWith('__'))
  return connection.retrying('cannot read the settings of topics', {}, async () => {
    const names = ours.map(([topic]) => topic)
    const configs = await settingsOf(connection, names)
    return ours.map(([topic, leaders]): TopicSpec => {
      const config = configs.get(topic) ?? new Map<string, string>()
      const cleanup = config.get('cleanup.policy')?.includes('compact') ? 'compact' : 'delete'
      const retention = Number(config.get('retention.ms') ?? -1)
      const retentionMs = cleanup === 'compact' || retention < 0 ? null : retention
      return { name: topic.slice(prefix.length), partitions: leaders.length, cleanup, retentionMs }
    })
  })
}

/**
 * The settings that our guarantees rest on; a topic's others are left to those who run the cluster. Records keep the log
 * time that they were written with; segments are closed and dropped by it.
 */
export function declaredSettings(
  { cleanup, retentionMs }: TopicSpec,
  replicationFactor: number,
): ReadonlyMap<string, string> {
  const own: Record<string, string | number> =
    cleanup === 'delete'
      ? { 'retention.ms': retentionMs ?? -1 }
      : { 'delete.retention.ms': dayMs, 'segment.bytes': compactedSegmentBytes }
  // What is acknowledged is on two disks, wherever one of three may fail.
  const copies: Record<string, string> = replicationFactor >= 3 ? { 'min.insync.replicas': '2' } : {}
  const settings = { 'cleanup.policy': cleanup, ...own, 'message.timestamp.type': 'CreateTime', ...copies }
  return new Map(Object.entries(settings).map(([name, value]) => [name, String(value)]))
}

/** The leader of each partition, by topic; -1 where there is none now. */
async function describe(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  return connection.retrying('cannot list the topics', {}, async () => {
    const found = new Map<string, readonly number[]>()
    for (const { topic, topicErrorCode, partitionMetadata } of await connection.describe(topics)) {
      if (topicErrorCode === codes.unknownTopicOrPartition) continue
      if (topicErrorCode !== codes.leaderNotAvailable) requireNoFault('Metadata', topicErrorCode)
      found.set(
        topic,
        partitionMetadata.map(({ leader }) => leader),
      )
    }
    return found
  })
}

async function settingsOf(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  if (topics.length === 0) return new Map()
  const configNames = ['cleanup.policy', 'retention.ms']
  const resources = topics.map((name) => ({ type: topicResource, name, configNames }))
  const answer = await (await connection.controller()).send('DescribeConfigs', { resources })
  return new Map(
    answer.resources.map(({ errorCode, resourceName, configEntries }) => {
      requireNoFault('DescribeConfigs', errorCode)
      return [resourceName, new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]))]
    }),
  )
}
