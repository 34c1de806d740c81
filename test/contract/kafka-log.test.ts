import { randomUUID } from 'node:crypto'
import { describe } from 'vitest'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { kafkaForTests } from '../parts.ts'
import { logContract } from './log.ts'

const brokers = (await kafkaForTests())!

describe.skipIf(!brokers)('on a real broker', () => {
  logContract('kafka', async () => {
    const nowMs = Date.now()
    const prefix = `contract-${randomUUID()}.`
    return {
      open: () => KafkaLog.open({ brokers, prefix, now: () => nowMs }),
      nowMs,
      dispose: async () => {},
    }
  })
})
