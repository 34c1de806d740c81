import { expect, test } from 'vitest'
import { MemoryLog } from './memory/log.ts'
import { PrefixedLog } from './prefixed-log.ts'

const spec = { partitions: 1, cleanup: 'delete', retentionMs: null } as const
const plenty = { maxRecords: 10, maxBytes: 1 << 20 }
const record = (topic: string, key: string) => ({
  topic,
  partition: 0,
  kind: 'event',
  key,
  value: null,
  timestampMs: 1,
})
const keysOf = async (log: PrefixedLog | MemoryLog, topic: string) =>
  (await log.fetch(topic, 0, 0, plenty)).records.map(({ key }) => key)

test('topics of one name are apart', async () => {
  const outer = new MemoryLog()
  await outer.createTopics([{ name: 'events', ...spec }])
  const inner = new PrefixedLog(outer, 'replay.a.')
  await inner.createTopics([{ name: 'events', ...spec }])
  await outer.append([record('events', 'outer')])
  await inner.append([record('events', 'inner')])
  expect((await outer.topics()).map(({ name }) => name)).toEqual(['events', 'replay.a.events'])
  expect((await inner.topics()).map(({ name }) => name)).toEqual(['events'])
  expect([await keysOf(outer, 'events'), await keysOf(inner, 'events')]).toEqual([['outer'], ['inner']])
})

test('a writer fences none of the other log', async () => {
  const outer = new MemoryLog()
  await outer.createTopics([{ name: 'events', ...spec }])
  const inner = new PrefixedLog(outer, 'replay.a.')
  await inner.createTopics([{ name: 'events', ...spec }])
  const [live, first] = [await outer.writer('identify/0'), await inner.writer('identify/0')]
  const second = await inner.writer('identify/0')
  expect(await live.commit({ outputs: [record('events', 'live')] })).toEqual([0])
  expect(await second.commit({ outputs: [record('events', 'second')] })).toEqual([0])
  await expect(first.commit({ outputs: [record('events', 'first')] })).rejects.toMatchObject({ code: 'FENCED' })
  expect(await keysOf(inner, 'events')).toEqual(['second'])
})
