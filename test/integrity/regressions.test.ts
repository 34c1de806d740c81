/**
 * Failures that users of other stream processors met, where it takes a real broker to meet them: aborted transactions,
 * control records at the end of a changelog, a changelog that begins later than a store. Tasks run over Kafka and RocksDB.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { AddressedRecord, StoredRecord } from '../../runtime/record.ts'
import { changelogOffsetOf, Restore, type RestoreObserver } from '../../runtime/restore.ts'
import { stageOf } from '../../runtime/stage.ts'
import type { Store } from '../../runtime/store.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits, Task, type TaskObserver } from '../../runtime/task.ts'
import { allTopics, changelogOf } from '../../runtime/topology.ts'
import { temporaryFolder } from '../cli/millrace.ts'
import { kafkaForTests } from '../parts.ts'
import { inputOf, partitions, topology } from '../worker/relay.ts'

const brokers = await kafkaForTests()
const codec = new Codec(fixedSchemaIds())
const stage = stageOf(topology, 'relay')
const changelog = changelogOf('relay')
const { signal: never } = new AbortController()

describe.skipIf(!brokers)('what befell others', () => {
  const cleanups: (() => Promise<unknown>)[] = []
  let prefix: string
  let log: KafkaLog
  let stores: RocksStores
  let store: Store

  beforeEach(async () => {
    prefix = `regressions-${randomUUID()}.`
    log = await KafkaLog.open({ brokers: brokers!, prefix })
    const folder = await temporaryFolder()
    stores = new RocksStores(folder.path)
    cleanups.push(
      folder.remove,
      () => log.close(),
      () => stores.close(),
    )
    await log.createTopics(allTopics(topology))
    store = await stores.open('relay/0')
  })
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  const start = (observer: TaskObserver = {}) =>
    Task.start({
      stage,
      partition: 0,
      log,
      store,
      codec,
      definitions: { resolve: () => Promise.reject(new Error('there are no definitions')) },
      limits: defaultLimits,
      observer,
    })
  const restoring = (observer: RestoreObserver = {}) =>
    Restore.open({ stage, partition: 0, log, store, codec, observer })

  let said = 0
  /** Inputs of the task's partition. */
  const say = async (count: number): Promise<void> => {
    const records: AddressedRecord[] = []
    while (records.length < count) {
      const record = inputOf(said++, codec, 1000)
      if (record.partition === 0) records.push(record)
    }
    await log.append(records)
  }
  const work = async (task: Task): Promise<void> => {
    while ((await task.step()) > 0);
  }
  const row = (i: number): AddressedRecord => {
    const value = codec.encode('Row', { clockMs: i, indexedAtMs: null, timers: [], sections: [] })
    return { topic: changelog, partition: 0, kind: 'row', key: `t/row${i}`, value, timestampMs: 1000 }
  }
  const commit = async (outputs: readonly AddressedRecord[]): Promise<void> => {
    const writer = await log.writer('relay/0')
    await writer.commit({ outputs })
    await writer.close()
  }
  const all = async (topic: string, partition: number): Promise<StoredRecord[]> => {
    const { start, stable } = await log.ends(topic, partition)
    const records: StoredRecord[] = []
    for (let offset = start; offset < stable; ) {
      const page = await log.fetch(topic, partition, offset, { maxRecords: 5000, maxBytes: 8 << 20 })
      records.push(...page.records)
      offset = page.nextOffset
    }
    return records
  }
  const rowsOf = async (): Promise<Map<string, string>> =>
    new Map((await store.range('r', 's', 100_000)).map(({ key, value }) => [key.slice(1), value.toString('base64')]))
  const rowsOfChangelog = async (): Promise<Map<string, string>> => {
    const rows = (await all(changelog, 0)).filter(({ kind }) => kind === 'row')
    return new Map(rows.map(({ key, value }) => [key, value!.toString('base64')]))
  }
  const emitted = async (): Promise<number> => {
    const places = Array.from({ length: partitions }, (_, partition) => all('mid', partition))
    return (await Promise.all(places)).flat().filter(({ kind }) => kind === 'event').length
  }
  const expectStoreIsChangelog = async (): Promise<void> => {
    const [rows, expected] = [await rowsOf(), await rowsOfChangelog()]
    expect(rows.size).toBeGreaterThan(0)
    expect(rows).toEqual(expected)
  }
  /** Another client's transaction under the task's id, with a row of the changelog in it. */
  const transactionOf = async (i: number) => {
    const kafka = new Kafka({ brokers: [...brokers!], logLevel: logLevel.NOTHING })
    const transactionalId = `${prefix}relay/0`
    const producer = kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    cleanups.push(() => producer.disconnect())
    const transaction = await producer.transaction()
    const { key, value } = row(i)
    await transaction.send({
      topic: prefix + changelog,
      messages: [{ key, value, partition: 0, headers: { kind: 'row' } }],
    })
    return transaction
  }

  test('KAFKA-20685: writes of an aborted transaction are in no store, after a restore and a crash', async () => {
    await say(30)
    let task = await start()
    await work(task)
    await task.release()
    await transactionOf(777) // its owner is gone; whoever opens the writer next aborts it
    await say(20)
    task = await start({
      at: (_, point) => {
        if (point === 'processed') throw new Error('killed with all of a batch in memory')
      },
    })
    await expect(task.step()).rejects.toThrow('killed')
    await stores.close()
    store = await stores.open('relay/0')
    await expectStoreIsChangelog()
    expect((await rowsOf()).has('t/row777')).toBe(false)
    await work(await start())
    expect(await emitted()).toBe(50)
    await expectStoreIsChangelog()
  })

  test('KAFKA-16017, Quix #1146: a restore that is interrupted again and again misses nothing and comes to its end', async () => {
    const rows = Array.from({ length: 12_000 }, (_, i) => row(i))
    await commit(rows)
    const offsets: number[] = []
    for (let attempt = 0; attempt < 10; attempt++) {
      const interrupted = new AbortController()
      const restore = await restoring({ restored: () => interrupted.abort() })
      const ended = await restore.toStableEnd(interrupted.signal).then(
        () => true,
        () => false,
      )
      offsets.push((await changelogOffsetOf(store))!)
      await stores.close()
      store = await stores.open('relay/0')
      if (ended) break
    }
    expect(offsets.length).toBeLessThan(10)
    expect([...offsets].sort((a, b) => a - b)).toEqual(offsets)
    expect((await rowsOf()).size).toBe(rows.length)
    await expectStoreIsChangelog()
  })

  test('KAFKA-20663: a store that is older than the start of its changelog begins anew, and the task runs', async () => {
    const early = `${prefix}early.`
    await log.close()
    log = await KafkaLog.open({ brokers: brokers!, prefix: early })
    // Kafka deletes records on demand only where it may delete at all.
    await log.createTopics(allTopics(topology).map((topic) => ({ ...topic, cleanup: 'delete', retentionMs: null })))
    await commit([row(1), row(2)])
    await (await restoring()).toStableEnd(never)
    await commit([row(3), row(4)])
    const admin = new Kafka({ brokers: [...brokers!], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.fetchTopicOffsets(early + changelog) // or it knows no leaders
    await admin.deleteTopicRecords({ topic: early + changelog, partitions: [{ partition: 0, offset: '4' }] })
    await admin.disconnect()
    const wiped: string[] = []
    const task = await start({ wiped: (name) => wiped.push(name) })
    expect(wiped).toEqual(['relay/0'])
    expect([...(await rowsOf()).keys()]).toEqual(['t/row4'])
    await say(5)
    await work(task)
    expect(await emitted()).toBe(5)
  })

  test('Quix #1017, Faust #47: a restore ends where an aborted transaction and its marker are the last there is', async () => {
    await commit([row(1), row(2)])
    const transaction = await transactionOf(3)
    await transaction.abort()
    const stable = 5 // two rows, a marker, a row, a marker
    await expect.poll(async () => (await log.ends(changelog, 0)).stable).toBe(stable)
    const restore = await restoring()
    await Promise.race([restore.toStableEnd(never), delay(5000).then(() => Promise.reject(new Error('it hangs')))])
    expect(await changelogOffsetOf(store)).toBe(stable)
    await expectStoreIsChangelog()
  })

  test('Goka #207: input that comes while a task is restored is processed, all of it, with all state', async () => {
    await say(40)
    const before = await start()
    await work(before)
    await before.release()
    await store.clear()
    let saying: Promise<void> | undefined
    const task = await start({
      restored: () => {
        saying ??= say(25)
      },
    })
    await saying
    await work(task)
    expect(await emitted()).toBe(65)
    await expectStoreIsChangelog()
  })
})
