import { expect, test } from 'vitest'
import { Random } from './random.ts'
import { MemoryStores } from './stores/memory.ts'
import { indexKey, TimerIndex } from './timer-index.ts'

/** Drives an index and its store as a task does, beside a plain sorted list. */
async function trial(seed: number, entries: number): Promise<void> {
  const random = new Random('timers', seed)
  const store = await new MemoryStores().open('t')
  const index = new TimerIndex(store)
  const expected = new Set<string>()
  let nowMs = 0
  for (let batch = 0; batch < 20; batch++) {
    const added: string[] = []
    const taken: string[] = []
    for (let i = random.below(entries); i > 0; i--) {
      const atMs = nowMs + 1 + random.below(50_000)
      const entry = indexKey(atMs, `k${random.below(1_000_000)}`)
      if (expected.has(entry)) continue
      expected.add(entry)
      added.push(entry)
      index.add(atMs, entry.slice(18))
      // Between two additions of a batch the clock may move and timers fire.
      if (random.chance(0.002)) {
        nowMs += random.below(3000)
        taken.push(...(await takeAll(index, expected, nowMs)))
      }
    }
    taken.push(...(await takeAll(index, expected, nowMs)))
    await store.write([
      ...added.map((key) => ({ key, value: Buffer.alloc(0) })),
      ...taken.map((key) => ({ key, value: null })),
    ])
    index.applied()
    if (random.chance(0.1)) index.reset()
    nowMs += random.below(5000)
  }
  await takeAll(index, expected, Number.MAX_SAFE_INTEGER - 1)
  expect(expected.size).toBe(0)
}

async function takeAll(index: TimerIndex, expected: Set<string>, untilMs: number): Promise<string[]> {
  const due = [...expected].filter((entry) => Number(entry.slice(1, 17)) <= untilMs).sort()
  const taken: string[] = []
  for (let entry = await index.take(untilMs); entry; entry = await index.take(untilMs)) {
    taken.push(indexKey(entry.atMs, entry.key))
  }
  expect(taken).toEqual(due)
  for (const entry of taken) expected.delete(entry)
  return taken
}

test.each([1, 2, 3, 4, 5, 6])('gives every entry once, in order, whatever is in memory: seed %i', (seed) =>
  trial(seed, 400),
)

test('more entries than fit in memory', () => trial(7, 6000))
