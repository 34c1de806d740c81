/** What broke in other runtimes, played out on the memory log: each by the name its users know it under. */
import { afterEach, expect, test } from 'vitest'
import type { Log } from '../../runtime/log.ts'
import type { Passage } from '../../runtime/memory/log.ts'
import { Restore } from '../../runtime/restore.ts'
import { stageOf } from '../../runtime/stage.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { changelogOf } from '../../runtime/topology.ts'
import { Fleet, type Host, partitions, topology } from '../worker/relay.ts'

const hosts: Host[] = []

afterEach(() => {
  for (const { gate } of hosts.splice(0)) gate.stop()
})

async function started(fleet: Fleet, name: string, stores?: MemoryStores, log?: Log): Promise<Host> {
  const host = await fleet.start(name, stores, log)
  hosts.push(host)
  return host
}

async function expectExact(fleet: Fleet, ...of: Host[]): Promise<void> {
  const isReady = () => of.every(({ worker }) => worker.health().ready)
  await fleet.until(() => isReady() && of.flatMap((host) => host.running('total')).length === partitions, 30_000)
  await fleet.clock.advance(8000)
  expect(fleet.differences()).toEqual([])
  for (const host of of)
    for (const stage of ['relay', 'total'])
      for (const partition of host.running(stage))
        expect(fleet.storeDifferences(host.stores, stage, partition)).toEqual([])
  expect(of.flatMap(({ heard }) => heard.failures)).toEqual([])
}

/** A log whose reads of changelogs take so long each, as long as `isSlow`. */
function slowRestores(fleet: Fleet, isSlow: () => boolean, ms: number): Log {
  return new Proxy<Log>(fleet.log, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]) => {
        if (name === 'fetch' && String(args[0]).endsWith('.changelog') && isSlow())
          await fleet.clock.sleep(ms, new AbortController().signal)
        return member.apply(target, args)
      }
    },
  })
}

test('KAFKA-20685: writes of a transaction that was aborted are in no store, though the process restored before', async () => {
  let lost = false
  const end = (): Passage | undefined => (lost ? { kind: 'lost' } : undefined)
  const fleet = await Fleet.open({}, { end })
  const a = await started(fleet, 'a')
  await fleet.run(2000)
  a.gate.stop()
  const back = await started(fleet, 'a', a.stores)
  await fleet.run(2000)
  lost = true
  await fleet.send(100)
  await fleet.clock.advance(50) // a task that has just committed a little waits for more
  back.gate.stop()
  lost = false
  expect(fleet.log.openTransactions().length).toBeGreaterThan(0)
  const last = await started(fleet, 'a', back.stores)
  expect(last.heard.wiped).toEqual([])
  await expectExact(fleet, last)
})

test('KAFKA-16017: a process that is ended in the middle of a restore has not restored what it did not read', async () => {
  const fleet = await Fleet.open()
  const a = await started(fleet, 'a')
  await fleet.run(3000, 200)
  a.gate.stop()
  let slow = true
  const stores = new MemoryStores()
  const b = await started(
    fleet,
    'a',
    stores,
    slowRestores(fleet, () => slow, 60_000),
  )
  await fleet.run(2000)
  expect(b.worker.tasks.map(({ phase }) => phase)).toContain('restoring')
  const stopped = b.worker.stop({ keepPlace: true, budgetMs: 1000 })
  await fleet.clock.advance(2000)
  expect(await stopped).toBe(false)
  b.gate.stop()
  slow = false
  await expectExact(fleet, await started(fleet, 'a', stores))
})

test('KAFKA-20663: a store below the start of its changelog begins anew, alone', async () => {
  const fleet = await Fleet.open()
  const a = await started(fleet, 'a')
  await fleet.run(2000)
  a.gate.stop()
  await fleet.clock.advance(1000)
  const b = await started(fleet, 'b')
  await fleet.run(9000)
  b.gate.stop()
  fleet.log.compact('total.changelog', 1)
  fleet.log.truncate('total.changelog', 1, fleet.log.records('total.changelog', 1)[0]!.offset)
  const back = await started(fleet, 'a', a.stores)
  await fleet.run(8000)
  expect(back.heard.wiped).toEqual(['total/1'])
  await expectExact(fleet, back)
})

