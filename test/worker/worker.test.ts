import { afterEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import type { Passage } from '../../runtime/memory/log.ts'
import { Random } from '../../runtime/random.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { Fleet, type Host, partitions, sessionTimeoutMs } from './relay.ts'

const all = [0, 1, 2, 3, 4, 5]
const hosts: Host[] = []
const roles = ['active', 'standby', 'warmup'] as const
/** Rare branches that some run took. */
const reached = new Set<string>()

afterEach(() => {
  for (const { gate } of hosts.splice(0)) gate.stop()
})

async function started(fleet: Fleet, name: string, stores?: MemoryStores, log?: Log): Promise<Host> {
  const host = await fleet.start(name, stores, log)
  hosts.push(host)
  return host
}

const ready = (...of: Host[]) => of.every(({ worker }) => worker.health().ready)

/** Two processes in balance, with work behind them. */
async function pair(fleet: Fleet): Promise<[Host, Host]> {
  const a = await started(fleet, 'a')
  const b = await started(fleet, 'b')
  await fleet.until(() => a.running('total').length === 3 && b.running('total').length === 3, 10_000)
  await fleet.until(() => a.running('relay').length === 3 && ready(a, b), 10_000)
  return [a, b]
}

/** Lets all work end, and compares it with the folds. */
async function expectExact(fleet: Fleet, ...of: Host[]): Promise<void> {
  await fleet.until(() => of.flatMap((host) => host.running('total')).length === partitions && ready(...of), 30_000)
  await fleet.clock.advance(8000)
  expect(fleet.differences()).toEqual([])
  for (const host of of) {
    for (const stage of ['relay', 'total']) {
      for (const partition of host.running(stage))
        expect(fleet.storeDifferences(host.stores, stage, partition)).toEqual([])
    }
  }
  expect(of.flatMap(({ heard }) => heard.failures)).toEqual([])
}

describe('workers', () => {
  test('one runs it all, and ticks its source', async () => {
    const fleet = await Fleet.open()
    const a = await started(fleet, 'a')
    await fleet.run(5000)
    expect(a.running('relay')).toEqual(all)
    expect(fleet.written('out')).toBeGreaterThan(200)
    const ticks = fleet.log.records('in', 0).filter(({ kind }) => kind === 'tick')
    expect(ticks.length).toBeGreaterThanOrEqual(4)
    // Its own each second, and the first one of each other task.
    expect(ticks.length).toBeLessThanOrEqual(5 + partitions - 1)
    await fleet.clock.advance(6000)
    const watched = [...fleet.coordinator.shown('test.relay')]
    for (const [partition, offset] of watched)
      expect((await fleet.log.ends('in', partition)).stable - offset).toBeLessThan(20)
    expect(watched.length).toBe(partitions)
    await expectExact(fleet, a)
  })

  test('two share it, and each knows where the other is', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    expect([...a.running('relay'), ...b.running('relay')].sort()).toEqual(all)
    const places = a.heard.assignments.get('total')!.members.map(({ endpoint }) => endpoint)
    expect(places).toEqual(['a:80', 'b:80'])
    await expectExact(fleet, a, b)
  })

  test('a warm-up runs as soon as it has caught up, with no time passing for it', async () => {
    const fleet = await Fleet.open({ warmupsMax: 6 })
    const a = await started(fleet, 'a')
    await fleet.run(4000, 500)
    const b = await started(fleet, 'b')
    const joinedMs = fleet.clock.nowMs()
    await fleet.until(() => b.running('total').length === 3, 5000)
    // One heartbeat of a for the join of b, and one for the warm-up that has caught up.
    expect(fleet.clock.nowMs() - joinedMs).toBeLessThanOrEqual(1600)
    expect(b.restored).toBeGreaterThan(100)
    await expectExact(fleet, a, b)
  })

  test('one that is killed is replaced after its session; the others go on all the while', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    a.gate.stop()
    const before = fleet.log.records('mid', 0).length
    const own = b.running('relay')
    // A third one joins: the group waits for the dead one, the tasks of b do not.
    const c = await started(fleet, 'c')
    const inputs = () => b.worker.tasks.filter(({ task }) => own.includes(Number(task.split('/')[1])))
    const positions = inputs().map(({ running }) => running!.inputOffset)
    await fleet.run(3000)
    expect(c.running('relay')).toEqual([])
    expect(inputs().every(({ running }, i) => running!.inputOffset > positions[i]!)).toBe(true)
    expect(before).toBeGreaterThan(0)
    await fleet.until(() => b.running('total').length + c.running('total').length === partitions, sessionTimeoutMs)
    await expectExact(fleet, b, c)
  })

  test('a standby takes over with what it has: nothing is restored but the tail', async () => {
    const fleet = await Fleet.open({ standbys: 1 })
    const [a, b] = await pair(fleet)
    await fleet.run(2000)
    const lost = a.running('total')
    a.gate.stop()
    const restored = b.restored
    await fleet.until(() => b.running('total').length === partitions, sessionTimeoutMs + 1500)
    expect(lost.length).toBe(3)
    // What a standby applies is what is new, and it had it all before the take-over.
    const written = ['relay', 'total'].map((stage) => fleet.log.records(`${stage}.changelog`, lost[0]!).length)
    expect(b.restored - restored).toBeLessThan(Math.max(...written))
    expect(b.heard.wiped).toEqual([])
    await expectExact(fleet, b)
  })

  test('a store that no plan has wanted for long is removed; one that is in use, or was just let go of, is not', async () => {
    const idleStoreMs = 48_000
    const fleet = await Fleet.open({ warmupsMax: 6 }, {}, idleStoreMs)
    const a = await started(fleet, 'a')
    await fleet.until(
      () => a.running('total').length === partitions && a.running('relay').length === partitions,
      10_000,
    )
    const b = await started(fleet, 'b')
    await fleet.until(() => b.running('total').length === 3 && ready(a, b), 10_000)
    const lost = b.running('total').map((partition) => `total/${partition}`)
    const kept = a.running('total').map((partition) => `total/${partition}`)
    const has = async (tasks: readonly string[]) => (await Promise.all(tasks.map((task) => a.stores.has(task)))).join()
    await fleet.run(idleStoreMs / 2)
    expect(await has([...kept, ...lost])).toBe('true,true,true,true,true,true')

    // A restart in between begins the count of nobody anew.
    await a.worker.stop({ keepPlace: true, budgetMs: 5000 })
    const again = await started(fleet, 'a', a.stores)
    await fleet.until(() => again.running('total').length === 3 && ready(again, b), 10_000)
    expect(again.running('total').map((partition) => `total/${partition}`)).toEqual(kept)
    await fleet.run(idleStoreMs / 2)
    expect(await has([...kept, ...lost])).toBe('true,true,true,false,false,false')

    await b.worker.stop({ keepPlace: false, budgetMs: 5000 })
    await fleet.until(() => again.running('total').length === partitions, 10_000)
    await expectExact(fleet, again)
  })

  test('standbys hold what the tasks hold', async () => {
    const fleet = await Fleet.open({ standbys: 1 })
    const [a, b] = await pair(fleet)
    await fleet.run(3000)
    await fleet.clock.advance(8000)
    for (const partition of a.running('total')) expect(fleet.storeDifferences(b.stores, 'total', partition)).toEqual([])
    expect(fleet.differences()).toEqual([])
  })

  test('a rolling restart restores zero records, and moves nothing', async () => {
    const fleet = await Fleet.open()
    let [a, b] = await pair(fleet)
    const where = [a, b].map((host) => host.running('total'))
    const { generation } = b.heard.assignments.get('total')!
    for (let round = 0; round < 2; round++) {
      for (const old of [a, b]) {
        expect(await stopping(fleet, old.worker.stop({ keepPlace: true, budgetMs: 5000 }))).toBe(true)
        await fleet.run(2000) // the time a deploy takes
        const back = await started(fleet, old.name, old.stores)
        await fleet.until(() => ready(back), 3000)
        expect(back.restored).toBe(0)
        expect(back.heard.wiped).toEqual([])
        expect(back.heard.assignments.get('total')!.generation).toBe(generation)
        if (old === a) a = back
        else b = back
      }
    }
    expect([a, b].map((host) => host.running('total'))).toEqual(where)
    await expectExact(fleet, a, b)
  })

  test('one that leaves for good is replaced at once', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    await stopping(fleet, a.worker.stop({ keepPlace: false, budgetMs: 5000 }))
    await fleet.until(() => b.running('total').length === partitions, 2000)
    await expectExact(fleet, b)
  })

  test('one that comes back after its session, with its disk, gets its tasks back for the tail of their changelog', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    await fleet.run(10_000, 200)
    const own = a.running('total')
    a.gate.stop()
    await fleet.until(() => b.running('total').length === partitions, sessionTimeoutMs + 1500)
    const back = await started(fleet, 'a', a.stores)
    await fleet.until(() => back.running('total').length === 3 && ready(back, b), 5000)
    expect(back.running('total')).toEqual(own)
    expect(back.heard.wiped).toEqual([])
    const changelog = own.reduce((sum, p) => sum + fleet.log.records('total.changelog', p).length, 0)
    const restored = own.reduce((sum, p) => sum + (back.heard.restored.get(`total/${p}`) ?? 0), 0)
    expect(restored).toBeLessThan(changelog / 2)
    await expectExact(fleet, back, b)
  })

  test('a zombie that wakes up writes nothing, fences nobody, and finds its way back', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    a.gate.stop()
    await fleet.until(() => b.running('total').length === partitions, sessionTimeoutMs + 1500)
    await fleet.run(1000)
    a.gate.continue()
    const { generation } = b.heard.assignments.get('total')!
    const isBack = () => a.heard.assignments.get('total')!.generation > generation && ready(a, b)
    await fleet.until(() => isBack() && a.running('total').length === 3, 10_000)
    expect(a.heard.faults.map(({ code }) => code)).toContain('FENCED')
    // b lost tasks to the plan, not to the zombie.
    const taken = new Set(a.running('total').map((partition) => `total/${partition}`))
    const fenced = b.heard.faults.filter(({ task, code }) => code === 'FENCED' && task.startsWith('total'))
    expect(fenced.every(({ task }) => taken.has(task))).toBe(true)
    await expectExact(fleet, a, b)
  })

  test('a task that is fenced asks for a new plan, and runs again if it is still its own', async () => {
    const fleet = await Fleet.open()
    const [a, b] = await pair(fleet)
    const { generation } = a.heard.assignments.get('total')!
    const partition = a.running('total')[0]!
    await fleet.log.writer(`total/${partition}`)
    await fleet.until(() => a.heard.faults.length > 0 && ready(a, b), 5000)
    expect(a.heard.faults).toEqual([{ task: `total/${partition}`, code: 'FENCED' }])
    expect(a.heard.assignments.get('total')!.generation).toBe(generation + 1)
    await expectExact(fleet, a, b)
  })

  test('a commit whose answer is lost is learned from the changelog', async () => {
    let lose = 0
    const end = (): Passage | undefined => {
      if (lose === 0) return undefined
      return { kind: lose-- % 2 ? 'unanswered' : 'lost' }
    }
    const fleet = await Fleet.open({}, { end })
    const [a, b] = await pair(fleet)
    lose = 6
    await fleet.run(4000)
    expect([...a.heard.faults, ...b.heard.faults].map(({ code }) => code)).toEqual(Array(6).fill('COMMIT_UNKNOWN'))
    await expectExact(fleet, a, b)
  })

  test('a zombie that would start a task anew is held back by the proof of its membership', async () => {
    const fleet = await Fleet.open()
    const { log, outage } = interruptible(fleet)
    const a = await started(fleet, 'a', undefined, log)
    const b = await started(fleet, 'b')
    await fleet.until(() => a.running('total').length === 3 && b.running('total').length === 3, 10_000)
    outage.down = true
    await fleet.run(1000)
    a.gate.stop()
    await fleet.until(() => b.running('total').length === partitions && ready(b), sessionTimeoutMs + 2000)
    await fleet.run(12_000)
    outage.down = false
    const faults = b.heard.faults.length
    a.gate.continue()
    await fleet.clock.advance(0)
    expect(new Set(a.heard.faults.map(({ code }) => code))).toEqual(new Set(['KAFKA_UNAVAILABLE', 'MEMBERSHIP_LOST']))
    expect(b.heard.faults.length).toBe(faults)
    await fleet.run(5000)
    await expectExact(fleet, a, b)
  })

  test('an outage of the log pauses, and passes', async () => {
    const fleet = await Fleet.open()
    const { log, outage } = interruptible(fleet)
    const a = await started(fleet, 'a', undefined, log)
    await fleet.run(2000)
    outage.down = true
    await fleet.run(12_000)
    expect(ready(a)).toBe(false)
    expect(a.worker.health().live).toBe(true)
    expect(a.worker.health().reasons).toContain('relay/0 is paused')
    outage.down = false
    await fleet.until(() => ready(a), 11_000)
    await expectExact(fleet, a)
  })

  test('what no waiting mends is told, and shows', async () => {
    const fleet = await Fleet.open()
    const a = await started(fleet, 'a')
    await fleet.run(1000)
    const value = fleet.codec.encode('SeenEventState', { fingerprint: 'no tick', atMs: 0 })
    const record = { topic: 'mid', partition: 2, kind: 'tick', key: '', value, timestampMs: 0 }
    await fleet.log.append([record])
    await fleet.run(1000)
    expect(a.heard.failures).toMatchObject([{ code: 'CONTROL_FAILED' }])
    expect(a.worker.health().live).toBe(false)
  })

  test('a task that hangs is not live, and does not keep the process from ending in its budget', async () => {
    const fleet = await Fleet.open()
    let hang = false
    const log = new Proxy(fleet.log, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        return (...args: unknown[]) =>
          hang && name === 'fetch' && args[0] === 'mid' ? new Promise(() => undefined) : member.apply(target, args)
      },
    })
    const a = await started(fleet, 'a', undefined, log)
    await fleet.run(2000)
    expect(a.worker.health()).toEqual({ live: true, ready: true, reasons: [] })
    hang = true
    await fleet.run(20_000)
    expect(a.worker.health().live).toBe(false)
    expect(a.worker.health().reasons[0]).toMatch(/^total\/\d has made no progress for \d+ ms$/)
    const startMs = fleet.clock.nowMs()
    expect(await stopping(fleet, a.worker.stop({ keepPlace: false, budgetMs: 5000 }))).toBe(false)
    expect(fleet.clock.nowMs() - startMs).toBeLessThanOrEqual(5200)
    expect(fleet.coordinator.instances('test.total')).toEqual([])
  })

  test.each([1, 2, 3, 4, 5, 6, 130])(
    'whatever happens to them, the outputs are those of a fold: seed %i',
    async (seed) => {
      const random = new Random('fleet', seed)
      const losses = new Random('losses', seed)
      let lossy = true
      const end = (): Passage | undefined =>
        lossy && losses.chance(0.004) ? { kind: losses.chance(0.5) ? 'lost' : 'unanswered' } : undefined
      const fleet = await Fleet.open({ standbys: seed % 3, warmupsMax: 1 + (seed % 2) }, { end })
      const disks = new Map(['a', 'b', 'c'].map((name) => [name, new MemoryStores()]))
      const up = new Map<string, Host>()
      const stopped = new Set<string>()
      for (let turn = 0; turn < 40; turn++) {
        const name = random.pick(['a', 'b', 'c'])
        const host = up.get(name)
        if (!host) up.set(name, await started(fleet, name, disks.get(name)!))
        else if (stopped.has(name)) {
          host.gate.continue()
          stopped.delete(name)
        } else if (random.chance(0.3)) {
          host.gate.stop()
          stopped.add(name)
        } else if (random.chance(0.4)) {
          // A killed process comes back under the same name with its disk, or without.
          host.gate.stop()
          up.delete(name)
          if (random.chance(0.3)) disks.set(name, new MemoryStores())
        } else if (random.chance(0.5)) {
          up.delete(name)
          await stopping(fleet, host.worker.stop({ keepPlace: random.chance(0.5), budgetMs: 3000 }))
        }
        await fleet.run(random.pick([200, 1000, 4000, 9000]), random.pick([20, 200]))
      }
      for (const name of stopped) up.get(name)!.gate.continue()
      for (const name of ['a', 'b', 'c']) if (!up.has(name)) up.set(name, await started(fleet, name, disks.get(name)!))
      await fleet.run(20_000)
      lossy = false
      await expectExact(fleet, ...up.values())
      for (const { heard } of hosts) {
        for (const { code } of heard.faults) reached.add(code)
        if (heard.restored.size > 0) reached.add('restored')
        for (const { own } of heard.assignments.values()) for (const role of roles) if (own[role][0]) reached.add(role)
      }
    },
  )

  test('and that came to pass', () => {
    const rare = ['COMMIT_UNKNOWN', 'FENCED', 'active', 'restored', 'standby', 'warmup']
    expect([...reached]).toEqual(expect.arrayContaining(rare))
  })
})

/** A stop needs time to pass. */
async function stopping(fleet: Fleet, stop: Promise<boolean>): Promise<boolean> {
  let done: boolean | undefined
  void stop.then((clean) => {
    done = clean
  })
  while (done === undefined) await fleet.clock.advance(50)
  return done
}

/** The log of a fleet, as one process sees it that can lose sight of it. */
function interruptible(fleet: Fleet): { log: Log; outage: { down: boolean } } {
  const outage = { down: false }
  const log = new Proxy(fleet.log, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) =>
        outage.down ? Promise.reject(new MillraceError('KAFKA_UNAVAILABLE', 'down')) : member.apply(target, args)
    },
  })
  return { log, outage }
}
