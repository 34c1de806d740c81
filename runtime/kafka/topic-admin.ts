/** Topics of a cluster and their settings: looked at and changed. */
import type { KafkaConnection } from './connection.ts'
import { codes, requireNoFault } from './faults.ts'
import type { ClusterTopic, PlannedTopic } from './topic-plan.ts'

/** Kafka's number for settings of a topic. */
const topicResource = 2

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
    const settings = await settingsOf(
      connection,
      found.map(({ topic }) => topic),
    )
    return new Map(
      found.map(({ topic, partitionMetadata }) => [
        topic,
        {
          partitions: partitionMetadata.length,
          replication: Math.min(...partitionMetadata.map(({ replicas }) => replicas.length)),
          settings: settings.get(topic)!,
        },
      ]),
    )
  })
}

async function settingsOf(
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

/** Sets the planned settings of each topic, and leaves its others alone. */
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
    ...topics.flatMap(({ name, settings }) => [
      Buffer.from([topicResource]),
      text(name),
      int32(settings.size),
      ...[...settings].flatMap(([setting, value]) => [text(setting), set, text(value)]),
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
