/**
 * Three brokers, of which one is killed, and another when it is back, while commits, appends and reads go on: what was
 * confirmed is there once and in order, what was not is settled by the next writer, and readers miss nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { ownKafka } from '../../test/parts.ts'
import { MillraceError } from '../errors.ts'
import type { TaskWriter } from '../log.ts'
import type { AddressedRecord } from '../record.ts'
import { KafkaLog } from './log.ts'

const kafka = await ownKafka({ nodes: 3 })
afterAll(() => kafka?.stop())

const partitions = 3
const all = [0, 1, 2]
const page = { maxRecords: 500, maxBytes: 1 << 20 }
const topics = ['out', 'ledger', 'fed'].map(
  (name) => ({ name, partitions, cleanup: 'delete', retentionMs: null }) as const,
)

const record = (topic: string, partition: number, n: number): AddressedRecord => ({
  topic,
  partition,
  kind: 'event',
  key: String(n),
  value: Buffer.alloc(100),
  timestampMs: Date.now(),
})

/** The numbers in a partition, in its order. */
async function numbersIn(log: KafkaLog, topic: string, partition: number): Promise<number[]> {
  const { stable } = await log.ends(topic, partition)
  const numbers: number[] = []
  for (let at = 0; at < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, partition, at, page)
    numbers.push(...records.map(({ key }) => Number(key)))
    at = nextOffset
  }
  return numbers
}

/** Again, as those who run tasks do, while what went wrong is said to pass. */
async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MillraceError && error.retryable)) throw error
      await delay(50)
    }
  }
}

describe.skipIf(!kafka)('leaders that move', () => {
  test('lose nothing and double nothing', async () => {
    const brokers = kafka!.brokers.split(',')
    const log = await KafkaLog.open({ brokers, replicationFactor: 3 })
    await log.createTopics(topics)
    const stop = new AbortController()
    const { signal } = stop
    let commits = 0
    let unknown = 0

    /** Commit n goes to all partitions of `out`, and tells of itself in the ledger, from which it is learned what came of it. */
    async function commitOn(): Promise<void> {
      let writer: TaskWriter | undefined
      while (!signal.aborted || !writer) {
        if (!writer) {
          writer = await untilDone(() => log.writer('task/0'))
          const last = (await untilDone(() => numbersIn(log, 'ledger', 0))).at(-1)
          if (last === commits) commits++
          else expect(last ?? -1).toBe(commits - 1)
          continue
        }
        try {
          await writer.commit({
            outputs: [...all.map((each) => record('out', each, commits)), record('ledger', 0, commits)],
          })
          commits++
        } catch (error) {
          if (!(error instanceof MillraceError && error.retryable)) throw error
          unknown++
          writer = undefined
        }
      }
    }

    /** Numbers whose append was confirmed; what was not has another number than what comes after it. */
    const appended: number[] = []
    let appends = 0
    async function appendOn(): Promise<void> {
      for (; !signal.aborted; appends++) {
        const n = appends
        await log.append(all.map((each) => record('fed', each, n))).then(
          () => appended.push(n),
          (error) => expect(error).toMatchObject({ retryable: true }),
        )
      }
    }

    const seen = all.map((): number[] => [])
    async function readOn(partition: number): Promise<void> {
      for (let at = 0; !signal.aborted; ) {
        await log.arrival('out', partition, at, signal)
        const { records, nextOffset } = await untilDone(() => log.fetch('out', partition, at, page))
        seen[partition]!.push(...records.map(({ key }) => Number(key)))
        at = nextOffset
      }
    }

    const working = Promise.all([commitOn(), appendOn(), ...all.map(readOn)])
    working.catch(() => stop.abort())
    const moves = async (): Promise<void> => {
      const [wereCommitted, wereAppended, wereSeen] = [commits, appended.length, seen.map(({ length }) => length)]
      const goesOn = () =>
        signal.aborted ||
        (commits > wereCommitted + 20 &&
          appended.length > wereAppended + 20 &&
          seen.every(({ length }, partition) => length > wereSeen[partition]! + 20))
      await vi.waitUntil(goesOn, { timeout: 60_000, interval: 50 })
    }
    await moves()
    for (const victim of [kafka!.nodes[0]!, kafka!.nodes[1]!]) {
      await victim.kill()
      await moves()
      await kafka!.start()
      await moves()
    }
    stop.abort()
    await working

    const fresh = await KafkaLog.open({ brokers })
    const numbers = Array.from({ length: commits }, (_, n) => n)
    expect(await numbersIn(fresh, 'ledger', 0)).toEqual(numbers)
    const confirmed = new Set(appended)
    for (const partition of all) {
      const out = await numbersIn(fresh, 'out', partition)
      expect(out).toEqual(numbers)
      expect(seen[partition]).toEqual(out.slice(0, seen[partition]!.length))
      const fed = await numbersIn(fresh, 'fed', partition)
      expect(fed).toEqual([...new Set(fed)].sort((a, b) => a - b))
      expect(fed.filter((n) => confirmed.has(n))).toEqual(appended)
    }
    console.log(`${commits} commits, ${unknown} of unknown outcome; ${appended.length} of ${appends} appends confirmed`)
    await fresh.close()
    await log.close()
  }, 240_000)
})
