/**
 * How the tasks of one stage are spread over processes: KIP-441 ("smooth scaling out"), with warm-ups bounded for each
 * process and no probing: who has caught up says so, and the next plan follows at once.
 *
 *   where tasks are ─► balanced target, moving as few as it can ─► standbys ─► what must warm up first
 *
 * Pure: the same members give the same plan in whatever order they come, so whoever leads decides alike.
 */

/** What a process does with a task. */
export type Role = 'active' | 'standby' | 'warmup'

/** A task whose state a process holds; `idle` is state on disk that nobody follows. */
export type Held = {
  readonly partition: number
  readonly role: Role | 'idle'
  /** Records of the changelog that the state lacks; an active task lacks none. */
  readonly lag: number
}

export type Member = {
  /** Names the state folder and outlives restarts. */
  readonly process: string
  /** Of the plan it follows: when two claim to run a task, the later plan is right. */
  readonly generation: number
  readonly held: readonly Held[]
}

/** The partitions of one process, in order; no partition has two roles in it. */
export type Share = Readonly<Record<Role, readonly number[]>>

/** By process; a partition is active in exactly one. */
export type Plan = ReadonlyMap<string, Share>

export type AssignmentSettings = {
  /** Further copies of each task's state, as far as there are processes for them. */
  readonly standbys: number
  /** Warm-ups that one process may have at a time, standbys not counted. */
  readonly warmupsMax: number
  /** Up to this lag, in records, a task moves at once: what is left takes a moment. */
  readonly acceptableLag: number
}

export const defaultAssignment: AssignmentSettings = { standbys: 1, warmupsMax: 2, acceptableLag: 10_000 }

/** Spreads partitions 0 to `partitions` - 1. No members: an empty plan. */
export function assign(members: readonly Member[], partitions: number, settings: AssignmentSettings): Plan {
  const group = new Group(members, settings.acceptableLag)
  if (group.processes.length === 0) return new Map()
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const targets = balanced(group, all)
  const standbys = standbysOf(group, targets, Math.min(settings.standbys, group.processes.length - 1))
  return movements(group, targets, standbys, settings.warmupsMax)
}

/** The members as the rules ask about them. */
class Group {
  readonly processes: readonly string[]
  readonly #held: ReadonlyMap<string, ReadonlyMap<number, Held>>
  readonly #acceptableLag: number

  constructor(members: readonly Member[], acceptableLag: number) {
    const runner = (partition: number): Member | undefined =>
      members
        .filter(({ held }) => held.some((each) => each.partition === partition && each.role === 'active'))
        .sort((a, b) => b.generation - a.generation || (a.process < b.process ? -1 : 1))[0]
    const settled = (member: Member): Held[] =>
      member.held.map((h) => (h.role === 'active' && runner(h.partition) !== member ? { ...h, role: 'idle' } : h))
    this.#held = new Map(
      members.map((member) => [member.process, new Map(settled(member).map((h) => [h.partition, h]))]),
    )
    this.processes = [...this.#held.keys()].sort()
    this.#acceptableLag = acceptableLag
  }

  lag(process: string, partition: number): number {
    const held = this.#held.get(process)?.get(partition)
    if (!held) return Number.POSITIVE_INFINITY
    return held.role === 'active' ? 0 : held.lag
  }

  isCaughtUp(process: string, partition: number): boolean {
    return this.lag(process, partition) <= this.#acceptableLag
  }

  /** How far a process is from running the task: 0 runs it, then by what is least to do. Infinite without state. */
  distance(process: string, partition: number): number {
    const held = this.#held.get(process)?.get(partition)
    if (!held) return Number.POSITIVE_INFINITY
    if (held.role === 'active') return 0
    const order = held.role === 'idle' ? 3 : held.role === 'standby' ? 2 : 1
    if (this.isCaughtUp(process, partition)) return order
    // What is under way goes on, though some idle state elsewhere may be nearer.
    return (held.role === 'idle' ? 2e15 : 1e15) + Math.min(held.lag, 1e14) * 4 + order
  }

  /** The nearest of some processes, if any has state; ties go to the first in order. */
  nearest(partition: number, processes: Iterable<string>): string | undefined {
    let best: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const process of processes) {
      const distance = this.distance(process, partition)
      if (distance < least) [best, least] = [process, distance]
    }
    return best
  }
}

/** Where each task should be: counts differ by at most one, and no more tasks move than that takes. */
function balanced(group: Group, partitions: readonly number[]): ReadonlyMap<number, string> {
  const homes = new Map<string, number[]>(group.processes.map((process) => [process, []]))
  const moving: number[] = []
  for (const partition of partitions) {
    const home = group.nearest(partition, group.processes)
    if (home === undefined) moving.push(partition)
    else homes.get(home)!.push(partition)
  }
  const quotas = quotasOf(homes, partitions.length)
  const roomIn = (process: string): number => quotas.get(process)! - homes.get(process)!.length
  const withRoom = group.processes.filter((process) => roomIn(process) > 0)
  for (const process of group.processes) {
    const excess = -roomIn(process)
    if (excess <= 0) continue
    // Those go that are nearest to being ready elsewhere.
    const ready = (partition: number) => Math.min(...withRoom.map((other) => group.distance(other, partition)))
    const leaving = byLeast(homes.get(process)!, ready).slice(0, excess)
    homes.set(
      process,
      homes.get(process)!.filter((partition) => !leaving.includes(partition)),
    )
    moving.push(...leaving)
  }
  moving.sort(ascending)
  while (moving.length > 0) {
    const open = byLeast(group.processes, (process) => -roomIn(process)).filter((process) => roomIn(process) > 0)
    // The one that has the least to do first, so that it is not crowded out by one that has it all to do anywhere.
    const [partition] = byLeast(moving, (each) => Math.min(...open.map((process) => group.distance(process, each))))
    homes.get(group.nearest(partition!, open) ?? open[0]!)!.push(partition!)
    moving.splice(moving.indexOf(partition!), 1)
  }
  return new Map([...homes].flatMap(([process, own]) => own.map((partition) => [partition, process] as const)))
}

