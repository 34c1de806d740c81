/** What is done to a deployment while it works. Each ends with the deployment whole again, and answers what it measured. */
import { setTimeout as delay } from 'node:timers/promises'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import type { KafkaLog } from '../../runtime/kafka/log.ts'
import type { Random } from '../../runtime/random.ts'
import type { Deployment, StageProcess } from './deployment.ts'

export type FaultName =
  | 'killed and started again'
  | 'killed and replaced'
  | 'stopped and continued'
  | 'redeployed in rotation'
  | 'stopped in a transaction'
  | 'broker killed'

/** `recoveryMs`: until every task of the stage ran again in some process; `stallMs`: see `stopInTransaction`. */
export type Fault = {
  readonly fault: FaultName
  readonly stage: string
  readonly recoveryMs: number
  readonly stallMs?: number
}

/** kill -9; the process is back at once, with its disk. */
export async function killAndStart(deployment: Deployment, process: StageProcess): Promise<Fault> {
  const { stage } = process
  await process.end('SIGKILL')
  process.start()
  return { fault: 'killed and started again', stage, recoveryMs: await deployment.whole([stage]) }
}

/** kill -9; the other process takes over with its standbys, then the first comes back. */
export async function killAndReplace(deployment: Deployment, process: StageProcess): Promise<Fault> {
  const { stage } = process
  await process.end('SIGKILL')
  const recoveryMs = await deployment.whole([stage])
  process.start()
  await delay(3000) // the rebalance that follows
  await deployment.whole([stage])
  return { fault: 'killed and replaced', stage, recoveryMs }
}

/** SIGSTOP until the other process has taken over, for its session has passed; then it goes on as a zombie. */
export async function stopAndContinue(deployment: Deployment, process: StageProcess): Promise<Fault> {
  const { stage } = process
  process.pause()
  const recoveryMs = await deployment.whole([stage])
  process.resume()
  await delay(3000)
  await deployment.whole([stage])
  return { fault: 'stopped and continued', stage, recoveryMs }
}

/** One process after the other ends gracefully and is back: nothing moves. */
export async function redeploy(deployment: Deployment, stage: string): Promise<Fault> {
  let recoveryMs = 0
  for (const process of deployment.of(stage)) {
    const startMs = performance.now()
    await process.end('SIGTERM')
    process.start()
    await deployment.whole([stage])
    recoveryMs = Math.max(recoveryMs, Math.round(performance.now() - startMs))
  }
  return { fault: 'redeployed in rotation', stage, recoveryMs }
}

/** kill -9 of the broker, and its start. */
export async function killBroker(deployment: Deployment, kafka: LocalKafka): Promise<Fault> {
  const startMs = performance.now()
  await kafka.nodes[0]!.kill()
  await kafka.start()
  await deployment.whole()
  return { fault: 'broker killed', stage: 'all', recoveryMs: Math.round(performance.now() - startMs) }
}

/**
 * SIGSTOP in the middle of a transaction, found by trial: the last stable offset of an inbox it writes to stays where it
 * is, below the end. Until the transaction is ended by the next owner or by its timeout, readers of those partitions
 * wait: `stallMs`. Then the process goes on, and must find itself fenced. Throws when no trial meets a transaction.
 */
export async function stopInTransaction(
  deployment: Deployment,
  process: StageProcess,
  log: KafkaLog,
  prefix: string,
  random: Random,
): Promise<Fault> {
  const { stage } = process
  for (let trial = 0; trial < trialsMax; trial++) {
    await delay(random.between(5, 60))
    const startMs = performance.now()
    process.pause()
    const held = await heldPartitions(log, prefix)
    if (held.length === 0) {
      process.resume()
      continue
    }
    const stalled = async (): Promise<boolean> => {
      for (const { partition, stable } of held) if ((await log.ends(heldTopic, partition)).stable <= stable) return true
      return false
    }
    while (await stalled()) await delay(20)
    const stallMs = Math.round(performance.now() - startMs)
    const recoveryMs = stallMs + (await deployment.whole([stage]))
    process.resume()
    await delay(3000)
    await deployment.whole([stage])
    return { fault: 'stopped in a transaction', stage, recoveryMs, stallMs }
  }
  throw new Error(`${stage} was in no transaction whenever it was stopped, ${trialsMax} times`)
}

const trialsMax = 300

/** What all stages write to. */
const heldTopic = 'events.identified'

/** Partitions whose stable end does not move, though records stand behind it. */
async function heldPartitions(log: KafkaLog, prefix: string): Promise<{ partition: number; stable: number }[]> {
  const { connection } = log
  const partitions = await connection.partitionsOf(prefix + heldTopic)
  const look = () =>
    Promise.all(
      Array.from({ length: partitions }, async (_, partition) => {
        const leader = await connection.leaderOf(prefix + heldTopic, partition)
        const topics = [{ topic: prefix + heldTopic, partitions: [{ partition, timestamp: -1 }] }]
        const { stable } = await log.ends(heldTopic, partition)
        const answer = await leader.send('ListOffsets', { replicaId: -1, isolationLevel: 0, topics })
        return { partition, stable, end: Number(answer.responses[0]!.partitions[0]!.offset) }
      }),
    )
  let held = (await look()).filter(({ stable, end }) => stable < end)
  for (let looks = 0; looks < 4 && held.length > 0; looks++) {
    await delay(150)
    const now = await look()
    held = held.filter(({ partition, stable }) => now[partition]!.stable === stable)
  }
  return held
}
