import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TopicSpec } from '../log.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import { RocksDb } from '../rocksdb.ts'
import { EmbeddedLog, type EmbeddedLogOptions } from './log.ts'

const forDays: TopicSpec = { name: 'events', partitions: 2, cleanup: 'delete', retentionMs: 1000 }
const forEver: TopicSpec = { name: 'definitions', partitions: 1, cleanup: 'delete', retentionMs: null }
const compacted: TopicSpec = { name: 'profiles', partitions: 1, cleanup: 'compact', retentionMs: null }

let folder: string
let nowMs: number
const opened: EmbeddedLog[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  nowMs = 1_800_000_000_000
})
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close()
  await rm(folder, { recursive: true })
})

async function open(options: EmbeddedLogOptions = {}): Promise<EmbeddedLog> {
  const log = await EmbeddedLog.open(folder, { now: () => nowMs, ...options })
  opened.push(log)
  await log.createTopics([forDays, forEver, compacted])
  return log
}

function record(topic: string, partition: number, key: string, value: string | null): AddressedRecord {
  return { topic, partition, kind: 'event', key, value: value === null ? null : Buffer.from(value), timestampMs: 5 }
}

async function readAll(log: EmbeddedLog, topic: string, partition = 0): Promise<StoredRecord[]> {
  const { start, stable } = await log.ends(topic, partition)
  const all: StoredRecord[] = []
  for (let offset = start; offset < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, partition, offset, { maxRecords: 7, maxBytes: 1e6 })
    all.push(...records)
    offset = nextOffset
  }
  return all
}

describe('the folder', () => {
  test('is open once', async () => {
    await open()
    await expect(EmbeddedLog.open(folder)).rejects.toMatchObject({ code: 'DATA_LOCKED' })
  })

  test('that cannot be made is DATA_UNWRITABLE', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(EmbeddedLog.open(join(file, 'log'))).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' })
  })

  test('of somebody else is DATA_FOREIGN, and left as it is', async () => {
    await mkdir(join(folder, 'photos'))
    await expect(EmbeddedLog.open(folder)).rejects.toMatchObject({ code: 'DATA_FOREIGN' })
  })

  test('with another database, or another format, is DATA_FOREIGN', async () => {
    const options = { writeBufferBytes: 1e6, blockCacheBytes: 1e6, openFilesMax: 10, compression: true }
    const other = await RocksDb.open(folder, options)
    await other.write([{ key: 'x', value: Buffer.from('1') }], { sync: true })
    await other.close()
    await expect(EmbeddedLog.open(folder)).rejects.toMatchObject({ code: 'DATA_FOREIGN' })

    const newer = await RocksDb.open(folder, options)
    await newer.write([{ key: 'format', value: Buffer.from('millrace log 9') }], { sync: true })
    await newer.close()
    await expect(EmbeddedLog.open(folder)).rejects.toThrow(/millrace log 9/)
  })
})

test('a record that cannot be written spoils no other that shares its write', async () => {
  const log = await open()
  const good = log.append([record('events', 0, 'a', '1')])
  const bad = log.append([{ ...record('events', 0, 'b', '2'), timestampMs: 0.5 }])
  await expect(bad).rejects.toThrow('broken invariant')
  expect(await good).toEqual([0])
  await log.close()
  await expect(log.append([record('events', 0, 'c', '3')])).rejects.toThrow('broken invariant')
})

test('disk and memory cut a fetch at the same place', async () => {
  const log = await open()
  for (let n = 0; n < 30; n++) {
    await log.append(Array.from({ length: n % 5 }, (_, i) => record('events', 0, `${n}`, 'x'.repeat(n * i))))
  }
  const { stable } = await log.ends('events', 0)
  const pages = async (reader: EmbeddedLog) => {
    const all = []
    for (let offset = 0; offset < stable; offset++) {
      for (const maxRecords of [1, 3, 100])
        for (const maxBytes of [0, 200, 1000])
          all.push(await reader.fetch('events', 0, offset, { maxRecords, maxBytes }))
    }
    return all
  }
  const fromMemory = await pages(log)
  await log.close()
  expect(await pages(await open())).toEqual(fromMemory)
})

