import { afterEach, beforeEach, expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../runtime/codec.ts'
import { EmbeddedLog } from '../runtime/embedded/log.ts'
import { emit, type Inbound, type Operator, put, schedule } from '../runtime/operator.ts'
import { Runner } from '../runtime/runner.ts'
import { MemoryStores } from '../runtime/stores/memory.ts'
import { defaultLimits } from '../runtime/task.ts'
import { allTopics, defineTopology } from '../runtime/topology.ts'
import type { IdentityAlias, SeenEventState } from '../schemas/avro/types.ts'
import { temporaryFolder } from '../test/cli/millrace.ts'
import { groupLetters, placeOf, readLetter, replayLetters } from './dead.ts'

/** Fails on a record that says so, and on its timer, until it is mended. */
let mended: boolean
const failing: Operator<Inbound<string, IdentityAlias>, SeenEventState, undefined> = {
  name: 'failing',
  state: 'SeenEventState',
  process({ kind, key, value }, { logTimeMs }) {
    if (kind !== 'event') throw new TypeError('the timer cannot be handled')
    if (value.mergedInto === 'timer')
      return [put(key, { fingerprint: 'f', atMs: 1 }), schedule(key, 'late', logTimeMs + 5)]
    if (value.mergedInto === 'fails' && !mended) throw new RangeError(`cannot do with ${value.profileId}`)
    return [emit('out', 'event', key, value)]
  },
}

const topic = (name: string, partitions: number) => ({
  name,
  partitions,
  cleanup: 'delete' as const,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { event: 'IdentityAlias' } as const,
})

const topology = defineTopology({
  name: 'failing',
  topics: [{ ...topic('in', 2), source: true }, topic('out', 1)],
  stages: [{ name: 'fail', inbox: 'in', operators: [failing], emits: ['out'] }],
})

const quiet = () => undefined
const codec = new Codec(fixedSchemaIds())
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let log: EmbeddedLog
let runner: Runner
beforeEach(async () => {
  mended = false
  folder = await temporaryFolder()
  log = await EmbeddedLog.open(folder.path)
  await log.createTopics(allTopics(topology))
  runner = await Runner.start({
    topology,
    log,
    stores: new MemoryStores(),
    codec,
    definitions: { resolve: async () => ({ tenant: 'a', version: 0, hash: '' }) },
    limits: defaultLimits,
    observer: {},
  })
})
afterEach(async () => {
  await runner.stop()
  await log.close()
  await folder.remove()
})

const startMs = Date.UTC(2026, 0, 1)

async function send(partition: number, profileId: string, what: string, atMs: number): Promise<void> {
  const value = codec.encode('IdentityAlias', { tenant: 'a', profileId, mergedInto: what, identitySeq: 1 })
  const timestampMs = startMs + atMs
  await log.append([{ topic: 'in', partition, kind: 'event', key: `a/${profileId}`, value, timestampMs }])
}

async function sent(): Promise<string[]> {
  const { records } = await log.fetch('out', 0, 0, { maxRecords: 5000, maxBytes: 4 << 20 })
  return records.map(({ key, timestampMs }) => `${key}@${timestampMs - startMs}`)
}

/** Three records and a timer that fail, over both partitions, and some that do not. */
async function fail(): Promise<void> {
  await send(0, 'p1', 'fails', 1)
  await send(0, 'p2', 'fine', 2)
  await send(1, 'p3', 'fails', 3)
  await send(0, 'p4', 'timer', 4)
  await send(0, 'p4', 'fine', 20)
  await send(0, 'p5', 'fails', 21)
  await runner.drain()
}

test('letters are grouped by what they died of, the most first', async () => {
  await fail()
  const groups = await groupLetters(log, codec, {}, quiet)
  expect(groups).toEqual([
    {
      stage: 'fail',
      code: 'EXCEPTION',
      kind: 'event',
      letters: 3,
      replayed: 0,
      firstMs: startMs + 1,
      lastMs: startMs + 21,
      example: 'fail.dead/0@2',
      message: 'RangeError: cannot do with p5',
    },
    expect.objectContaining({ kind: 'timer', letters: 1, message: 'TypeError: the timer cannot be handled' }),
  ])
  expect(await groupLetters(log, codec, { stage: 'fail', code: 'EXCEPTION' }, quiet)).toEqual(groups)
  expect(await groupLetters(log, codec, { stage: 'other' }, quiet)).toEqual([])
  expect(await groupLetters(log, codec, { code: 'INVARIANT' }, quiet)).toEqual([])
})

test('a letter is shown with its record, or its timer and the row that had it', async () => {
  await fail()
  expect(await readLetter(log, codec, placeOf('fail.dead/1@0'))).toMatchObject({
    place: 'fail.dead/1@0',
    replayed: false,
    stage: 'fail',
    topic: 'in',
    partition: 1,
    offset: 0,
    key: 'a/p3',
    logTime: '2026-01-01T00:00:00.003Z',
    value: { tenant: 'a', profileId: 'p3', mergedInto: 'fails', identitySeq: 1 },
    timer: null,
    message: 'RangeError: cannot do with p3',
  })
  expect(await readLetter(log, codec, placeOf('fail.dead/0@1'))).toMatchObject({
    value: null,
    timer: {
      id: 'late',
      at: '2026-01-01T00:00:00.009Z',
      row: { timers: [{ id: 'late', atMs: startMs + 9 }], states: { failing: { fingerprint: 'f', atMs: 1 } } },
    },
  })
})

test('a value that cannot be decoded is shown as it is', async () => {
  await log.append([
    { topic: 'in', partition: 0, kind: 'event', key: 'a/p', value: Buffer.from('junk!'), timestampMs: startMs },
  ])
  await runner.drain()
  expect(await readLetter(log, codec, placeOf('fail.dead/0@0'))).toMatchObject({
    code: 'SCHEMA_UNKNOWN',
    value: { base64: 'anVuayE=', unreadable: expect.stringContaining('framing') },
  })
})

test('records go back where they came from, with their log time, once; timers do not', async () => {
  await fail()
  expect(await sent()).toEqual(['a/p2@2', 'a/p4@20'])
  mended = true
  const replay = (dryRun = false) => replayLetters(log, codec, { letters: {}, dryRun, onProgress: quiet })
  const first = { replayed: 3, skipped: { done: 0, timers: 1, homeless: 0 } }
  expect(await replay(true)).toEqual(first)
  expect(await replay()).toEqual(first)
  expect(await replay()).toEqual({ replayed: 0, skipped: { done: 3, timers: 1, homeless: 0 } })
  await runner.drain()
  expect((await sent()).slice(2)).toEqual(['a/p1@1', 'a/p5@21', 'a/p3@3'])

  const [events] = await groupLetters(log, codec, {}, quiet)
  expect(events).toMatchObject({ letters: 3, replayed: 3 })
  expect(await readLetter(log, codec, placeOf('fail.dead/1@0'))).toMatchObject({ replayed: true })
  const original = (await log.fetch('in', 1, 0, { maxRecords: 1, maxBytes: 1 })).records[0]!
  const back = (await log.fetch('in', 1, 1, { maxRecords: 1, maxBytes: 1 })).records[0]!
  expect(back).toEqual({ ...original, offset: 1 })
})

test('a record that dies again is a new letter, which can go back again', async () => {
  await fail()
  const letters = placeOf('fail.dead/1@0')
  const replay = (letters: ReturnType<typeof placeOf> | object) =>
    replayLetters(log, codec, { letters, dryRun: false, onProgress: quiet })
  expect(await replay(letters)).toMatchObject({ replayed: 1 })
  await runner.drain()
  expect(await groupLetters(log, codec, {}, quiet)).toMatchObject([{ letters: 4, replayed: 1 }, { kind: 'timer' }])
  expect(await replay(letters)).toMatchObject({ replayed: 0, skipped: { done: 1 } })
  mended = true
  expect(await replay({ code: 'EXCEPTION' })).toMatchObject({ replayed: 3 })
  await runner.drain()
  expect((await sent()).slice(2).sort()).toEqual(['a/p1@1', 'a/p3@3', 'a/p5@21'])
})

test('two replays at a time put a record back once', async () => {
  for (let i = 0; i < 1200; i++) await send(i % 2, `p${i}`, 'fails', i)
  await runner.drain()
  const replay = () => replayLetters(log, codec, { letters: {}, dryRun: false, onProgress: quiet })
  const ended = await Promise.allSettled([replay(), replay()])
  for (const one of ended) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'FENCED' })
  expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true)
  mended = true
  await runner.drain()
  expect(await sent()).toHaveLength(1200)
})

