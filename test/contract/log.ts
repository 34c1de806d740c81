/** What every log does. Run it over each adapter with `logContract(name, make)`. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FetchLimits, Log, TopicSpec } from '../../runtime/log.ts'
import type { AddressedRecord, LogRecord, StoredRecord } from '../../runtime/record.ts'

/** `open` opens the same lasting log each time; `nowMs` is what its clock shows, always. */
export type LogUnderTest = { open(): Promise<Log>; readonly nowMs: number; dispose(): Promise<void> }

const events: TopicSpec = { name: 'events', partitions: 3, cleanup: 'delete', retentionMs: null }
const state: TopicSpec = { name: 'state', partitions: 1, cleanup: 'compact', retentionMs: null }

export function logContract(name: string, make: () => Promise<LogUnderTest>): void {
  describe(`log: ${name}`, () => {
    let underTest: LogUnderTest
    let log: Log

    beforeEach(async () => {
      underTest = await make()
      log = await underTest.open()
      await log.createTopics([events, state])
    })
    afterEach(async () => {
      await log.close()
      await underTest.dispose()
    })

    const values = async (topic: string, partition: number) => {
      const { start } = await log.ends(topic, partition)
      return (await readAll(log, topic, partition, start, plenty)).map(({ value }) => value?.toString())
    }

    describe('topics', () => {
      test('are made once, listed, and not changed by asking again', async () => {
        await log.createTopics([events, { ...state, name: 'more' }])
        const byName = (specs: readonly TopicSpec[]) => [...specs].sort((a, b) => (a.name < b.name ? -1 : 1))
        expect(byName(await log.topics())).toEqual([events, { ...state, name: 'more' }, state])
      })

      test('with another partition count are TOPIC_MISMATCH', async () => {
        const asked = log.createTopics([{ ...events, partitions: 4 }])
        await expect(asked).rejects.toMatchObject({ code: 'TOPIC_MISMATCH', place: { topic: 'events' } })
      })

      test('that are not there are TOPIC_UNKNOWN, and so are partitions', async () => {
        const unknown = { code: 'TOPIC_UNKNOWN' }
        await expect(log.ends('nowhere', 0)).rejects.toMatchObject(unknown)
        await expect(log.fetch('events', 3, 0, plenty)).rejects.toMatchObject(unknown)
        await expect(log.append([record('events', 3, 'a')])).rejects.toMatchObject(unknown)
        const writer = await log.writer('identify/0')
        const commit = writer.commit({ outputs: [record('events', 0, 'a'), record('nowhere', 0, 'b')] })
        await expect(commit).rejects.toMatchObject(unknown)
        expect(await values('events', 0)).toEqual([])
      })
    })

    describe('append and fetch', () => {
      test('an empty partition has nothing, at its end', async () => {
        expect(await log.ends('events', 0)).toEqual({ start: 0, stable: 0, end: 0 })
        expect(await log.fetch('events', 0, 0, plenty)).toEqual({ records: [], nextOffset: 0 })
        expect(await log.append([])).toEqual([])
      })

      test('records come back as they went in, with the offsets that were answered', async () => {
        const odd: LogRecord[] = [
          { kind: 'event', key: '', value: Buffer.alloc(0), timestampMs: -5 },
          { kind: 'tombstone', key: 'tenant/é\u{1F600}', value: null, timestampMs: 1_700_000_000_000 },
          { kind: 'é', key: 'k'.repeat(5000), value: Buffer.alloc(256 * 1024, 7), timestampMs: 0 },
        ]
        const offsets = await log.append(odd.map((r) => ({ ...r, topic: 'events', partition: 1 })))
        const read = await readAll(log, 'events', 1, 0, plenty)
        expect(read.map(comparable)).toEqual(odd.map((r, i) => comparable({ ...r, offset: offsets[i]! })))
        expect(await values('events', 0)).toEqual([])
      })

      test('log time is the clock of the log where a record says none', async () => {
        await log.append([{ ...record('events', 0, 'a'), timestampMs: Number.NaN }])
        expect((await log.fetch('events', 0, 0, plenty)).records[0]?.timestampMs).toBe(underTest.nowMs)
      })

      test('offsets are answered in the order of the records, whatever their partition', async () => {
        const offsets = await log.append([0, 2, 0, 1, 2].map((p, i) => record('events', p, String(i))))
        const { records } = await log.fetch('events', 2, offsets[4]!, plenty)
        expect(records.map(({ value }) => String(value))).toEqual(['4'])
        expect(await values('events', 0)).toEqual(['0', '2'])
      })

      test('a fetch keeps to its limits, and answers at least one record', async () => {
        await log.append(['a', 'b', 'c', 'd'].map((v) => record('events', 0, v.repeat(1000))))
        const sizes = async (limits: FetchLimits) => (await log.fetch('events', 0, 0, limits)).records.length
        expect(await sizes({ maxRecords: 2, maxBytes: 1e6 })).toBe(2)
        expect(await sizes({ maxRecords: 9, maxBytes: 2500 })).toBe(2)
        expect(await sizes({ maxRecords: 1, maxBytes: 0 })).toBe(1)
        expect(await sizes(plenty)).toBe(4)
      })

      test('outside of what is there is OFFSET_OUT_OF_RANGE', async () => {
        await log.append([record('events', 0, 'a')])
        const { stable } = await log.ends('events', 0)
        expect((await log.fetch('events', 0, stable, plenty)).records).toEqual([])
        const wrong = { code: 'OFFSET_OUT_OF_RANGE', place: { topic: 'events', partition: 0 } }
        await expect(log.fetch('events', 0, stable + 1, plenty)).rejects.toMatchObject(wrong)
        await expect(log.fetch('events', 0, -1, plenty)).rejects.toMatchObject(wrong)
      })

      test('appends at the same time are each whole and in order', async () => {
        const clients = Array.from({ length: 20 }, (_, client) => client)
        await Promise.all(
          clients.map(async (client) => {
            for (let n = 0; n < 5; n++)
              await log.append(['x', 'y'].map((v) => record('events', 0, `${client} ${n}${v}`)))
          }),
        )
        const read = await values('events', 0)
        for (const client of clients) {
          const own = read.filter((value) => value?.startsWith(`${client} `))
          expect(own).toEqual([0, 1, 2, 3, 4].flatMap((n) => [`${client} ${n}x`, `${client} ${n}y`]))
        }
      })
    })

    describe('commits', () => {
      test('show all they hold, in order, in every partition', async () => {
        const writer = await log.writer('identify/0')
        const outputs = [record('events', 0, 'a'), record('state', 0, 'b'), record('events', 0, 'c')]
        const offsets = await writer.commit({ outputs })
        expect(await values('events', 0)).toEqual(['a', 'c'])
        expect(await values('state', 0)).toEqual(['b'])
        expect((await log.fetch('events', 0, offsets[2]!, plenty)).records[0]?.value?.toString()).toBe('c')
        expect(await writer.commit({ outputs: [] })).toEqual([])
        await writer.close()
      })

      test('of an older writer are FENCED, those of other ids are not', async () => {
        const older = await log.writer('identify/0')
        const other = await log.writer('identify/1')
        await older.commit({ outputs: [record('events', 0, 'a')] })
        const newer = await log.writer('identify/0')
        await expect(older.commit({ outputs: [record('events', 0, 'never')] })).rejects.toMatchObject({
          code: 'FENCED',
        })
        await newer.commit({ outputs: [record('events', 0, 'b')] })
        await other.commit({ outputs: [record('events', 0, 'c')] })
        expect(await values('events', 0)).toEqual(['a', 'b', 'c'])
      })

      test('that meet a newer writer are there when it is opened, or never', async () => {
        for (let round = 0; round < 20; round++) {
          const older = await log.writer('identify/0')
          const commit = older.commit({ outputs: [record('events', 0, `${round}a`), record('events', 1, `${round}b`)] })
          const outcome = commit.then(
            () => 'committed',
            (error: { code: string }) => error.code,
          )
          if (round % 2) await null
          await log.writer('identify/0')
          const seen = [(await values('events', 0)).at(-1), (await values('events', 1)).at(-1)]
          const isThere = seen.map((value) => value?.startsWith(String(round)) ?? false)
          expect({ isThere, outcome: await outcome }).toEqual(
            isThere[0]
              ? { isThere: [true, true], outcome: 'committed' }
              : { isThere: [false, false], outcome: 'FENCED' },
          )
        }
      })
    })

    describe('arrival', () => {
      const settled = async (promise: Promise<void>) => {
        let done = false
        void promise.then(() => {
          done = true
        })
        await new Promise((resolve) => setTimeout(resolve, 20))
        return done
      }

      test('resolves at once when there is something, and otherwise when it comes', async () => {
        const { signal } = new AbortController()
        await log.append([record('events', 0, 'a')])
        await log.arrival('events', 0, 0, signal)
        const { stable } = await log.ends('events', 0)
        const next = log.arrival('events', 0, stable, signal)
        await log.append([record('events', 1, 'elsewhere')])
        expect(await settled(next)).toBe(false)
        await log.append([record('events', 0, 'b')])
        await next
        expect((await log.fetch('events', 0, stable, plenty)).records).toHaveLength(1)
      })

      test('resolves for a reader that has just read a lot at once', async () => {
        const { signal } = new AbortController()
        const large = 'x'.repeat(200_000)
        for (let i = 0; i < 15; i++) await log.append([record('events', 0, large)])
        const { stable } = await log.ends('events', 0)
        for (let at = 0; at < stable; )
          at = (await log.fetch('events', 0, at, { maxRecords: 5000, maxBytes: 16 << 20 })).nextOffset
        const next = log.arrival('events', 0, stable, signal)
        expect(await settled(next)).toBe(false)
        await log.append([record('events', 0, 'b')])
        await next
      })

      test('resolves when its signal aborts, before or during', async () => {
        const controller = new AbortController()
        const waiting = log.arrival('events', 0, 0, controller.signal)
        expect(await settled(waiting)).toBe(false)
        controller.abort()
        await waiting
        await log.arrival('events', 0, 0, controller.signal)
      })
    })

    test('all is there after closing and opening again, and goes on from there', async () => {
      await log.append([record('events', 0, 'a'), record('state', 0, 'b')])
      const ends = await log.ends('events', 0)
      await log.close()
      log = await underTest.open()
      expect(await log.ends('events', 0)).toEqual(ends)
      expect((await log.topics()).map((topic) => topic.name).sort()).toEqual(['events', 'state'])
      await log.append([record('events', 0, 'c')])
      expect(await values('events', 0)).toEqual(['a', 'c'])
      expect(await values('state', 0)).toEqual(['b'])
    })

    test('a reader with any limits sees what was written: all of it, once, in order', async () => {
      const draft = fc.record({
        partition: fc.nat(2),
        key: fc.string({ maxLength: 4 }),
        value: fc.option(fc.oneof(fc.nat(20), fc.nat(2000)).map((length) => Buffer.alloc(length, length))),
        timestampMs: fc.integer({ min: 0, max: 1e12 }),
      })
      const step = fc.record({ records: fc.array(draft, { maxLength: 12 }), writer: fc.constantFrom('', 'a/0', 'b/0') })
      const limits = fc.record({ maxRecords: fc.integer({ min: 1, max: 7 }), maxBytes: fc.nat(3000) })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 8 }), limits, async (steps, pageLimits) => {
          const starts = await Promise.all([0, 1, 2].map(async (p) => (await log.ends('events', p)).stable))
          const model: StoredRecord[][] = [[], [], []]
          for (const { records, writer } of steps) {
            const outputs: AddressedRecord[] = records.map((r) => ({ ...r, topic: 'events', kind: 'event' }))
            const offsets = writer ? await (await log.writer(writer)).commit({ outputs }) : await log.append(outputs)
            for (const [i, { partition, ...rest }] of records.entries()) {
              model[partition]!.push({ ...rest, kind: 'event', offset: offsets[i]! })
            }
          }
          for (const [partition, expected] of model.entries()) {
            expect(await readAll(log, 'events', partition, starts[partition]!, pageLimits)).toEqual(expected)
          }
        }),
        { numRuns: 40 },
      )
    })
  })
}

const plenty: FetchLimits = { maxRecords: 10_000, maxBytes: 64 * 1024 * 1024 }

function record(topic: string, partition: number, value: string): AddressedRecord {
  return { topic, partition, kind: 'event', key: 'tenant/key', value: Buffer.from(value), timestampMs: 1000 }
}

/** Reads to the stable end, page by page; each page is read twice and must be the same. */
async function readAll(log: Log, topic: string, partition: number, from: number, limits: FetchLimits) {
  const all: StoredRecord[] = []
  const { stable } = await log.ends(topic, partition)
  for (let offset = from; offset < stable; ) {
    const page = await log.fetch(topic, partition, offset, limits)
    const again = await log.fetch(topic, partition, offset, limits)
    expect(again.records.map(comparable)).toEqual(page.records.map(comparable))
    expect(again.nextOffset).toBe(page.nextOffset)
    expect(page.records.length).toBeLessThanOrEqual(limits.maxRecords)
    expect(page.nextOffset).toBeGreaterThan(offset)
    all.push(...page.records)
    offset = page.nextOffset
  }
  return all
}

/** Large buffers are compared as text: element by element takes a second. */
function comparable({ value, ...rest }: StoredRecord) {
  return { ...rest, value: value?.toString('base64') ?? null }
}
