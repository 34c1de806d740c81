import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../runtime/codec.ts'
import { MemoryLog } from '../runtime/memory/log.ts'
import type { StoredRecord } from '../runtime/record.ts'
import { allTopics } from '../runtime/topology.ts'
import { noRequest, rawEvent } from '../sources/raw-event.ts'
import { customerData } from '../topologies/customer-data.ts'
import { type FeedItem, feed, feedPositions, requireOnlyFeed } from './feed.ts'

const topology = customerData([])
const codec = new Codec(fixedSchemaIds())
const hourMs = 3_600_000
const startMs = Date.UTC(2024, 0, 1)

/** Events of a few clients, so long after each other. */
function history(gapsMs: readonly number[]): FeedItem[] {
  let logTimeMs = startMs
  return gapsMs.map((gapMs, place) => {
    logTimeMs += gapMs
    const fields = { duid: `client-${place % 7}`, eid: String(place) }
    const origin = {
      tenant: 'shop',
      source: 'demo',
      payloadId: String(place),
      collectorTstampMs: logTimeMs,
      ...noRequest,
    }
    return { logTimeMs, ...rawEvent(origin, 'tp2', 0, JSON.stringify(fields), fields) }
  })
}

async function newLog(): Promise<MemoryLog> {
  const log = new MemoryLog()
  await log.createTopics(allTopics(topology))
  return log
}

/** `drain` stands for the tasks: what they do is their own tests' concern, and a throw is a kill. */
const feedInto = (log: MemoryLog, items: readonly FeedItem[], drain: () => void = () => {}, again = false) =>
  feed(
    { log, codec, topology, turns: { begin: async () => false, drain: async () => drain(), end: async () => {} } },
    { id: 'test', items, endMs: (lastMs) => lastMs + 100 * hourMs, again },
  )

const contentOf = (log: MemoryLog): readonly (readonly StoredRecord[])[] =>
  [0, 1, 2].map((partition) => log.records('events.raw', partition))

describe('a feed', () => {
  test('has its items in order, in their own time, and ends with a far tick in every partition', async () => {
    const log = await newLog()
    const items = history(Array.from({ length: 2500 }, () => 1000))
    expect(await feedInto(log, items)).toEqual({ items: 2500, resumedAt: 0 })
    const content = contentOf(log)
    const times = content.flat().flatMap(({ kind, timestampMs }) => (kind === 'event' ? [timestampMs] : []))
    expect(times.sort((a, b) => a - b)).toEqual(items.map(({ logTimeMs }) => logTimeMs))
    for (const records of content) {
      for (let at = 1; at < records.length; at++)
        expect(records[at]!.timestampMs).toBeGreaterThanOrEqual(records[at - 1]!.timestampMs)
      const { kind, timestampMs } = records.at(-1)!
      expect({ kind, timestampMs }).toEqual({ kind: 'tick', timestampMs: items.at(-1)!.logTimeMs + 100 * hourMs })
    }
    expect(await feedPositions(log, codec)).toEqual(new Map([['test', { items: 2500, ended: true }]]))
  })

  test('ticks at its beginning, no more than once an hour or in 250 items, and at the end of each chunk', async () => {
    const ticksOf = async (items: readonly FeedItem[]): Promise<number> => {
      const log = await newLog()
      await feedInto(log, items)
      return contentOf(log)[0]!.filter(({ kind }) => kind === 'tick').length
    }
    expect(await ticksOf(history(Array.from({ length: 2000 }, () => 1)))).toBe(1 + 2 + 1)
    expect(await ticksOf(history(Array.from({ length: 2000 }, () => hourMs)))).toBe(1 + 2 * 4 + 1)
    expect(await ticksOf(history(Array.from({ length: 2000 }, () => hourMs / 600)))).toBe(1 + 2 * 2 + 1)
  })

  test('killed at any of its commits, and taken up again, it leaves the very same log', async () => {
    const gap = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 0, max: 2 * hourMs }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(gap, { maxLength: 3500, size: 'max' }),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
        async (gaps, kills) => {
          const items = history(gaps)
          const unbroken = await newLog()
          await feedInto(unbroken, items)
          const broken = await newLog()
          for (const kill of kills) {
            let drains = 0
            const dying = feedInto(broken, items, () => {
              if (drains++ === kill) throw new Error('killed')
            })
            await dying.catch((error) => expect(error.message).toBe('killed'))
          }
          await feedInto(broken, items)
          expect(contentOf(broken)).toEqual(contentOf(unbroken))
        },
      ),
      { numRuns: 15 },
    )
  }, 60_000)

  test('that has ended adds nothing, unless it is to be fed again', async () => {
    const log = await newLog()
    const items = history([1, 2, 3])
    await feedInto(log, items)
    const once = contentOf(log)
    expect(await feedInto(log, items)).toEqual({ items: 3, resumedAt: 3 })
    expect(contentOf(log)).toEqual(once)
    expect(await feedInto(log, items, undefined, true)).toEqual({ items: 3, resumedAt: 0 })
    expect(contentOf(log).flat()).toHaveLength(2 * once.flat().length)
  })

  test('of nothing ends at once, and without a tick', async () => {
    const log = await newLog()
    expect(await feedInto(log, [])).toEqual({ items: 0, resumedAt: 0 })
    expect(contentOf(log).flat()).toEqual([])
  })

  test('refuses a history that goes back in time', async () => {
    await expect(feedInto(await newLog(), history([5, -1]))).rejects.toThrow('never goes back')
  })
})

test('a log that holds another feed is told from one that holds this feed or none', async () => {
  const log = await newLog()
  await requireOnlyFeed(log, codec, 'test')
  await feedInto(log, history([1]))
  await requireOnlyFeed(log, codec, 'test')
  await expect(requireOnlyFeed(log, codec, 'other')).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: 'the data folder holds another history (test, not other); take an empty folder with --data',
  })
})