test('Quix #1017: a restore ends though the last offsets of the changelog hold no records any more', async () => {
  let lost = false
  const end = (): Passage | undefined => (lost ? { kind: 'lost' } : undefined)
  const fleet = await Fleet.open({}, { end })
  const a = await started(fleet, 'a')
  await fleet.run(2000)
  lost = true
  await fleet.run(400)
  a.gate.stop()
  lost = false
  // The transactions that were left open are aborted: offsets without records, and a marker behind them.
  for (let partition = 0; partition < partitions; partition++) {
    await fleet.log.writer(`total/${partition}`)
    fleet.log.compact(changelogOf('total'), partition)
    const { stable } = await fleet.log.ends(changelogOf('total'), partition)
    expect(fleet.log.records(changelogOf('total'), partition).at(-1)!.offset).toBeLessThan(stable - 1)
    const restore = await Restore.open({
      stage: stageOf(topology, 'total'),
      partition,
      log: fleet.log,
      store: await new MemoryStores().open('copy'),
      codec: fleet.codec,
      observer: {},
    })
    await restore.toStableEnd(new AbortController().signal)
  }
  await expectExact(fleet, await started(fleet, 'a', new MemoryStores()))
})

test('Quix #1146: rebalances in the middle of restores end in tasks that run', async () => {
  const fleet = await Fleet.open({ warmupsMax: 6 })
  const a = await started(fleet, 'a')
  await fleet.run(3000, 200)
  a.gate.stop()
  let slow = true
  const log = slowRestores(fleet, () => slow, 3000)
  const b = await started(fleet, 'b', undefined, log)
  const c = await started(fleet, 'c', undefined, log)
  let interrupted = 0
  for (let round = 0; round < 10; round++) {
    const guest = await started(fleet, `guest${round}`, undefined, log)
    await fleet.run(1200)
    interrupted += [b, c].flatMap(({ worker }) => worker.tasks).filter(({ phase }) => phase === 'restoring').length
    const left = guest.worker.stop({ keepPlace: false, budgetMs: 1000 })
    await fleet.clock.advance(1000)
    await left
  }
  expect(interrupted).toBeGreaterThan(0)
  slow = false
  await expectExact(fleet, b, c)
})

test('Goka #207: input that arrives while the state is loaded is processed, once', async () => {
  const fleet = await Fleet.open()
  const a = await started(fleet, 'a')
  await fleet.run(3000, 200)
  a.gate.stop()
  let slow = true
  const b = await started(
    fleet,
    'b',
    undefined,
    slowRestores(fleet, () => slow, 5000),
  )
  await fleet.run(9000, 100)
  expect(b.running('relay')).toEqual([])
  slow = false
  const before = fleet.written('mid')
  await expectExact(fleet, b)
  expect(fleet.written('mid')).toBeGreaterThan(before + 500)
})

test('Faust #47: a restore ends though a dead process has left a transaction open in the changelog', async () => {
  let lost = false
  const end = (): Passage | undefined => (lost ? { kind: 'lost' } : undefined)
  const fleet = await Fleet.open({}, { end })
  const a = await started(fleet, 'a')
  await fleet.run(2000)
  lost = true
  await fleet.send(100)
  await fleet.clock.advance(50) // a task that has just committed a little waits for more
  a.gate.stop()
  lost = false
  const open = fleet.log.openTransactions()
  expect(open.length).toBeGreaterThan(0)
  await fleet.run(3000)
  expect(fleet.log.openTransactions()).toEqual(open)
  const b = await started(fleet, 'b')
  await fleet.until(() => b.worker.health().ready, 10_000)
  expect(fleet.log.openTransactions()).toEqual([])
  await expectExact(fleet, b)
})