describe('retention', () => {
  test('drops what was appended too long ago, whatever its log time, and nothing else', async () => {
    const log = await open()
    const append = (value: string) =>
      log.append(['events', 'definitions', 'profiles'].map((topic) => record(topic, 0, value, value)))
    await append('old')
    nowMs += 600
    await append('young')
    nowMs += 600
    expect((await log.maintain()).expiredBytes).toBeGreaterThan(0)
    expect(await log.ends('events', 0)).toEqual({ start: 1, stable: 2, end: 2 })
    expect((await readAll(log, 'events')).map(({ key }) => key)).toEqual(['young'])
    expect(await readAll(log, 'definitions')).toHaveLength(2)
    expect(await readAll(log, 'profiles')).toHaveLength(2)
    await expect(log.fetch('events', 0, 0, { maxRecords: 1, maxBytes: 1 })).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      place: { topic: 'events', partition: 0, offset: 0 },
    })
  })

  test('of all there is keeps the position, also when opened again', async () => {
    let log = await open()
    await log.append([record('events', 0, 'a', '1'), record('events', 0, 'b', '2')])
    nowMs += 5000
    await log.maintain()
    expect(log.bytes).toBe(0)
    await log.close()
    log = await open()
    expect(await log.ends('events', 0)).toEqual({ start: 2, stable: 2, end: 2 })
    expect(await log.append([record('events', 0, 'c', '3')])).toEqual([2])
    expect((await readAll(log, 'events')).map(({ offset }) => offset)).toEqual([2])
  })

  test('under a reader is told, never skipped', async () => {
    const log = await open({ tailBytesMax: 0 })
    for (let n = 0; n < 2000; n++) void log.append([record('events', 0, 'k', String(n))])
    await log.append([record('events', 0, 'k', 'last')])
    nowMs += 5000
    const reading = readAll(log, 'events').then(
      (records) => records.map(({ offset }) => offset),
      (error: { code: string }) => error.code,
    )
    await log.maintain()
    const outcome = await reading
    if (Array.isArray(outcome)) expect(outcome).toEqual(outcome.map((_, i) => i))
    else expect(outcome).toBe('OFFSET_OUT_OF_RANGE')
  })
})

test('the limit of the disk drops the oldest of what has a retention, across partitions', async () => {
  const log = await open({ diskBytesMax: 60_000 })
  const value = 'x'.repeat(5000)
  for (let n = 0; n < 20; n++) {
    nowMs += 1
    await log.append([record('events', n % 2, String(n), value)])
    if (n < 4) await log.append([record('definitions', 0, String(n), value)])
  }
  await log.maintain()
  expect(log.bytes).toBeLessThanOrEqual(60_000)
  expect(log.bytes).toBeGreaterThan(50_000)
  expect(await readAll(log, 'definitions')).toHaveLength(4)
  const left = [...(await readAll(log, 'events', 0)), ...(await readAll(log, 'events', 1))].map(({ key }) =>
    Number(key),
  )
  expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: left.length }, (_, i) => 20 - left.length + i))
})

describe('compaction', () => {
  const write = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.option(fc.string({ maxLength: 5 })),
    pass: fc.constantFrom('none', 'none', 'compact', 'reopen'),
  })

  test('keeps the last value of each key at its offset, and the position of every reader', async () => {
    let log = await open({ tailBytesMax: 0, deleteRetentionMs: 0 })
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 25 }), async (writes) => {
        for (const { key, value, pass } of writes) {
          await log.append([record('profiles', 0, key, value)])
          if (pass === 'compact') await log.maintain({ eager: true })
          if (pass === 'reopen') {
            await log.close()
            log = await open({ tailBytesMax: 0, deleteRetentionMs: 0 })
          }
        }
        const before = await readAll(log, 'profiles')
        const bytes = log.bytes
        const ends = await log.ends('profiles', 0)
        const { compactedBytes } = await log.maintain({ eager: true })
        expect(log.bytes).toBe(bytes - compactedBytes)
        expect(await log.ends('profiles', 0)).toEqual(ends)

        const last = new Map(before.map((stored) => [stored.key, stored]))
        const after = await readAll(log, 'profiles')
        expect(after.filter(({ value }) => value)).toEqual(
          before.filter((stored) => last.get(stored.key) === stored && stored.value),
        )
        expect(new Set(after.map(({ key }) => key)).size).toBe(after.length)

        await log.maintain({ eager: true })
        expect((await readAll(log, 'profiles')).filter(({ value }) => !value)).toEqual([])
        for (let offset = 0; offset < ends.stable; offset++) {
          const { records, nextOffset } = await log.fetch('profiles', 0, offset, { maxRecords: 1, maxBytes: 1 })
          const left = after.filter((stored) => stored.value && stored.offset >= offset)
          expect({ records, nextOffset }).toEqual({
            records: left.slice(0, 1),
            nextOffset: left.length > 1 ? left[0]!.offset + 1 : ends.stable,
          })
        }
      }),
      { numRuns: 15 },
    )
  })

  test('keeps a tombstone for its time', async () => {
    const log = await open({ tailBytesMax: 0, deleteRetentionMs: 1000 })
    await log.append([record('profiles', 0, 'a', '1'), record('profiles', 0, 'b', '1')])
    await log.append([record('profiles', 0, 'a', null)])
    await log.maintain({ eager: true })
    nowMs += 900
    await log.append([record('profiles', 0, 'b', '2')])
    await log.maintain({ eager: true })
    const present = async () => (await readAll(log, 'profiles')).map(({ key, value }) => [key, value?.toString()])
    expect(await present()).toEqual([
      ['a', undefined],
      ['b', '2'],
    ])
    nowMs += 100
    await log.maintain({ eager: true })
    expect(await present()).toEqual([['b', '2']])
  })

  test('goes on beside appends and readers', async () => {
    const log = await open({ tailBytesMax: 0 })
    let done = false
    const compacting = (async () => {
      while (!done) await log.maintain({ eager: true })
    })()
    const value = 'x'.repeat(2000)
    for (let n = 0; n < 300; n++) {
      await log.append(['a', 'b', `c${n}`].map((key) => record('profiles', 0, key, `${n} ${value}`)))
      if (n % 20 > 0) continue
      const last = new Map((await readAll(log, 'profiles')).map((stored) => [stored.key, stored.offset]))
      expect(last.get('a')).toBe(n * 3)
      expect(last.size).toBe(n + 3)
    }
    done = true
    await compacting
  })
})

