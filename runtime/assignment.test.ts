import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AssignmentSettings, assign, type Held, type Member, type Plan, type Role } from './assignment.ts'

const settings: AssignmentSettings = { standbys: 0, warmupsMax: 2, acceptableLag: 100 }

const held = (role: Held['role'], lag: number, ...partitions: number[]): Held[] =>
  partitions.map((partition) => ({ partition, role, lag }))
const member = (process: string, ...lists: Held[][]): Member => ({ process, generation: 1, held: lists.flat() })

/** As `a: active 0 1, warmup 2; b: …`. */
function print(plan: Plan): string {
  const roles: Role[] = ['active', 'standby', 'warmup']
  return [...plan]
    .map(([process, share]) => {
      const parts = roles.filter((role) => share[role].length > 0).map((role) => `${role} ${share[role].join(' ')}`)
      return `${process}: ${parts.join(', ')}`
    })
    .join('; ')
}

describe('an assignment', () => {
  test('without any state spreads at once', () => {
    const plan = assign([member('a'), member('b')], 5, settings)
    expect(print(plan)).toBe('a: active 0 1 3; b: active 2 4')
  })

  test('of nobody is empty', () => expect(assign([], 4, settings).size).toBe(0))

  test('warms a new process up, at most two tasks at a time, while the old one goes on', () => {
    const old = member('a', held('active', 0, 0, 1, 2, 3, 4, 5))
    expect(print(assign([old, member('b')], 6, settings))).toBe('a: active 0 1 2 3 4 5; b: warmup 0 1')
  })

  test('moves a task as soon as it has caught up, and warms up the next', () => {
    const old = member('a', held('active', 0, 0, 1, 2, 3, 4, 5))
    const warm = member('b', held('warmup', 50, 0), held('warmup', 5000, 1))
    expect(print(assign([old, warm], 6, settings))).toBe('a: active 1 2 3 4 5; b: active 0, warmup 1 2')
  })

  test('gives a task to who has most of its state, when nobody has it all', () => {
    const members = [member('a', held('idle', 9000, 0)), member('b', held('standby', 500, 0)), member('c')]
    expect(print(assign(members, 1, settings))).toBe('a: ; b: active 0; c: ')
  })

  test('gives a process that comes back with its state its tasks back', () => {
    const members = [member('a', held('idle', 20, 0, 2)), member('b', held('active', 0, 1, 3))]
    expect(print(assign(members, 4, settings))).toBe('a: active 0 2; b: active 1 3')
    const taken = [member('a', held('idle', 20, 0, 2)), member('b', held('active', 0, 0, 1, 2, 3))]
    expect(print(assign(taken, 4, settings))).toBe('a: active 0 2; b: active 1 3')
  })

  test('believes the later plan, when two claim to run a task', () => {
    const zombie = member('a', held('active', 0, 0, 1))
    const owner = { ...member('b', held('active', 0, 0, 1, 2)), generation: 2 }
    expect(print(assign([zombie, owner], 3, settings))).toBe('a: active 0; b: active 1 2')
  })

  test('promotes the standby of a process that is gone', () => {
    const members = [
      member('b', held('active', 0, 2, 3), held('standby', 0, 0)),
      member('c', held('active', 0, 4, 5), held('standby', 0, 1)),
    ]
    const plan = assign(members, 6, { ...settings, standbys: 1 })
    expect(print(plan)).toBe('b: active 0 2 3, standby 1 4 5; c: active 1 4 5, standby 0 2 3')
  })

  test('has no more standbys than there are other processes', () => {
    expect(print(assign([member('a')], 2, { ...settings, standbys: 3 }))).toBe('a: active 0 1')
  })

  test('does not depend on the order of the members', () => {
    fc.assert(
      fc.property(cluster, fc.nat(), (members, by) => {
        const turned = [...members.slice(by % members.length), ...members.slice(0, by % members.length)].reverse()
        expect(print(assign(turned, partitions, settings))).toBe(print(assign(members, partitions, settings)))
      }),
    )
  })
})

const partitions = 7
const someHeld = fc.uniqueArray(
  fc.record({
    partition: fc.nat(partitions - 1),
    role: fc.constantFrom<Held['role']>('active', 'standby', 'warmup', 'idle'),
    lag: fc.constantFrom(0, 50, 5000, 1_000_000),
  }),
  { selector: ({ partition }) => partition },
)
const cluster = fc.uniqueArray(
  fc.record({ process: fc.constantFrom('a', 'b', 'c', 'd', 'e'), generation: fc.nat(2), held: someHeld }),
  {
    selector: ({ process }) => process,
    minLength: 1,
  },
)

