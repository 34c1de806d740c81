/** What only a real broker can show: another client's transactions, retention, a broker that stops, and who is let in. */
import { randomUUID } from 'node:crypto'
import { Kafka, logLevel, type Transaction } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { kafkaForTests, ownKafka } from '../../test/parts.ts'
import type { AddressedRecord } from '../record.ts'
import { KafkaLog, type KafkaLogOptions } from './log.ts'

const plenty = { maxRecords: 1000, maxBytes: 1 << 20 }
const topic = 'events'

const brokers = await kafkaForTests()
const prefix = `kafka-log-${randomUUID()}.`
const opened: KafkaLog[] = []
const byeTo: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const log of opened.splice(0)) await log.close()
  for (const bye of byeTo.splice(0)) await bye()
})

async function open(options: KafkaLogOptions): Promise<KafkaLog> {
  const log = await KafkaLog.open(options)
  opened.push(log)
  return log
}

async function logWithTopic(options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
  const log = await open({ brokers: brokers!, prefix: `${prefix}${randomUUID()}.`, ...options })
  await log.createTopics([{ name: topic, partitions: 2, cleanup: 'delete', retentionMs: null }])
  return log
}

function record(key: string, partition = 0): AddressedRecord {
  return { topic, partition, kind: 'event', key, value: Buffer.from(key), timestampMs: 1000 }
}

/** An abort returns before its markers are written: until then the record is behind an open transaction. */
async function appendReadable(log: KafkaLog, key: string): Promise<void> {
  const [offset] = await log.append([record(key)])
  await log.arrival(topic, 0, offset!, new AbortController().signal)
}

async function keysOf(log: KafkaLog, offset = 0): Promise<string[]> {
  const { stable } = await log.ends(topic, 0)
  const keys: string[] = []
  for (let at = offset; at < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, 0, at, plenty)
    keys.push(...records.map(({ key }) => key))
    at = nextOffset
  }
  return keys
}

describe.skipIf(!brokers)('beside another client', () => {
  const ownPrefix = `${prefix}other.`
  const client = new Kafka({ brokers: [...(brokers ?? [])], logLevel: logLevel.NOTHING })

  async function transactions(count: number): Promise<Transaction[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const transactionalId = randomUUID()
        const producer = client.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
        await producer.connect()
        byeTo.push(() => producer.disconnect())
        return producer.transaction()
      }),
    )
  }
  const send = (transaction: Transaction, key: string | Buffer) =>
    transaction.send({ topic: ownPrefix + topic, messages: [{ key, value: 'x', partition: 0 }] })

  test('aborted records stay hidden when the transaction that began later is aborted first', async () => {
    const log = await logWithTopic({ prefix: ownPrefix })
    const [one, other] = (await transactions(2)) as [Transaction, Transaction]
    await send(one, 'one')
    await send(other, 'other')
    await other.abort()
    await send(one, 'one again')
    await one.abort()
    await appendReadable(log, 'seen')
    expect(await keysOf(log)).toEqual(['seen'])
  })

  test('aborted records stay hidden behind one with the key of an abort marker', async () => {
    const log = await logWithTopic({ prefix: ownPrefix })
    const { stable } = await log.ends(topic, 0)
    const [transaction] = (await transactions(1)) as [Transaction]
    await send(transaction, Buffer.alloc(4))
    await send(transaction, 'hidden')
    await transaction.abort()
    await appendReadable(log, 'seen too')
    expect(await keysOf(log, stable)).toEqual(['seen too'])
  })

  test('an open transaction holds the stable end, and what follows it waits', async () => {
    const log = await logWithTopic({ prefix: ownPrefix })
    const { stable } = await log.ends(topic, 0)
    const [transaction] = (await transactions(1)) as [Transaction]
    await send(transaction, 'open')
    await log.append([record('behind')])
    expect((await log.ends(topic, 0)).stable).toBe(stable)
    expect(await log.fetch(topic, 0, stable, plenty)).toEqual({ records: [], nextOffset: stable })
    const arrival = log.arrival(topic, 0, stable, new AbortController().signal)
    await transaction.commit()
    await arrival
    expect(await keysOf(log, stable)).toEqual(['open', 'behind'])
  })

  test('an offset that retention has passed is out of range, with what there is', async () => {
    const log = await logWithTopic({ prefix: ownPrefix })
    await log.append([record('kept')])
    const { stable } = await log.ends(topic, 0)
    const admin = client.admin()
    await admin.connect()
    await admin.fetchTopicOffsets(ownPrefix + topic) // or it knows no leaders
    await admin.deleteTopicRecords({
      topic: ownPrefix + topic,
      partitions: [{ partition: 0, offset: String(stable - 1) }],
    })
    await admin.disconnect()
    await expect(log.fetch(topic, 0, 0, plenty)).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message: `offset 0 of events/0 is outside of what is there, ${stable - 1} to ${stable}`,
    })
    expect(await keysOf(log, stable - 1)).toEqual(['kept'])
  })
})

