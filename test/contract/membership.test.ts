import { AssignerProtocol, Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { assign, defaultAssignment } from '../../runtime/assignment.ts'
import { systemClock } from '../../runtime/clock.ts'
import { KafkaConnection } from '../../runtime/kafka/connection.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { defaultMembership, Membership } from '../../runtime/membership.ts'
import { HandClock } from '../../runtime/memory/clock.ts'
import { MemoryCoordinator } from '../../runtime/memory/coordinator.ts'
import { kafkaForTests } from '../parts.ts'
import { membershipContract } from './membership.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

membershipContract('memory', async () => {
  const clock = new HandClock({ settle })
  const coordinator = new MemoryCoordinator(clock)
  return {
    clock,
    sessionTimeoutMs: 6000,
    connect: async () => ({
      join: (request) => coordinator.join(request),
      sync: (seat, topic, given) => coordinator.sync(seat, topic, given),
      heartbeat: (seat) => coordinator.heartbeat(seat),
      show: (seat, topic, positions) => coordinator.show(seat, topic, positions),
      leave: (seat) => coordinator.leave(seat),
      kill: async () => undefined,
    }),
    pass: (ms) => clock.advance(ms),
    dispose: async () => undefined,
  }
})

const brokers = (await kafkaForTests())?.join(',')
if (brokers) {
  test('a group on Kafka shows other programs who reads what, and how far', async () => {
    const group = `test-membership-${process.pid}-${Date.now()}`
    const connection = await KafkaConnection.open({ brokers: brokers.split(',') })
    const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const topic = `${group}.inbox`
    await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] })
    let plans = 0
    const membership = Membership.join({
      group,
      topic: 'inbox',
      process: 'a',
      coordinator: new KafkaCoordinator(connection, `${group}.`),
      clock: systemClock,
      settings: defaultMembership,
      describe: async () => ({ endpoint: '', version: '', held: [] }),
      plan: (members) => assign(members, 3, defaultAssignment),
      assigned: () => plans++,
      failed: () => undefined,
    })
    await membership.prove()
    expect(plans).toBe(1)
    await membership.show(new Map([[1, 42]]))
    const [shown] = (await admin.describeGroups([group])).groups
    const given = AssignerProtocol.MemberAssignment.decode(shown!.members[0]!.memberAssignment)
    expect(given?.assignment).toEqual({ [topic]: [0, 1, 2] })
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    expect(offsets?.partitions.map(({ offset }) => offset)).toEqual(['-1', '42', '-1'])
    await membership.leave({ keepPlace: false })
    expect((await admin.describeGroups([group])).groups[0]!.state).toBe('Empty')
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
    await connection.close()
  })

  membershipContract('kafka', async () => ({
    clock: systemClock,
    sessionTimeoutMs: 6000,
    connect: async () => {
      const connection = await KafkaConnection.open({ brokers: brokers.split(',') })
      return Object.assign(new KafkaCoordinator(connection), { kill: () => connection.close() })
    },
    pass: (ms) => systemClock.sleep(ms, new AbortController().signal),
    dispose: async () => undefined,
  }))
} else describe.skip('membership: kafka (there is none)', () => test('is skipped', () => undefined))

test('a coordinator that is away for a while takes nobody their place', async () => {
  const clock = new HandClock({ settle })
  const coordinator = new MemoryCoordinator(clock)
  const failures: unknown[] = []
  const generations: number[] = []
  coordinator.away = true
  const membership = Membership.join({
    group: 'g',
    topic: 'inbox',
    process: 'a',
    coordinator,
    clock,
    settings: defaultMembership,
    describe: async () => ({ endpoint: '', version: '', held: [] }),
    plan: (members) => assign(members, 1, defaultAssignment),
    assigned: ({ generation }) => generations.push(generation),
    failed: (error) => failures.push(error),
  })
  await clock.advance(4000)
  coordinator.away = false
  await clock.advance(2000)
  coordinator.away = true
  await clock.advance(4000)
  await expect(membership.prove()).rejects.toMatchObject({ retryable: true, code: 'KAFKA_UNAVAILABLE' })
  coordinator.away = false
  await clock.advance(2000)
  await membership.prove()
  expect({ generations, failures, state: membership.state }).toEqual({
    generations: [1],
    failures: [],
    state: 'member',
  })
})
