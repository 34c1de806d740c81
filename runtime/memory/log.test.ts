import { describe, expect, test } from 'vitest'
import type { AddressedRecord } from '../record.ts'
import { MemoryLog } from './log.ts'

const plenty = { maxRecords: 100, maxBytes: 1e6 }

async function logWith(options: ConstructorParameters<typeof MemoryLog>[0] = {}): Promise<MemoryLog> {
  const log = new MemoryLog(options)
  await log.createTopics([{ name: 'events', partitions: 2, cleanup: 'compact', retentionMs: null }])
  return log
}

function record(partition: number, key: string, value: string | null = key): AddressedRecord {
  return {
    topic: 'events',
    partition,
    kind: 'event',
    key,
    value: value === null ? null : Buffer.from(value),
    timestampMs: 1,
  }
}

describe('a commit that got lost before it happened', () => {
  test('holds the stable end back until its writer is opened anew, which takes it back', async () => {
    let failing = true
    const log = await logWith({ faults: { end: () => (failing ? { kind: 'lost' } : undefined) } })
    const writer = await log.writer('graph/0')
    await expect(writer.commit({ outputs: [record(0, 'a'), record(1, 'b')] })).rejects.toMatchObject({
      code: 'COMMIT_UNKNOWN',
    })
    failing = false
    await expect(writer.commit({ outputs: [] })).rejects.toThrow('broken invariant')

    await log.append([record(0, 'c')])
    expect(await log.ends('events', 0)).toEqual({ start: 0, stable: 0, end: 2 })
    expect(await log.fetch('events', 0, 0, plenty)).toEqual({ records: [], nextOffset: 0 })
    const waiting = log.arrival('events', 0, 0, new AbortController().signal)

    await log.writer('graph/0')
    await waiting
    const { records, nextOffset } = await log.fetch('events', 0, 0, plenty)
    expect(records.map(({ key, offset }) => [key, offset])).toEqual([['c', 1]])
    expect(nextOffset).toBe(2)
    expect(await log.fetch('events', 1, 0, plenty)).toEqual({ records: [], nextOffset: 1 })
  })

  test('does not hold back what others commit elsewhere', async () => {
    const log = await logWith({ faults: { end: (id) => (id === 'graph/0' ? { kind: 'lost' } : undefined) } })
    const failed = (await log.writer('graph/0')).commit({ outputs: [record(0, 'a')] })
    await expect(failed).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' })
    await (await log.writer('graph/1')).commit({ outputs: [record(1, 'b')] })
    expect(await log.ends('events', 1)).toEqual({ start: 0, stable: 1, end: 1 })
  })
})

test('a commit whose answer got lost is there, and its writer is done', async () => {
  const log = await logWith({ faults: { end: () => ({ kind: 'unanswered' }) } })
  const writer = await log.writer('graph/0')
  await expect(writer.commit({ outputs: [record(0, 'a')] })).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' })
  expect((await log.fetch('events', 0, 0, plenty)).records.map(({ key }) => key)).toEqual(['a'])
  await expect(writer.commit({ outputs: [] })).rejects.toThrow('broken invariant')
})

test('it is known who wrote each record', async () => {
  const log = await logWith()
  await log.append([record(0, 'a')])
  await (await log.writer('graph/0')).commit({ outputs: [record(0, 'b')] })
  expect(log.records('events', 0).map(({ key, writer }) => [key, writer])).toEqual([
    ['a', ''],
    ['b', 'graph/0'],
  ])
})

test('with markers each commit takes an offset more, and the position moves over it', async () => {
  const log = await logWith({ markers: true })
  const writer = await log.writer('graph/0')
  expect(await writer.commit({ outputs: [record(0, 'a'), record(0, 'b'), record(1, 'c')] })).toEqual([0, 1, 0])
  expect(await writer.commit({ outputs: [record(0, 'd')] })).toEqual([3])
  expect((await log.fetch('events', 0, 2, plenty)).records.map(({ offset }) => offset)).toEqual([3])
  expect(await log.ends('events', 0)).toEqual({ start: 0, stable: 5, end: 5 })
})

test('compaction keeps the last record of each key at its offset; tombstones go when asked', async () => {
  const log = await logWith()
  await log.append([record(0, 'a', '1'), record(0, 'b', '1'), record(0, 'a', '2'), record(0, 'b', null)])
  const offsets = async () => (await log.fetch('events', 0, 0, plenty)).records.map(({ offset }) => offset)
  log.compact('events', 0)
  expect(await offsets()).toEqual([2, 3])
  log.compact('events', 0, 0)
  expect(await offsets()).toEqual([2])
  expect((await log.fetch('events', 0, 3, plenty)).nextOffset).toBe(4)
})

