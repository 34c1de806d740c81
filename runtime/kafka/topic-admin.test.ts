import { randomUUID } from 'node:crypto'
import { afterAll, test as anyTest, beforeAll, expect } from 'vitest'
import { kafkaForTests } from '../../test/parts.ts'
import type { TopicSpec } from '../log.ts'
import { KafkaConnection } from './connection.ts'
import { alterTopics, describeTopics } from './topic-admin.ts'
import { planTopics } from './topic-plan.ts'
import { createTopics } from './topics.ts'

const brokers = await kafkaForTests()
const test = anyTest.skipIf(!brokers)

let connection: KafkaConnection
beforeAll(async () => {
  connection = await KafkaConnection.open({ brokers: brokers! })
})
afterAll(() => connection.close())

const dayMs = 24 * 3600 * 1000

const newTopics = (): readonly [TopicSpec, TopicSpec, TopicSpec] => {
  const prefix = `registry-test-${randomUUID()}-`
  return [
    { name: `${prefix}events`, partitions: 3, cleanup: 'delete', retentionMs: 30 * dayMs },
    { name: `${prefix}changes`, partitions: 1, cleanup: 'delete', retentionMs: null },
    { name: `${prefix}state`, partitions: 2, cleanup: 'compact', retentionMs: null },
  ]
}

const planned = async (topics: readonly TopicSpec[], replication: number | null = null) =>
  planTopics(
    topics,
    await describeTopics(
      connection,
      topics.map(({ name }) => name),
    ),
    replication,
  )

test('topics are planned, created as declared, and then there is nothing to do', async () => {
  const topics = newTopics()
  const plan = await planned(topics, 1)
  expect(plan.map(({ action, details }) => [action, ...details])).toEqual([
    [
      'create',
      '3 partitions',
      'replication 1',
      'cleanup.policy delete',
      'retention.ms 2592000000 (30 days)',
      'message.timestamp.type CreateTime',
    ],
    [
      'create',
      '1 partition',
      'replication 1',
      'cleanup.policy delete',
      'retention.ms -1 (for ever)',
      'message.timestamp.type CreateTime',
    ],
    [
      'create',
      '2 partitions',
      'replication 1',
      'cleanup.policy compact',
      'delete.retention.ms 86400000 (1 day)',
      'segment.bytes 67108864',
      'message.timestamp.type CreateTime',
    ],
  ])
  await createTopics(connection, '', topics, 1)
  await createTopics(connection, '', topics, 1) // as by two at once
  for (const replication of [1, null])
    expect((await planned(topics, replication)).map(({ action }) => action)).toEqual(['keep', 'keep', 'keep'])
  for (let partition = 0; partition < 3; partition++)
    expect(await connection.leaderOf(topics[0].name, partition)).toMatchObject({ usable: true })
})

test('a setting that somebody changed is told and set again; what else they set stays', async () => {
  const topics = newTopics()
  const [events, changes] = topics
  await createTopics(connection, '', topics, -1)
  const plan = await planned([events])
  const altered = new Map([
    ['retention.ms', String(dayMs)],
    ['segment.ms', '86400000'],
  ])
  await alterTopics(connection, [{ ...plan[0]!, settings: altered }])

  const drifted = await planned(topics)
  expect(drifted.map(({ action, details }) => [action, ...details])).toEqual([
    ['change', 'retention.ms 86400000 (1 day) → 2592000000 (30 days)'],
    ['keep'],
    ['keep'],
  ])
  await alterTopics(
    connection,
    drifted.filter(({ action }) => action === 'change'),
  )
  expect((await planned(topics)).map(({ action }) => action)).toEqual(['keep', 'keep', 'keep'])
  const { settings } = (await describeTopics(connection, [events.name])).get(events.name)!
  expect(settings.get('segment.ms')).toBe('86400000')

  const compacted = { ...changes, cleanup: 'compact' } as const
  expect(await planned([compacted])).toMatchObject([
    { action: 'change', details: ['cleanup.policy delete → compact', expect.stringContaining('segment.bytes')] },
  ])
})

test('another number of partitions, or of replicas, is refused with the reason', async () => {
  const topics = newTopics()
  await createTopics(connection, '', topics, -1)
  const [events] = topics
  expect(await planned([{ ...events, partitions: 6, retentionMs: null }], 3)).toMatchObject([
    {
      action: 'refuse',
      details: [
        expect.stringMatching(/^it has 3 partitions, not 6: .* keys move .*`millrace replay --partitions`/),
        expect.stringMatching(/^its replication is 1, not 3: /),
      ],
    },
  ])
})

test('more replicas than brokers is what the broker says it is', async () => {
  await expect(createTopics(connection, '', newTopics(), 7)).rejects.toMatchObject({
    code: 'KAFKA_REFUSED',
    message: expect.stringMatching(/replication factor/i),
  })
})
