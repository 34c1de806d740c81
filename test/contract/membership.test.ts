import { describe, expect, test } from 'vitest'
import { assign, defaultAssignment } from '../../runtime/assignment.ts'
import { systemClock } from '../../runtime/clock.ts'
import { KafkaConnection } from '../../runtime/kafka/connection.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { defaultMembership, Membership } from '../../runtime/membership.ts'
import { HandClock } from '../../runtime/memory/clock.ts'
import { MemoryCoordinator } from '../../runtime/memory/coordinator.ts'
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
      leave: (seat) => coordinator.leave(seat),
      kill: async () => undefined,
    }),
    pass: (ms) => clock.advance(ms),
    dispose: async () => undefined,
  }
})

const brokers = process.env['KAFKA_BROKERS']
if (brokers) {
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
} else describe.skip('membership: kafka (KAFKA_BROKERS is not set)', () => test('is skipped', () => undefined))

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