test('a record of a partition that is no more stays', async () => {
  const [letter] = [{ stage: 'fail', topic: 'gone', partition: 0, offset: 0, kind: 'event', logTimeMs: 1, key: 'a/p' }]
  const value = codec.encode('DeadLetter', { ...letter!, value: Buffer.from('x'), timer: null, code: 'X', message: '' })
  await log.append([{ topic: 'fail.dead', partition: 0, kind: 'dead', key: 'a/p', value, timestampMs: 1 }])
  expect(await replayLetters(log, codec, { letters: {}, dryRun: false, onProgress: quiet })).toEqual({
    replayed: 0,
    skipped: { done: 0, timers: 0, homeless: 1 },
  })
})

test('a place where no letter is', async () => {
  await fail()
  await replayLetters(log, codec, { letters: {}, dryRun: false, onProgress: quiet })
  for (const place of ['fail.dead/0@99', 'fail.dead/7@0', 'other.dead/0@0', 'fail.dead/1@1']) {
    await expect(readLetter(log, codec, placeOf(place))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const replayed = replayLetters(log, codec, { letters: placeOf(place), dryRun: true, onProgress: quiet })
    await expect(replayed).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }
  for (const text of ['fail/0@1', 'fail.dead/0', 'in/0@1'])
    expect(() => placeOf(text)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
})
