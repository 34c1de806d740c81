import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import type { Member } from '../runtime/assignment.ts'
import { systemClock } from '../runtime/clock.ts'
import { MemoryCoordinator } from '../runtime/memory/coordinator.ts'
import type { Connector } from './connector.ts'
import { ConnectorGroup, planOf } from './group.ts'
import { appendTo, logWith, topic } from './testing.ts'

const partitions = 4
const four = { ...topic, partitions }

const member = (process: string, ...held: readonly number[]): Member => ({
  process,
  generation: 1,
  held: held.map((partition) => ({ partition, role: 'active', lag: 0 })),
})
const planned = (...members: readonly Member[]) =>
  Object.fromEntries([...planOf(members, partitions)].map(([process, { active }]) => [process, active]))

test('a partition that another still has is nobody’s until it was let go of', () => {
  expect(planned(member('a'))).toEqual({ a: [0, 1, 2, 3] })
  expect(planned(member('a', 0, 1, 2, 3), member('b'))).toEqual({ a: [2, 3], b: [] })
  expect(planned(member('a', 2, 3), member('b'))).toEqual({ a: [2, 3], b: [0, 1] })
  expect(planned(member('b', 0, 1))).toEqual({ b: [0, 1, 2, 3] })
})

const groups: ConnectorGroup[] = []
afterEach(async () => {
  for (const group of groups.splice(0)) await group.leave()
})

test('processes come and go while records come: each partition is delivered by one at a time, in order, to the end', async () => {
  const { log, codec } = await logWith([0, 0, 0, 0])
  const coordinator = new MemoryCoordinator(systemClock)
  const taken: number[][] = Array.from({ length: partitions }, () => [])
  const underWay = new Set<number>()

  async function join(process: string): Promise<ConnectorGroup> {
    const connector: Connector = {
      id: 'tool',
      batchMax: 3,
      async deliver(batch) {
        const { partition } = batch[0]!
        if (underWay.has(partition)) expect.unreachable(`two deliver partition ${partition}`)
        underWay.add(partition)
        await delay(Math.random() * 10)
        taken[partition]!.push(...batch.map(({ offset }) => offset))
        underWay.delete(partition)
      },
      async close() {},
    }
    const group = await ConnectorGroup.join({
      log,
      codec,
      connector,
      topic: four,
      app: 'test',
      process,
      endpoint: '',
      version: '',
      coordinator,
      time: systemClock,
      membership: { sessionTimeoutMs: 2000, heartbeatMs: 10, rebalanceTimeoutMs: 2000 },
      assigned: () => {},
      failed: (error) => expect.unreachable(String(error)),
    })
    groups.push(group)
    return group
  }
  const share = (group: ConnectorGroup, count: number) =>
    vi.waitUntil(() => group.partitions.length === count, { timeout: 10_000 })

  let appended = 0
  let feeding = true
  const fed = (async () => {
    for (; feeding; appended++) {
      for (let partition = 0; partition < partitions; partition++) await appendTo(log, codec, partition, appended, 1)
      await delay(2)
    }
  })()
  const a = await join('a')
  await share(a, 4)
  const b = await join('b')
  await Promise.all([share(a, 2), share(b, 2)])
  const c = await join('c')
  await Promise.all([share(c, 1), vi.waitUntil(() => a.partitions.length + b.partitions.length === 3)])
  await a.leave()
  await vi.waitUntil(() => b.partitions.length + c.partitions.length === 4, { timeout: 10_000 })
  feeding = false
  await fed
  await vi.waitUntil(() => taken.every((offsets) => offsets.length >= appended), { timeout: 10_000 })
  const all = Array.from({ length: appended }, (_, offset) => offset)
  expect(taken).toEqual([all, all, all, all])
}, 60_000)