describe.skipIf(!brokers)('a commit', () => {
  test('moves the position over its marker, also where it is the last there is', async () => {
    const log = await logWithTopic()
    const writer = await log.writer('identify/0')
    await writer.commit({ outputs: [record('a')] })
    const { stable } = await log.ends(topic, 0)
    expect(stable).toBe(2)
    expect((await log.fetch(topic, 0, 0, plenty)).nextOffset).toBe(stable)
    expect(await log.fetch(topic, 0, 1, plenty)).toEqual({ records: [], nextOffset: stable })
  })

  test('may be larger than a batch can be', async () => {
    const log = await logWithTopic()
    const writer = await log.writer('identify/0')
    const value = Buffer.alloc(200_000, 7)
    const outputs = Array.from({ length: 30 }, (_, i) => ({ ...record(`key ${i}`, i % 2), value }))
    const offsets = await writer.commit({ outputs })
    expect(offsets).toEqual(outputs.map((_, i) => Math.floor(i / 2)))
    expect(await keysOf(log)).toEqual(outputs.flatMap(({ key, partition }) => (partition === 0 ? [key] : [])))
  })

  test('goes on after what the broker refuses has been given up', async () => {
    const log = await logWithTopic()
    const writer = await log.writer('identify/0')
    const outputs = [record('a'), { ...record('too large', 1), value: Buffer.alloc(2 << 20) }]
    await expect(writer.commit({ outputs })).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
    await expect(writer.commit({ outputs: [record('b')] })).rejects.toThrow('broken invariant')
    await (await log.writer('identify/0')).commit({ outputs: [record('c')] })
    expect(await keysOf(log)).toEqual(['c'])
  })
})

const secret = 'correct horse'
const own = await ownKafka({ users: { millrace: secret } })

describe.skipIf(!own)('a broker that stops', () => {
  const kafka = own as LocalKafka
  const lostBrokers = () => kafka.brokers.split(',')
  const hurried = { requestTimeoutMs: 1000, patienceMs: 1500 }
  afterAll(() => kafka.stop())

  test('leaves the outcome of a commit unknown; the next writer of the task settles it', async () => {
    const log = await logWithTopic({ brokers: lostBrokers(), ...hurried })
    const writer = await log.writer('identify/0')
    await writer.commit({ outputs: [record('a')] })
    kafka.nodes[0]!.signal('SIGSTOP')
    await expect(writer.commit({ outputs: [record('b')] })).rejects.toMatchObject({
      code: 'COMMIT_UNKNOWN',
      retryable: true,
    })
    await expect(log.writer('identify/0')).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true })
    await expect(log.append([record('c')])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    kafka.nodes[0]!.signal('SIGCONT')
    await open({ brokers: lostBrokers() }) // waits until it answers again
    await (await log.writer('identify/0')).commit({ outputs: [record('d')] })
    const known = (await keysOf(log)).filter((key) => key === 'a' || key === 'd')
    expect(known).toEqual(['a', 'd'])
  })

  test('is waited for: reads, waiting readers, appends and commits go on when it is back', async () => {
    const log = await logWithTopic({ brokers: lostBrokers(), patienceMs: 30_000 })
    const writer = await log.writer('identify/0')
    await writer.commit({ outputs: [record('a')] })
    const { stable } = await log.ends(topic, 0)
    const arrival = log.arrival(topic, 0, stable, new AbortController().signal)
    await kafka.nodes[0]!.kill()
    const append = log.append([record('b')])
    const fetch = log.fetch(topic, 0, stable, plenty)
    await kafka.start()
    await Promise.all([append, fetch, arrival])
    await (await log.writer('identify/0')).commit({ outputs: [record('c')] })
    expect(await keysOf(log)).toEqual(['a', 'b', 'c'])
  })

  describe('and asks who is there', () => {
    beforeAll(() => kafka.start())
    const saslBrokers = () => kafka.saslBrokers.split(',')

    test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
      'takes the right password by %s',
      async (mechanism) => {
        const sasl = { mechanism, username: 'millrace', password: secret }
        const log = await logWithTopic({ brokers: saslBrokers(), sasl })
        await (await log.writer('identify/0')).commit({ outputs: [record('a')] })
        expect(await keysOf(log)).toEqual(['a'])
      },
    )

    test.each(['plain', 'scram-sha-256'] as const)(
      'refuses a wrong one by %s, and nothing is tried again',
      async (mechanism) => {
        const sasl = { mechanism, username: 'millrace', password: 'wrong' }
        const asked = KafkaLog.open({ brokers: saslBrokers(), sasl })
        await expect(asked).rejects.toMatchObject({ code: 'KAFKA_REFUSED', retryable: false })
      },
    )
  })
})