/** An even share for each; what does not divide goes to those that have most already. */
function quotasOf(homes: ReadonlyMap<string, readonly number[]>, partitions: number): ReadonlyMap<string, number> {
  const share = Math.floor(partitions / homes.size)
  const extra = partitions - share * homes.size
  const byHomes = byLeast([...homes.keys()], (process) => -homes.get(process)!.length)
  return new Map(byHomes.map((process, i) => [process, share + (i < extra ? 1 : 0)]))
}

/** Further places for each task: where its state is, evened out over all that a process has. */
function standbysOf(
  group: Group,
  targets: ReadonlyMap<number, string>,
  count: number,
): ReadonlyMap<number, ReadonlySet<string>> {
  const places = new Map<number, Set<string>>([...targets.keys()].sort(ascending).map((p) => [p, new Set()]))
  const load = new Map<string, number>(group.processes.map((process) => [process, 0]))
  const add = (process: string, by: number) => load.set(process, load.get(process)! + by)
  for (const process of targets.values()) add(process, 1)
  const canTake = (process: string, partition: number): boolean =>
    targets.get(partition) !== process && !places.get(partition)!.has(process)

  for (const [partition, standbys] of places) {
    const others = group.processes.filter((process) => process !== targets.get(partition))
    for (const process of byLeast(others, (other) => group.distance(other, partition)).slice(0, count)) {
      if (group.lag(process, partition) === Number.POSITIVE_INFINITY) continue
      standbys.add(process)
      add(process, 1)
    }
  }
  for (const [partition, standbys] of places) {
    while (standbys.size < count) {
      const [least] = byLeast(
        group.processes.filter((process) => canTake(process, partition)),
        (process) => load.get(process)!,
      )
      standbys.add(least!)
      add(least!, 1)
    }
  }
  for (;;) {
    const move = levellingMove(group, places, load, canTake)
    if (!move) return places
    places.get(move.partition)!.delete(move.from)
    places.get(move.partition)!.add(move.to)
    add(move.from, -1)
    add(move.to, 1)
  }
}

/** A standby that goes from one that has at least two more to one that lacks it; each such move evens out, so they end. */
function levellingMove(
  group: Group,
  places: ReadonlyMap<number, ReadonlySet<string>>,
  load: ReadonlyMap<string, number>,
  canTake: (process: string, partition: number) => boolean,
): { partition: number; from: string; to: string } | undefined {
  const ordered = byLeast(group.processes, (process) => load.get(process)!)
  for (const from of ordered.toReversed()) {
    for (const to of ordered) {
      if (load.get(from)! - load.get(to)! < 2) break
      const movable = [...places.keys()].filter((p) => places.get(p)!.has(from) && canTake(to, p))
      const [partition] = byLeast(movable, (p) => group.distance(to, p))
      if (partition !== undefined) return { partition, from, to }
    }
  }
  return undefined
}

/** A task goes to its target once its state is there; until then who is nearest keeps it, and the target warms up. */
function movements(
  group: Group,
  targets: ReadonlyMap<number, string>,
  standbys: ReadonlyMap<number, ReadonlySet<string>>,
  warmupsMax: number,
): Plan {
  const plan = new Map(
    group.processes.map((process) => [process, { active: [], standby: [], warmup: [] } as Record<Role, number[]>]),
  )
  const waiting: number[] = []
  for (const [partition, standbysOfTask] of standbys) {
    const target = targets.get(partition)!
    const keeper = keeperOf(group, partition, target)
    plan.get(keeper)!.active.push(partition)
    if (keeper !== target) waiting.push(partition)
    for (const process of standbysOfTask) if (process !== keeper) plan.get(process)!.standby.push(partition)
  }
  for (const partition of byLeast(waiting, (p) => group.distance(targets.get(p)!, p))) {
    const { warmup } = plan.get(targets.get(partition)!)!
    if (warmup.length < warmupsMax) warmup.push(partition)
  }
  for (const share of plan.values()) share.warmup.sort(ascending)
  return plan
}

/** Who runs the task now: the target if it is ready, or if nobody else has more of the state. */
function keeperOf(group: Group, partition: number, target: string): string {
  if (group.isCaughtUp(target, partition)) return target
  const nearest = group.nearest(partition, group.processes)
  return nearest !== undefined && group.lag(nearest, partition) < group.lag(target, partition) ? nearest : target
}

const ascending = (a: number, b: number): number => a - b

/** Sorted by a number, least first; equals keep their order. */
function byLeast<Item>(items: readonly Item[], of: (item: Item) => number): Item[] {
  const keyed = items.map((item) => ({ item, key: of(item) }))
  // Infinity minus itself is no number: compare, do not subtract.
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ item }) => item)
}
