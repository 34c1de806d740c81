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
  | 'a third joined and left'
  | 'stopped in a transaction'
  | 'broker killed'

/** `recoveryMs`: until every task of the stage ran again in some process. */
export type Fault = {
  readonly fault: FaultName
  readonly stage: string
  readonly recoveryMs: number
  readonly stall?: Stall
}

/**
 * What a transaction held back that did not end: for so long nobody could read what was written behind it, by any task, in
 * so many partitions of the inbox; so many offsets stood there in the end.
 */
export type Stall = { readonly ms: number; readonly partitions: number; readonly offsets: number }

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
  await deployment.whole([stage])
  return { fault: 'killed and replaced', stage, recoveryMs }
}

/** SIGSTOP until the other process has taken over, for its session has passed; then it goes on as a zombie. */
export async function stopAndContinue(deployment: Deployment, process: StageProcess): Promise<Fault> {
  const { stage } = process
  process.pause()
  const recoveryMs = await deployment.whole([stage])
  process.resume({ expelled: true })
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

/**
 * Another process joins with an empty disk, for a stage with a task for it; one is moved there once its state is. Then it
 * leaves for good: its tasks wait for it to the end of its session, and are moved back.
 */
export async function joinAndLeave(deployment: Deployment, stage: string): Promise<Fault> {
  const guest = await deployment.guest(stage)
  guest.start()
  const joinedMs = performance.now()
  while (guest.running.length === 0) {
    if (performance.now() - joinedMs > moveMsMax) throw new Error(`${stage}: nothing is moved to a third process`)
    await delay(50)
  }
  await deployment.whole([stage])
  const startMs = performance.now()
  await guest.end('SIGTERM')
  await deployment.whole([stage])
  return { fault: 'a third joined and left', stage, recoveryMs: Math.round(performance.now() - startMs) }
}

const moveMsMax = 90_000

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
 * wait: `stall`. Then the process goes on, and must find itself fenced. Throws when no trial meets a transaction, and when
 * one is held for longer than its timeout allows.
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
    let offsets = 0
    for (let left = held; left.length > 0; ) {
      offsets = Math.max(
        offsets,
        left.reduce((sum, { stable, end }) => sum + end - stable, 0),
      )
      if (performance.now() - startMs > stallMsMax)
        throw new Error(`${stage} holds a transaction open for more than ${stallMsMax} ms`)
      await delay(20)
      left = (await endsOf(log, prefix)).filter(({ partition, stable }) =>
        held.some((before) => before.partition === partition && stable <= before.stable),
      )
    }
    const ms = Math.round(performance.now() - startMs)
    const recoveryMs = ms + (await deployment.whole([stage]))
    process.resume({ expelled: true })
    await deployment.whole([stage])
    return { fault: 'stopped in a transaction', stage, recoveryMs, stall: { ms, partitions: held.length, offsets } }
  }
  throw new Error(`${stage} was in no transaction whenever it was stopped, ${trialsMax} times`)
}

const trialsMax = 300

/** What all stages write to. */
const heldTopic = 'events.identified'

/** The timeout of a transaction is 10 s; the broker looks for such as are over it every 10 s; the machine is busy. */
const stallMsMax = 25_000

type Ends = { readonly partition: number; readonly stable: number; readonly end: number }

/** Partitions whose stable end does not move, though records stand behind it. */
async function heldPartitions(log: KafkaLog, prefix: string): Promise<readonly Ends[]> {
  let held = (await endsOf(log, prefix)).filter(({ stable, end }) => stable < end)
  for (let looks = 0; looks < 4 && held.length > 0; looks++) {
    await delay(150)
    const now = await endsOf(log, prefix)
    held = held.filter(({ partition, stable }) => now[partition]!.stable === stable)
  }
  return held
}

/** Of each partition of `heldTopic`. */
async function endsOf({ connection }: KafkaLog, prefix: string): Promise<readonly Ends[]> {
  const topic = prefix + heldTopic
  const ask = async (partition: number, isolationLevel: 0 | 1): Promise<number> => {
    const leader = await connection.leaderOf(topic, partition)
    const topics = [{ topic, partitions: [{ partition, timestamp: -1 }] }]
    const answer = await leader.send('ListOffsets', { replicaId: -1, isolationLevel, topics })
    return Number(answer.responses[0]!.partitions[0]!.offset)
  }
  return Promise.all(
    Array.from({ length: await connection.partitionsOf(topic) }, async (_, partition) => {
      const stable = await ask(partition, 1)
      return { partition, stable, end: await ask(partition, 0) }
    }),
  )
}