test('a tombstone goes when a compaction has met it long enough ago, and not before (KIP-534)', async () => {
  let nowMs = 0
  const log = await logWith({ now: () => nowMs })
  await log.append([record(0, 'a', '1'), record(0, 'a', null)])
  nowMs = 100
  expect(log.compact('events', 0, 50)).toBe(0)
  nowMs = 149
  expect(log.compact('events', 0, 50)).toBe(0)
  nowMs = 150
  expect(log.compact('events', 0, 50)).toBe(1)
  expect(log.records('events', 0)).toEqual([])
  expect(log.history('events', 0)).toHaveLength(2)
})

describe('a request to end a transaction that arrives late', () => {
  const arrival = () => {
    let arrive = (): void => undefined
    const arrives = new Promise<void>((resolve) => {
      arrive = resolve
    })
    return { arrives, arrive: () => arrive() }
  }

  test('is refused after the writer was opened anew, and ends nothing of the new one', async () => {
    const { arrives, arrive } = arrival()
    const ended: string[] = []
    let late = true
    const log = await logWith({
      faults: { end: () => (late ? { kind: 'late', arrives } : undefined) },
      observer: { ended: (id, epoch, outcome) => ended.push(`${id} ${epoch} ${outcome}`) },
    })
    await expect((await log.writer('graph/0')).commit({ outputs: [record(0, 'a')] })).rejects.toMatchObject({
      code: 'COMMIT_UNKNOWN',
    })
    late = false
    const epoch = await log.initProducer('graph/0')
    await log.produce('graph/0', epoch, [record(0, 'b')])
    arrive()
    await settled()
    expect(log.openTransactions()).toEqual(['graph/0'])
    log.endTransaction('graph/0', epoch)
    expect(log.records('events', 0).map(({ key }) => key)).toEqual(['b'])
    expect(ended).toEqual(['graph/0 1 aborted', 'graph/0 1 refused', 'graph/0 2 committed'])
  })

  test('takes effect if nobody has opened the writer meanwhile', async () => {
    const { arrives, arrive } = arrival()
    const log = await logWith({ faults: { end: () => ({ kind: 'late', arrives }) } })
    const writer = await log.writer('graph/0')
    await expect(writer.commit({ outputs: [record(0, 'a')] })).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' })
    expect(log.records('events', 0)).toEqual([])
    arrive()
    await settled()
    expect(log.records('events', 0).map(({ key }) => key)).toEqual(['a'])
  })

  // What the new epoch after every indefinite error is for: the protocol itself does not tell one transaction from the next.
  test('would commit half of the next transaction, were the epoch the same', async () => {
    const log = await logWith()
    const epoch = await log.initProducer('graph/0')
    await log.produce('graph/0', epoch, [record(0, 'a')])
    log.endTransaction('graph/0', epoch)
    await log.produce('graph/0', epoch, [record(0, 'half')])
    log.endTransaction('graph/0', epoch) // the first request, sent twice
    expect(log.records('events', 0).map(({ key }) => key)).toEqual(['a', 'half'])
  })
})

test('a commit is answered before its markers are there; readers, and the next writer, wait for them', async () => {
  const markers: (() => void)[] = []
  const log = await logWith({
    markers: true,
    faults: { marker: () => new Promise<void>((resolve) => markers.push(resolve)) },
  })
  const writer = await log.writer('graph/0')
  await writer.commit({ outputs: [record(0, 'a'), record(1, 'b')] })
  expect([await log.ends('events', 0), await log.ends('events', 1)].map(({ stable }) => stable)).toEqual([0, 0])
  let opened = false
  const opening = log.writer('graph/0').then(() => {
    opened = true
  })
  markers[1]!()
  await settled()
  expect([await log.ends('events', 0), await log.ends('events', 1)].map(({ stable }) => stable)).toEqual([0, 2])
  expect(opened).toBe(false)
  markers[0]!()
  await opening
  expect(log.records('events', 0).map(({ key }) => key)).toEqual(['a'])
})

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

test('what is truncated is out of range', async () => {
  const log = await logWith()
  await log.append([record(0, 'a'), record(0, 'b')])
  log.truncate('events', 0, 1)
  await expect(log.fetch('events', 0, 0, plenty)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
  expect((await log.fetch('events', 0, 1, plenty)).records.map(({ key }) => key)).toEqual(['b'])
})
