import { expect, test } from 'vitest'
import { GenerationLog } from './generation-log.ts'
import { MemoryLog } from './memory/log.ts'

const topic = (name: string, partitions = 1) => ({ name, partitions, cleanup: 'delete' as const, retentionMs: null })
const record = (topic: string, key: string) => {
  return { topic, partition: 0, kind: 'event', key, value: Buffer.from(key), timestampMs: 1 }
}
const limits = { maxRecords: 10, maxBytes: 1000 }

test('its own topics stand under the prefix, all others where they were, and writers fence those of before', async () => {
  const log = new MemoryLog()
  await log.createTopics([topic('inbox', 3), topic('outcome', 3), topic('replay.b.inbox')])
  const generation = new GenerationLog(log, 'replay.a.', new Set(['inbox', 'changelog']))
  await generation.createTopics([topic('inbox', 2), topic('outcome', 3)])
  expect((await generation.topics()).map(({ name, partitions }) => `${name} ${partitions}`).sort()).toEqual([
    'inbox 2',
    'outcome 3',
    'replay.b.inbox 1',
  ])
  const former = await log.writer('stage/0')
  const writer = await generation.writer('stage/0')
  await expect(former.commit({ outputs: [record('inbox', 'x')] })).rejects.toMatchObject({ code: 'FENCED' })
  await writer.commit({ outputs: [record('inbox', 'a'), record('outcome', 'b')] })
  await generation.append([record('inbox', 'c')])
  const keysOf = async (name: string) => (await log.fetch(name, 0, 0, limits)).records.map(({ key }) => key)
  expect([await keysOf('inbox'), await keysOf('replay.a.inbox'), await keysOf('outcome')]).toEqual([
    [],
    ['a', 'c'],
    ['b'],
  ])
  expect((await generation.fetch('inbox', 0, 1, limits)).records.map(({ key }) => key)).toEqual(['c'])
  expect((await generation.ends('inbox', 0)).stable).toBe(2)
})
