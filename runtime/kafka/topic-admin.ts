/** Topics of a cluster and their settings: looked at, created, changed. */
import type { Apis } from './apis.ts'
import type { KafkaConnection } from './connection.ts'
import { codes, KafkaFault, requireNoFault } from './faults.ts'
import type { ClusterTopic, PlannedTopic } from './topic-plan.ts'

/** Kafka's number for settings of a topic. */
const topicResource = 2
const createTimeoutMs = 10_000

/** Those of the names that exist. */
export async function describeTopics(
  connection: KafkaConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, ClusterTopic>> {
  if (names.length === 0) return new Map()
  return connection.retrying('cannot look at the topics', {}, async () => {
    const found = (await connection.describe(names)).filter((topic) => {
      if (topic.topicErrorCode === codes.unknownTopicOrPartition) return false
      requireNoFault('Metadata', topic.topicErrorCode)
      return true
    })
    const configs = await describeConfigs(
      connection,
      found.map(({ topic }) => topic),
    )
    return new Map(
      found.map(({ topic, partitionMetadata }) => [
        topic,
        {
          partitions: partitionMetadata.length,
          replication: Math.min(...partitionMetadata.map(({ replicas }) => replicas.length)),
          config: configs.get(topic)!,
        },
      ]),
    )
  })
}

async function describeConfigs(
  connection: KafkaConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  if (names.length === 0) return new Map()
  const resources = names.map((name) => ({ type: topicResource, name, configNames: [] }))
  const answer = await (await connection.controller()).send('DescribeConfigs', { resources })
  return new Map(
    answer.resources.map(({ errorCode, resourceName, configEntries }) => {
      requireNoFault('DescribeConfigs', errorCode)
      return [resourceName, new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]))]
    }),
  )
}

/** Creates the topics and waits until all their partitions have leaders. One that exists by now is left as it is. */
export async function createTopics(
  connection: KafkaConnection,
  topics: readonly PlannedTopic[],
  replication: number | null,
): Promise<void> {
  if (topics.length === 0) return
  const request: Apis['CreateTopics']['request'] = {
    timeout: createTimeoutMs,
    topics: topics.map(({ name, partitions, config }) => ({
      topic: name,
      numPartitions: partitions,
      replicationFactor: replication ?? -1,
      configEntries: [...config].map(([setting, value]) => ({ name: setting, value })),
    })),
  }
  await connection.retrying('cannot create the topics', {}, async () => {
    const { topicErrors } = await (await connection.controller()).send('CreateTopics', request)
    for (const { topic, errorCode, errorMessage } of topicErrors)
      if (errorCode !== 0 && errorCode !== codes.topicAlreadyExists)
        throw new KafkaFault(`CreateTopics for ${topic} (${errorMessage})`, errorCode)
  })
  const names = topics.map(({ name }) => name)
  await connection.retrying('the topics were created, but have no leaders', {}, async () => {
    // A topic that the broker asked has not heard of yet is one whose leaders are not known, too.
    for (const { topicErrorCode, partitionMetadata } of await connection.describe(names))
      if (topicErrorCode !== 0 || partitionMetadata.some(({ leader }) => leader < 0))
        throw new KafkaFault('Metadata', codes.leaderNotAvailable)
  })
}

/** Sets the settings of each topic's `config`, and leaves its others alone. */
export async function alterTopics(connection: KafkaConnection, topics: readonly PlannedTopic[]): Promise<void> {
  if (topics.length === 0) return
  await connection.retrying('cannot change the settings of topics', {}, async () => {
    const controller = await connection.controller()
    const answers = await controller.sendOwn({
      apiKey: 44,
      apiVersion: 0,
      apiName: 'IncrementalAlterConfigs',
      body: alterRequest(topics),
      decode: alterAnswers,
    })
    for (const { topic, errorCode } of answers) requireNoFault(`IncrementalAlterConfigs for ${topic}`, errorCode)
  })
}

/** kafkajs has the older request only, which resets every setting that it does not name. */
function alterRequest(topics: readonly PlannedTopic[]): Buffer {
  const set = Buffer.from([0])
  return Buffer.concat([
    int32(topics.length),
    ...topics.flatMap(({ name, config }) => [
      Buffer.from([topicResource]),
      text(name),
      int32(config.size),
      ...[...config].flatMap(([setting, value]) => [text(setting), set, text(value)]),
    ]),
    Buffer.from([0]), // not for validation only
  ])
}

function alterAnswers(answer: Buffer): readonly { readonly topic: string; readonly errorCode: number }[] {
  let at = 8 // behind the throttle time and the count
  const textAt = (): string => {
    const length = Math.max(0, answer.readInt16BE(at)) // null is -1
    at += 2 + length
    return answer.toString('utf8', at - length, at)
  }
  return Array.from({ length: answer.readInt32BE(4) }, () => {
    const errorCode = answer.readInt16BE(at)
    at += 2
    textAt() // the message, which says no more than the code
    at += 1 // the kind of resource
    return { topic: textAt(), errorCode }
  })
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.alloc(2 + Buffer.byteLength(value))
  bytes.writeInt16BE(bytes.length - 2)
  bytes.write(value, 2)
  return bytes
}