test('what is deleted is gone with all its records, and can be made anew; the others are as they were', async () => {
  const log = await open()
  const bytes = log.bytes
  for (let i = 0; i < 40; i++)
    await log.append([record('events', 0, `k${i}`, 'x'.repeat(1000)), record('definitions', 0, `k${i}`, 'y')])
  await log.deleteTopics(['events', 'nobody'])
  expect((await log.topics()).map(({ name }) => name)).toEqual(['definitions', 'profiles'])
  await expect(log.ends('events', 0)).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
  await log.createTopics([{ ...forDays, partitions: 5 }])
  await log.append([record('events', 4, 'new', 'z')])
  await log.close()
  const again = await EmbeddedLog.open(folder, { now: () => nowMs })
  opened.push(again)
  expect((await readAll(again, 'events', 4)).map(({ key }) => key)).toEqual(['new'])
  expect([await readAll(again, 'events', 0), (await readAll(again, 'definitions')).length]).toEqual([[], 40])
  expect(again.bytes).toBeLessThan(bytes + 10_000)
})

test('closing ends maintenance early, and what waited for its turn with it', async () => {
  const log = await open()
  for (let n = 0; n < 200; n++) void log.append([record('profiles', 0, `k${n % 50}`, 'x'.repeat(5000))])
  const runs = [log.maintain({ eager: true }), log.maintain(), log.maintain()]
  await log.close()
  await Promise.all(runs)
  const left = await readAll(await open(), 'profiles')
  expect(new Set(left.map(({ key }) => key)).size).toBe(50)
  expect(left.slice(-50).map(({ offset }) => offset)).toEqual(Array.from({ length: 50 }, (_, i) => 150 + i))
})

test('what a kill leaves behind is whole, and counted right', async () => {
  const script = `
    import { EmbeddedLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)}
    const log = await EmbeddedLog.open(${JSON.stringify(folder)}, { diskBytesMax: 1e6 })
    await log.createTopics([${JSON.stringify({ ...forDays, retentionMs: 1e9 })}, ${JSON.stringify(compacted)}])
    const writer = await log.writer('w')
    for (let n = 0; ; n++) {
      const one = { kind: 'event', key: 'k' + n, value: Buffer.alloc(1000), timestampMs: n }
      await writer.commit({ outputs: [
        { ...one, topic: 'events', partition: 0 }, { ...one, topic: 'events', partition: 1 }, { ...one, topic: 'profiles', partition: 0 },
      ] })
      console.log(n)
    }`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let acknowledged = -1
  for await (const text of child.stdout) {
    for (const line of String(text).split('\n')) if (line !== '') acknowledged = Number(line)
    if (acknowledged >= 400) child.kill('SIGKILL')
  }

  const log = await EmbeddedLog.open(folder)
  opened.push(log)
  const ends = await Promise.all([log.ends('events', 0), log.ends('events', 1), log.ends('profiles', 0)])
  expect(new Set(ends.map(({ stable }) => stable)).size).toBe(1)
  expect(ends[0]?.stable).toBeGreaterThan(acknowledged)
  expect(await readAll(log, 'profiles')).toHaveLength(ends[2]!.stable)
  await log.maintain({ eager: true })
  const { bytes } = log
  await log.close()
  const again = await EmbeddedLog.open(folder)
  opened.push(again)
  expect(again.bytes).toBe(bytes)
})