/** After Kafka's TaskAssignorConvergenceTest: a cluster that follows each plan, while processes come and go. */
class Cluster {
  readonly partitions: number
  readonly settings: AssignmentSettings
  readonly members = new Map<string, Map<number, Held>>()
  /** What of processes that are gone is on their disks. */
  readonly #gone = new Map<string, Map<number, Held>>()
  #plan: Plan = new Map()
  /** Tasks that left a process which lives, since the last change. */
  readonly moves = new Map<number, number>()

  constructor(count: number, chosen: AssignmentSettings) {
    this.partitions = count
    this.settings = chosen
  }

  add(process: string): void {
    const onDisk = [...(this.#gone.get(process) ?? [])]
    this.members.set(process, new Map(onDisk.map(([p, { lag }]) => [p, { partition: p, role: 'idle', lag }])))
  }

  drop(process: string): void {
    const state = this.members.get(process)!
    this.#gone.set(process, new Map([...state].map(([p, h]) => [p, { ...h, lag: h.lag + 5000 }])))
    this.members.delete(process)
  }

  plan(): Plan {
    const members = [...this.members].map(([process, state]) => ({ process, generation: 1, held: [...state.values()] }))
    return assign(members, this.partitions, this.settings)
  }

  /** Follows the plan until some warm-ups, at least one, have caught up. Answers whether there was any. */
  follow(plan: Plan, caughtUp: (process: string, partition: number) => boolean): boolean {
    for (const [process, { active }] of this.#plan) {
      if (!this.members.has(process)) continue
      for (const partition of active) {
        if (!plan.get(process)!.active.includes(partition))
          this.moves.set(partition, (this.moves.get(partition) ?? 0) + 1)
      }
    }
    this.#plan = plan
    let warming = 0
    for (const [process, share] of plan) {
      const state = this.members.get(process)!
      for (const [partition, was] of state) state.set(partition, { ...was, role: 'idle', lag: was.lag + 10 })
      for (const partition of share.active) state.set(partition, { partition, role: 'active', lag: 0 })
      for (const partition of share.standby) {
        const lag = caughtUp(process, partition) ? 0 : Math.min(state.get(partition)?.lag ?? 1e6, 1e6)
        state.set(partition, { partition, role: 'standby', lag })
      }
      for (const partition of share.warmup) {
        const lag = warming++ === 0 || caughtUp(process, partition) ? 0 : (state.get(partition)?.lag ?? 1e6)
        state.set(partition, { partition, role: 'warmup', lag })
      }
    }
    return warming > 0
  }
}

function expectValid(plan: Plan, cluster: Cluster): void {
  const owners = new Map<number, number>()
  for (const { active, standby, warmup } of plan.values()) {
    const roles = [...active, ...standby, ...warmup]
    expect(new Set(roles).size).toBe(roles.length)
    expect(warmup.length).toBeLessThanOrEqual(cluster.settings.warmupsMax)
    for (const partition of active) owners.set(partition, (owners.get(partition) ?? 0) + 1)
  }
  expect([...owners.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: cluster.partitions }, (_, p) => p))
  expect([...owners.values()].every((count) => count === 1)).toBe(true)
}

function expectBalanced(plan: Plan, cluster: Cluster): void {
  const shares = [...plan.values()]
  const spread = (counts: number[]) => Math.max(...counts) - Math.min(...counts)
  expect(spread(shares.map(({ active }) => active.length))).toBeLessThanOrEqual(1)
  expect(spread(shares.map(({ active, standby }) => active.length + standby.length))).toBeLessThanOrEqual(2)
  const standbys = shares.reduce((sum, { standby }) => sum + standby.length, 0)
  expect(standbys).toBe(cluster.partitions * Math.min(cluster.settings.standbys, shares.length - 1))
}

describe('assignments converge', () => {
  const change = fc.record({ process: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), luck: fc.nat(7) })

  test('whoever comes and goes: each plan is valid, the last is balanced, and no task leaves a living process twice', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.nat(2),
        fc.integer({ min: 1, max: 3 }),
        fc.array(change, { minLength: 1, maxLength: 12 }),
        (count, standbys, warmupsMax, changes) => {
          const cluster = new Cluster(count, { standbys, warmupsMax, acceptableLag: 100 })
          for (const { process, luck } of changes) {
            if (!cluster.members.has(process)) cluster.add(process)
            else if (cluster.members.size > 1) cluster.drop(process)
            cluster.moves.clear()
            let rounds = 0
            for (let warming = true; warming; rounds++) {
              const plan = cluster.plan()
              expectValid(plan, cluster)
              warming = cluster.follow(plan, (_, partition) => (partition + luck + rounds) % 3 > 0)
              expect(rounds).toBeLessThan(2 * count + 3)
            }
            const plan = cluster.plan()
            expectBalanced(plan, cluster)
            expect(Math.max(0, ...cluster.moves.values())).toBeLessThanOrEqual(1)
            cluster.follow(plan, () => true)
            expect(print(cluster.plan())).toBe(print(plan))
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
