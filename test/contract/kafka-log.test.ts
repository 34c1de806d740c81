import { randomUUID } from 'node:crypto'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { kafkaForTests } from '../parts.ts'
import { logContract } from './log.ts'

logContract('kafka', async () => {
  const { brokers } = await kafkaForTests()
  const nowMs = Date.now()
  const prefix = `contract-${randomUUID()}.`
  return {
    open: () => KafkaLog.open({ brokers, prefix, now: () => nowMs }),
    nowMs,
    dispose: async () => {},
  }
})
