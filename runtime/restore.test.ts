import { beforeEach, describe, expect, test } from 'vitest'
import type { SeenEventState } from '../schemas/avro/types.ts'
import { Codec, fixedSchemaIds } from './codec.ts'
import { MemoryLog } from './memory/log.ts'
import type { Operator } from './operator.ts'
import { changelogOffsetOf, checkpointWrites, lagAt, Restore, type RestoreParts } from './restore.ts'
import { stageOf } from './stage.ts'
import type { Store } from './store.ts'
import { MemoryStores } from './stores/memory.ts'
import { indexKey } from './timer-index.ts'
import { allTopics, changelogOf, defineTopology } from './topology.ts'

const idle: Operator<never, SeenEventState, undefined> = { name: 'idle', state: 'SeenEventState', process: () => [] }
const kinds = { event: 'IdentityAlias' } as const
const topology = defineTopology({
  name: 'one',
  topics: [{ name: 'in', partitions: 1, cleanup: 'delete', retentionMs: null, key: '', kinds, source: true }],
  stages: [{ name: 'one', inbox: 'in', operators: [idle], emits: [] }],
})
const topic = changelogOf('one')
const dayMs = 24 * 3600 * 1000

describe('a restore', () => {
  const codec = new Codec(fixedSchemaIds())
  const { signal } = new AbortController()
  let log: MemoryLog
  let store: Store
  let wiped: number
  let pages: number[]

  beforeEach(async () => {
    log = new MemoryLog({ markers: true })
    await log.createTopics(allTopics(topology))
    store = await new MemoryStores().open('one-0')
    wiped = 0
    pages = []
  })

  const parts = (nowMs?: number): RestoreParts => ({
    stage: stageOf(topology, 'one'),
    partition: 0,
    log,
    store,
    codec,
    observer: {
      wiped: () => wiped++,
      restored: (_, { records }) => pages.push(records),
    },
    ...(nowMs === undefined ? {} : { tombstones: { ms: dayMs, nowMs: () => nowMs } }),
  })

  const row = (key: string, indexedAtMs: number | null, timestampMs = 0) => {
    const value = codec.encode('Row', { clockMs: 0, indexedAtMs, timers: [], sections: [] })
    return { topic, partition: 0, kind: 'row', key, value, timestampMs }
  }
  const erased = (key: string, timestampMs = 0) => ({ ...row(key, null, timestampMs), value: null })
  const checkpoint = (atMs: number) => ({
    topic,
    partition: 0,
    kind: 'checkpoint',
    key: 'checkpoint',
    value: codec.encode('Checkpoint', {
      inputOffset: 7,
      commits: 1,
      history: false,
      generation: 0,
      held: false,
      emitted: 0,
      sweeping: false,
      clocks: { log: atMs },
      definitions: {},
      counters: {},
    }),
    timestampMs: atMs,
  })
  const commit = async (...outputs: ReturnType<typeof row | typeof erased>[]) => {
    await (await log.writer('one/0')).commit({ outputs })
  }
  const restored = async (nowMs?: number) => {
    const restore = await Restore.open(parts(nowMs))
    await restore.toStableEnd(signal)
    return restore
  }
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  const keys = async () => (await store.range('r', 's', 100)).map(({ key }) => key.slice(1))
  const lag = async () => lagAt(log, 'one', 0, (await changelogOffsetOf(store))!)
  const indexed = async () => (await store.range('t', 'u', 100)).map(({ key }) => key)

  test('applies all that is committed, and is done though a marker comes last', async () => {
    await commit(row('a', null), row('b', null), checkpoint(5))
    await commit(erased('a'), checkpoint(6))
    expect((await restored()).checkpoint?.clocks).toEqual({ log: 6 })
    expect(await keys()).toEqual(['b'])
    expect(await lag()).toBe(0)
    await restored()
    expect(pages).toEqual([5])
  })

  test('takes up where it was interrupted, before any checkpoint has come', async () => {
    await commit(...Array.from({ length: 12_000 }, (_, i) => row(`k${i}`, null, dayMs)), checkpoint(dayMs))
    const interrupted = new AbortController()
    const restore = await Restore.open({
      ...parts(),
      observer: { restored: () => interrupted.abort() },
    })
    await expect(restore.toStableEnd(interrupted.signal)).rejects.toThrow(/abort/)
    expect(await lag()).toBe(7002)
    expect((await restored(1.5 * dayMs)).checkpoint?.inputOffset).toBe(7)
    expect(pages).toEqual([5000, 2001])
    expect(wiped).toBe(0)
  })

  test('begins anew where tombstones may be gone (KAFKA-20663), and only if something came after', async () => {
    await commit(row('a', null), row('b', null), checkpoint(1000))
    await restored(1000)
    await restored(1000 + 2 * dayMs)
    expect(wiped).toBe(0)
    await commit(erased('a', 2000), checkpoint(2000))
    log.compact(topic, 0, 0)
    await restored(1000 + 2 * dayMs)
    expect(wiped).toBe(1)
    expect(await keys()).toEqual(['b'])
  })

  test('knows that nothing came after the marker of the last commit', async () => {
    const outputs = [row('a', null), checkpoint(1000)]
    const offsets = await (await log.writer('one/0')).commit({ outputs })
    // As a task leaves its store.
    await store.write([
      { key: 'ra', value: outputs[0]!.value },
      ...checkpointWrites(outputs[1]!.value, offsets.at(-1)! + 1),
    ])
    await restored(1000 + 2 * dayMs)
    expect({ wiped, pages }).toEqual({ wiped: 0, pages: [0] })
    expect(await keys()).toEqual(['a'])
  })

  test('begins anew in the middle, when it was stopped for so long that tombstones may be gone', async () => {
    let nowMs = 1000
    await commit(row('a', null), row('b', null), checkpoint(1000))
    const restore = await Restore.open({ ...parts(), tombstones: { ms: dayMs, nowMs: () => nowMs } })
    const stopped = new AbortController()
    const following = restore.follow(() => undefined, stopped.signal)
    await settle()
    // Stopped: what comes is heard of when its tombstone is gone.
    const ends = log.ends.bind(log)
    let wake = (): void => undefined
    const asleep = new Promise<void>((resolve) => {
      wake = resolve
    })
    log.ends = async (...place) => {
      await asleep
      return ends(...place)
    }
    await commit(erased('a', nowMs), row('c', null, nowMs), checkpoint(nowMs))
    await settle()
    log.compact(topic, 0, 0)
    nowMs += 2 * dayMs
    wake()
    await settle()
    expect([await keys(), wiped]).toEqual([['b', 'c'], 1])
    stopped.abort()
    await following
  })

  test('begins anew on a store of another log, and below the start of the changelog', async () => {
    await commit(row('a', null), checkpoint(1))
    await restored()
    await commit(row('b', null), row('c', null), checkpoint(2))
    log.truncate(topic, 0, 4)
    await restored()
    expect(await keys()).toEqual(['c'])
    log = new MemoryLog()
    await log.createTopics(allTopics(topology))
    await restored()
    expect(await keys()).toEqual([])
    expect(wiped).toBe(2)
  })

  test('follows what comes, and keeps one timer entry a row', async () => {
    await commit(row('a', 10), checkpoint(1))
    const restore = await Restore.open(parts())
    const stopped = new AbortController()
    let ends = 0
    const following = restore.follow(() => ends++, stopped.signal)
    await settle()
    expect(ends).toBe(1)
    await commit(row('a', 20), row('b', 30), checkpoint(2))
    await settle()
    await commit(row('a', 40), checkpoint(3))
    await commit(erased('b'), checkpoint(4))
    await settle()
    stopped.abort()
    await following
    expect(await indexed()).toEqual([indexKey(40, 'a')])
    expect(await lag()).toBe(0)
  })
})
