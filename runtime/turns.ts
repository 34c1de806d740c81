/**
 * Turns: the tasks of a topology go on one at a time, so that what they do depends on nothing but the log, wherever they
 * run and however fast they are.
 *
 *   begin ─► drain: the first task with something to read ─► a turn in its inbox ─► it goes on up to there ─┐ ─► end
 *                              ▲                                                                           │
 *                              └───────────────────────────────────────────────────────────────────────────┘
 *
 * A task that takes turns (`held` in its checkpoint) processes nothing before a turn stands in its inbox, and then what is
 * before it, and its own sweeps. So no two tasks write at a time, and the order of every inbox is that of the turns; and who comes next
 * follows from what is committed. A turn is a record, so whoever is killed on the way leaves it to who comes after.
 */
import type { Codec } from './codec.ts'
import type { Log } from './log.ts'
import { type AddressedRecord, controlKinds } from './record.ts'
import type { Task } from './task.ts'
import { inboxOf, type Topology, taskName } from './topology.ts'

/** The tasks of a topology, here or in other processes; by name. */
export type TurnTakers = {
  /** As of its last commit. */
  progress(task: string): Promise<{ readonly inputOffset: number; readonly held: boolean }>
  /** Resolves when the task has committed what is at this offset of its inbox and all before, and has swept what that made due. */
  past(task: string, offset: number): Promise<void>
}

export type TurnsParts = {
  readonly log: Log
  readonly codec: Codec
  readonly topology: Topology
  readonly tasks: TurnTakers
}

type Place = {
  readonly task: string
  /** Its inbox. */
  readonly topic: string
  readonly partition: number
  /** What the task may write to. */
  readonly emits: readonly string[]
}

const never = new AbortController().signal
const lookRange = { maxRecords: 2000, maxBytes: 8 << 20 }

export class Turns {
  readonly #log: Log
  readonly #codec: Codec
  readonly #tasks: TurnTakers
  /** In the order of the stages. */
  readonly #places: readonly Place[]
  /** As last heard of, by task. */
  readonly #inputOffsets = new Map<string, number>()

  constructor({ log, codec, topology, tasks }: TurnsParts) {
    this.#log = log
    this.#codec = codec
    this.#tasks = tasks
    this.#places = topology.stages.flatMap((stage) => {
      const { name: topic, partitions } = inboxOf(topology, stage)
      return Array.from({ length: partitions }, (_, partition) => ({
        task: taskName(stage.name, partition),
        topic,
        partition,
        emits: stage.emits,
      }))
    })
  }

  /**
   * From now on all tasks take turns. Answers whether some did already: then somebody was killed between `begin` and `end`,
   * and a turn that was given by then has been taken now.
   */
  async begin(): Promise<boolean> {
    for (const place of this.#places) {
      await this.#tasks.past(place.task, await this.#lastTurn(place))
    }
    const free: Place[] = []
    for (const place of this.#places) if (!(await this.#tasks.progress(place.task)).held) free.push(place)
    await this.#give(free, false)
    return free.length < this.#places.length
  }

  /** Gives turns until no task has anything to read. */
  async drain(): Promise<void> {
    let doubtful = this.#places
    for (;;) {
      const unread = await Promise.all(doubtful.map((place) => this.#hasUnread(place)))
      const waiting = doubtful.filter((_, i) => unread[i])
      const next = waiting[0]
      if (!next) return
      await this.#give([next], false)
      doubtful = this.#places.filter((place) => waiting.includes(place) || next.emits.includes(place.topic))
    }
  }

  /** From now on all tasks go on by themselves. */
  async end(): Promise<void> {
    await this.#give(this.#places, true)
  }

  /** Resolves when the turns have been taken. */
  async #give(places: readonly Place[], last: boolean): Promise<void> {
    if (places.length === 0) return
    const value = this.#codec.encode('Turn', { last })
    const turns = places.map(
      ({ task, topic, partition }): AddressedRecord => ({
        topic,
        partition,
        kind: controlKinds.turn,
        key: task,
        value,
        timestampMs: Number.NaN,
      }),
    )
    const offsets = await this.#log.append(turns)
    for (const [i, { task }] of places.entries()) await this.#tasks.past(task, offsets[i]!)
  }

  async #hasUnread(place: Place): Promise<boolean> {
    const end = await this.#settledEnd(place)
    // It rests, unless it has been given a turn: most often what is known of it is enough.
    if ((this.#inputOffsets.get(place.task) ?? 0) >= end) return false
    const { inputOffset } = await this.#tasks.progress(place.task)
    this.#inputOffsets.set(place.task, inputOffset)
    return inputOffset < end
  }

  /** The end of the inbox, once all before it is committed or aborted: markers may still be on their way. */
  async #settledEnd({ topic, partition }: Place): Promise<number> {
    const { stable, end } = await this.#log.ends(topic, partition)
    for (let decided = stable; decided < end; decided = (await this.#log.ends(topic, partition)).stable)
      await this.#log.arrival(topic, partition, decided, never)
    return end
  }

  /** That the task has not taken yet; -1: there is none. */
  async #lastTurn(place: Place): Promise<number> {
    const { task, topic, partition } = place
    const end = await this.#settledEnd(place)
    let { inputOffset: offset } = await this.#tasks.progress(task)
    let last = -1
    while (offset < end) {
      const { records, nextOffset } = await this.#log.fetch(topic, partition, offset, lookRange)
      last = records.findLast(({ kind }) => kind === controlKinds.turn)?.offset ?? last
      offset = nextOffset
    }
    return last
  }
}

/** Tasks of this process, which run only when it is their turn. */
export function tasksHere(tasks: readonly Task[]): TurnTakers {
  const byName = new Map(tasks.map((task) => [task.name, task]))
  return {
    progress: async (name) => byName.get(name)!,
    past: async (name, offset) => {
      const task = byName.get(name)!
      while (task.inputOffset <= offset || task.sweeping) await task.step()
    },
  }
}
