/** The parts as tests use them: shared ones, and a Kafka of one's own that is killed, paused and guarded by a password. */
import { Kafka, logLevel, type SASLOptions } from 'kafkajs'
import { afterAll, describe, expect, test } from 'vitest'
import { kafkaForTests, ownKafka, redisForTests, registryForTests } from '../../test/parts.ts'

function adminOf(brokers: readonly string[], sasl?: SASLOptions) {
  const settings = { brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { retries: 0 } }
  return new Kafka({ ...settings, ...(sasl && { sasl }) }).admin()
}

async function answersTo(brokers: string, sasl?: SASLOptions): Promise<boolean> {
  const admin = adminOf(brokers.split(','), sasl)
  try {
    await admin.connect()
    return Array.isArray(await admin.listTopics())
  } catch {
    return false
  } finally {
    await admin.disconnect()
  }
}

test('all files that ask get the same Kafka', async ({ skip }) => {
  const [one, another] = await Promise.all([kafkaForTests(), kafkaForTests()])
  if (!one) return skip()
  expect(another).toEqual(one)
  expect(await answersTo(one.join(','))).toBe(true)
}, 120_000)

test('the registry answers as that of Confluent does', async ({ skip }) => {
  const url = await registryForTests()
  if (!url) return skip()
  const answer = await fetch(`${url}/subjects/local-test-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: '"string"' }),
  })
  expect(await answer.json()).toEqual({ id: expect.any(Number) })
}, 120_000)

test('Redis has an address', async ({ skip }) => {
  const url = await redisForTests()
  if (!url) return skip()
  expect(url).toMatch(/^rediss?:\/\//)
})

const kafka = await ownKafka({ users: { alice: 'wonderland' } })
describe.skipIf(!kafka)('a Kafka of its own', () => {
  afterAll(() => kafka?.stop())
  const scram = (password: string): SASLOptions => ({ mechanism: 'scram-sha-512', username: 'alice', password })

  test('lets in who proves to be a user', async () => {
    const { saslBrokers } = kafka!
    expect(await answersTo(saslBrokers, scram('wonderland'))).toBe(true)
    expect(await answersTo(saslBrokers, { ...scram('wonderland'), mechanism: 'scram-sha-256' } as SASLOptions)).toBe(
      true,
    )
    expect(await answersTo(saslBrokers, { mechanism: 'plain', username: 'alice', password: 'wonderland' })).toBe(true)
    expect(await answersTo(saslBrokers, scram('wonder'))).toBe(false)
    expect(await answersTo(saslBrokers)).toBe(false)
  })

  test('comes back from kill -9 with what it had', async () => {
    const admin = adminOf(kafka!.brokers.split(','))
    await admin.createTopics({ topics: [{ topic: 'kept' }], waitForLeaders: true })
    await admin.disconnect()
    await kafka!.nodes[0]!.kill()
    expect([kafka!.running, await answersTo(kafka!.brokers)]).toEqual([false, false])
    await kafka!.start()
    await admin.connect()
    expect(await admin.listTopics()).toContain('kept')
    await admin.disconnect()
  }, 60_000)
})
