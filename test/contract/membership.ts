/** What a membership is, over every group coordinator. Run it with `membershipContract(name, make)`. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assign, defaultAssignment, type Held, type Share } from '../../runtime/assignment.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Coordinator } from '../../runtime/coordinator.ts'
import { type Assignment, Membership } from '../../runtime/membership.ts'

export type CoordinatorUnderTest = {
  readonly clock: Clock
  readonly sessionTimeoutMs: number
  /** A connection of its own for each process. Killing it leaves everything unanswered. */
  connect(): Promise<Coordinator & { kill(): Promise<void> }>
  /** Lets time pass. */
  pass(ms: number): Promise<void>
  dispose(): Promise<void>
}

const partitions = 6
const group = { name: '', count: 0 }

class Process {
  readonly name: string
  readonly connection: Coordinator & { kill(): Promise<void> }
  readonly assignments: Assignment[] = []
  readonly failures: unknown[] = []
  membership!: Membership
  /** Other than what it runs. */
  held: readonly Held[] = []

  constructor(name: string, connection: Coordinator & { kill(): Promise<void> }) {
    this.name = name
    this.connection = connection
  }

  get own(): Share | undefined {
    return this.assignments.at(-1)?.own
  }

  get generation(): number {
    return this.assignments.at(-1)?.generation ?? -1
  }

  join(underTest: CoordinatorUnderTest): this {
    this.membership = Membership.join({
      group: group.name,
      topic: 'inbox',
      process: this.name,
      coordinator: this.connection,
      clock: underTest.clock,
      settings: { sessionTimeoutMs: underTest.sessionTimeoutMs, heartbeatMs: 200, rebalanceTimeoutMs: 20_000 },
      describe: async () => {
        const running = (this.own?.active ?? []).map((partition): Held => ({ partition, role: 'active', lag: 0 }))
        return { endpoint: `${this.name}:80`, version: '1', held: [...running, ...this.held] }
      },
      plan: (members) => assign(members, partitions, { ...defaultAssignment, standbys: 0 }),
      assigned: (assignment) => this.assignments.push(assignment),
      failed: (error) => this.failures.push(error),
    })
    return this
  }
}

export function membershipContract(name: string, make: () => Promise<CoordinatorUnderTest>): void {
  describe(`membership: ${name}`, () => {
    let underTest: CoordinatorUnderTest
    let processes: Process[]

    beforeEach(async () => {
      underTest = await make()
      processes = []
      group.name = `test-membership-${process.pid}-${Date.now()}-${group.count++}`
    })
    afterEach(async () => {
      for (const { membership, connection } of processes) {
        await membership.leave({ keepPlace: true })
        await connection.kill()
      }
      await underTest.dispose()
    })

    const start = async (name: string): Promise<Process> => {
      const started = new Process(name, await underTest.connect()).join(underTest)
      processes.push(started)
      return started
    }
    const until = async (holds: () => boolean, withinMs = 3000): Promise<void> => {
      for (const endMs = underTest.clock.nowMs() + withinMs; !holds(); ) {
        if (underTest.clock.nowMs() > endMs) throw new Error(`not within ${withinMs} ms: ${holds}`)
        await underTest.pass(20)
      }
    }
    const active = (...of: Process[]) => of.map(({ own }) => own?.active)

    test('one process is given all', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      expect(active(a)).toEqual([[0, 1, 2, 3, 4, 5]])
      expect(a.assignments[0]!.members.map(({ process, endpoint }) => [process, endpoint])).toEqual([['a', 'a:80']])
      await a.membership.prove()
    })

    test('a second one warms up, and is given its tasks when it says that it has caught up', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const b = await start('b')
      await until(() => b.own !== undefined && a.generation === b.generation)
      expect(active(a, b)).toEqual([[0, 1, 2, 3, 4, 5], []])
      expect(b.own?.warmup).toEqual([0, 1])
      b.held = [0, 1].map((partition) => ({ partition, role: 'warmup', lag: 0 }))
      b.membership.rejoin()
      await until(() => b.own?.active.length === 2 && a.generation === b.generation)
      expect(active(a, b)).toEqual([
        [2, 3, 4, 5],
        [0, 1],
      ])
      // Everyone knows where everything is.
      expect(a.assignments.at(-1)?.members).toEqual(b.assignments.at(-1)?.members)
    })

    test('one that leaves is replaced at once', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const b = await start('b')
      await until(() => b.own !== undefined && a.generation === b.generation)
      await a.membership.leave({ keepPlace: false })
      await until(() => b.own?.active.length === partitions, underTest.sessionTimeoutMs / 2)
    })

    test('one that is killed is replaced after its session', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const b = await start('b')
      await until(() => b.own !== undefined && a.generation === b.generation)
      await a.membership.leave({ keepPlace: true })
      await a.connection.kill()
      const killedMs = underTest.clock.nowMs()
      await until(() => b.own?.active.length === partitions, underTest.sessionTimeoutMs + 3000)
      expect(underTest.clock.nowMs() - killedMs).toBeGreaterThan(underTest.sessionTimeoutMs / 2)
    })

    test('one that comes back within its session finds its place, and nobody else notices', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const b = await start('b')
      await until(() => b.own !== undefined && a.generation === b.generation)
      const { generation } = b
      for (const former of [a, b]) {
        await former.membership.leave({ keepPlace: true })
        await former.connection.kill()
        const back = await start(former.name)
        await until(() => back.own !== undefined)
        expect(back.own).toEqual(former.own)
        expect(back.generation).toBe(generation)
      }
    })

    test('one that was silent too long has lost its place, and joins again with what it holds', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const b = await start('b')
      await until(() => b.own !== undefined && a.generation === b.generation)
      // Silent: its heartbeats go nowhere, as those of a stopped process.
      const heartbeat = a.connection.heartbeat
      a.connection.heartbeat = async () => undefined
      await until(() => b.own?.active.length === partitions, underTest.sessionTimeoutMs + 3000)
      a.connection.heartbeat = heartbeat
      await expect(a.membership.prove()).rejects.toMatchObject({ code: 'MEMBERSHIP_LOST' })
      // Both say that they run all of it; the plan that b follows is the later one.
      await until(() => a.generation > b.assignments.at(-2)!.generation && a.generation === b.generation)
      expect(active(a, b)).toEqual([
        [0, 1, 2],
        [3, 4, 5],
      ])
    })

    test('a second process of the same name takes the place; the first ends with PROCESS_REPLACED', async () => {
      const a = await start('a')
      await until(() => a.own !== undefined)
      const again = await start('a')
      await until(() => again.own !== undefined && a.failures.length > 0)
      expect(a.failures).toMatchObject([{ code: 'PROCESS_REPLACED' }])
      expect(a.membership.state).toBe('failed')
      expect(active(again)).toEqual([[0, 1, 2, 3, 4, 5]])
    })

    test('many that come at once end in one generation', async () => {
      const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(start))
      const agreed = () => all.every((each) => each.own && each.generation === all[0]!.generation)
      await until(agreed, 6000)
      await until(() => all[0]!.assignments.at(-1)!.members.length === 5 && agreed(), 6000)
      const plan = all[0]!.assignments.at(-1)!.members
      expect(plan.flatMap((share) => share.active).sort()).toEqual([0, 1, 2, 3, 4, 5])
    })
  })
}
