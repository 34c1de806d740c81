/** What kcat reads is what was committed, byte for byte, whatever the bytes. */
import { randomBytes, randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { kafkaForTests } from '../parts.ts'
import { hasKcat, readCommitted } from './kcat.ts'

const brokers = (await hasKcat()) ? await kafkaForTests() : undefined

/** Another client's record, which is in the log and was never committed. */
async function abortedBy(brokers: readonly string[], topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ key: 'aborted', value: 'x', headers: { kind: 'event' } }] })
  await transaction.abort()
  await producer.disconnect()
}

test.skipIf(!brokers)(
  'records come as they were committed, and nothing that was not',
  { timeout: 90_000 },
  async () => {
    const prefix = `kcat-${randomUUID()}.`
    const log = await KafkaLog.open({ brokers: brokers!, prefix })
    const record = (key: string, value: Buffer | null): AddressedRecord => ({
      topic: 'records',
      partition: 0,
      kind: 'event',
      key,
      value,
      timestampMs: 1_700_000_000_000 + key.length,
    })
    const committed = [
      record('plain', Buffer.from('value')),
      record('with blanks and\nlines', Buffer.from('a\nb c\n\n')),
      record('kind=x', Buffer.from('%k%s\\n')),
      record('tombstone', null),
      record('empty', Buffer.alloc(0)),
      record('é\u{1f600}', Buffer.from([0, 10, 255, 10, 0])),
      ...Array.from({ length: 4 }, (_, i) => record(`large ${i}`, randomBytes(200_000))),
    ]
    try {
      await log.createTopics([{ name: 'records', partitions: 1, cleanup: 'delete', retentionMs: null }])
      const writer = await log.writer('writer')
      for (const each of committed) await writer.commit({ outputs: [each] })
      await abortedBy(brokers!, `${prefix}records`)
      const read = []
      for await (const each of readCommitted(brokers!.join(','), `${prefix}records`, 0)) read.push(each)
      expect(read.map(({ key }) => key)).toEqual(committed.map(({ key }) => key))
      // The offsets between are those of the markers.
      expect(read).toEqual(committed.map(({ topic: _, ...each }, i) => ({ ...each, offset: 2 * i })))
    } finally {
      await log.close()
    }
  },
)
