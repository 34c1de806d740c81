/**
 * The stage `profile` by itself, for tests of its three operators together: several partitions, each fed by queues, one per
 * writer, that keep their order, while a test decides which queue comes next. Every state and every record passes
 * through its Avro schema. It shares no code with the runtime.
 */
import { activate } from '../../operators/activate/activate.ts'
import { profile } from '../../operators/profile/profile.ts'
import { segment } from '../../operators/segment/segment.ts'
import { type AnyOperator, type Effect, type Inbound, timerKind } from '../../runtime/operator.ts'
import { schemaType } from '../../schemas/avro/index.ts'
import type { Handover, SchemaName } from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'

export type Emitted = Inbound & { readonly topic: string }

type Queued = { readonly record: Inbound; readonly logTimeMs: number }
type Row = { clockMs: number; readonly timers: Map<string, number>; readonly states: Map<string, unknown> }
type Partition = { offset: number; readonly rows: Map<string, Row>; readonly queues: Map<string, Queued[]> }

const operators: readonly AnyOperator[] = [profile, segment, activate]

const schemaOfKind: Readonly<Record<string, SchemaName>> = {
  event: 'IdentifiedEvent',
  merge: 'MergeOrder',
  handover: 'Handover',
  adoption: 'Adoption',
  learned: 'Learned',
  profile: 'Profile',
  transition: 'MembershipTransition',
  activation: 'Activation',
}

export class ProfileStage {
  definitions: Definitions
  readonly emitted: Emitted[] = []
  readonly counters = new Map<string, number>()
  readonly #partitions: readonly Partition[]
  readonly #cut: boolean

  /** `cut`: every hand-over comes in as many parts as it has fragments, as if each were large. */
  constructor(definitions: Definitions, partitions = 1, cut = false) {
    this.definitions = definitions
    this.#cut = cut
    this.#partitions = Array.from({ length: partitions }, () => ({ offset: 0, rows: new Map(), queues: new Map() }))
  }

  /** Appends a record to the inbox of its key, behind what the same writer has put there. */
  send(writer: string, record: Inbound, logTimeMs: number): void {
    const { queues } = this.#partitions[this.#partitionOf(record.key)]!
    const queue = queues.get(writer) ?? []
    queues.set(writer, queue)
    queue.push({ record: { ...record, value: roundTrip(schemaOfKind[record.kind]!, record.value) }, logTimeMs })
  }

  /** Processes all that is queued, and what follows from it. `pick` chooses among the queues of these writers. */
  drain(pick: (writers: readonly string[]) => number = () => 0): void {
    for (;;) {
      const waiting = this.#partitions.flatMap((partition, i) =>
        [...partition.queues].filter(([, queue]) => queue.length > 0).map(([writer, queue]) => ({ i, writer, queue })),
      )
      if (waiting.length === 0) return
      const { i, queue } = waiting[pick(waiting.map(({ writer }) => writer))]!
      this.#process(i, queue.shift()!)
    }
  }

  /** Fires every timer due by the instant, in (deadline, key, id) order. */
  advance(toMs: number): void {
    for (;;) {
      const [next] = this.#partitions
        .flatMap(({ rows }, i) =>
          [...rows].flatMap(([key, row]) => [...row.timers].map(([id, atMs]) => ({ i, key, row, id, atMs }))),
        )
        .filter(({ atMs }) => atMs <= toMs)
        .sort((a, b) => a.atMs - b.atMs || compare(a.key, b.key) || compare(a.id, b.id))
      if (!next) break
      this.#fire(next.i, next.key, next.row, next.id)
      this.drain()
    }
    for (const { rows } of this.#partitions) for (const row of rows.values()) row.clockMs = Math.max(row.clockMs, toMs)
  }

  state<State>(operator: string, key: string): State | undefined {
    return this.#partitions[this.#partitionOf(key)]!.rows.get(key)?.states.get(operator) as State | undefined
  }

  keys(): readonly string[] {
    return this.#partitions.flatMap(({ rows }) => [...rows.keys()]).sort()
  }

  timers(key: string): ReadonlyMap<string, number> {
    return this.#partitions[this.#partitionOf(key)]!.rows.get(key)?.timers ?? new Map()
  }

  of<Value>(topic: string): readonly Value[] {
    return this.emitted.filter((record) => record.topic === topic).map(({ value }) => value as Value)
  }

  #process(i: number, { record, logTimeMs }: Queued): void {
    const partition = this.#partitions[i]!
    const row = partition.rows.get(record.key) ?? { clockMs: 0, timers: new Map(), states: new Map() }
    partition.rows.set(record.key, row)
    const clockMs = Math.max(row.clockMs, logTimeMs)
    for (;;) {
      const [due] = [...row.timers]
        .filter(([, atMs]) => atMs <= clockMs)
        .sort(([a, x], [b, y]) => x - y || compare(a, b))
      if (!due) break
      this.#fire(i, record.key, row, due[0])
    }
    row.clockMs = clockMs
    this.#run(i, row, record, logTimeMs)
    partition.offset += 1
  }

  #fire(i: number, key: string, row: Row, id: string): void {
    const atMs = row.timers.get(id)!
    row.timers.delete(id)
    row.clockMs = Math.max(row.clockMs, atMs)
    this.#run(i, row, { kind: timerKind, key, value: { id, atMs } }, atMs)
  }

  #run(i: number, row: Row, cause: Inbound, logTimeMs: number): void {
    let records: readonly Inbound[] = [cause]
    for (const operator of operators) {
      const passed: Inbound[] = []
      for (const record of records) {
        const effects: readonly Effect[] = operator.process(record, {
          clockMs: row.clockMs,
          logTimeMs,
          offset: this.#partitions[i]!.offset,
          partition: i,
          generation: 0,
          definitions: this.definitions,
          state: (key: string) => (key === cause.key ? row.states.get(operator.name) : undefined),
        })
        for (const effect of effects) this.#perform(i, row, operator, effect, passed, logTimeMs)
      }
      records = passed
    }
    if (records.length > 0) throw new Error('the last operator passes nothing on')
  }

  #perform(i: number, row: Row, operator: AnyOperator, effect: Effect, passed: Inbound[], logTimeMs: number): void {
    switch (effect.effect) {
      case 'put':
        row.states.set(operator.name, roundTrip(operator.state!, effect.value))
        break
      case 'remove':
        row.states.delete(operator.name)
        break
      case 'pass':
        passed.push(effect)
        break
      case 'count':
        this.counters.set(effect.name, (this.counters.get(effect.name) ?? 0) + effect.by)
        break
      case 'schedule':
        if (effect.atMs === null) row.timers.delete(effect.id)
        else if (effect.atMs <= row.clockMs) throw new Error(`a timer is set to the past: ${effect.id}`)
        else row.timers.set(effect.id, effect.atMs)
        break
      case 'emitLatest':
      case 'emit': {
        const { topic, kind, key } = effect
        const emitted = effect.effect === 'emitLatest' ? effect.value() : effect.value
        const values = kind === 'handover' && this.#cut ? partsOf(emitted as Handover) : [emitted]
        for (const each of values) {
          const value = each === null ? null : roundTrip(schemaOfKind[kind]!, each)
          this.emitted.push({ topic, kind, key, value })
          if (topic === 'events.identified') this.send(`profile/${i}`, { kind, key, value }, logTimeMs)
        }
        break
      }
    }
  }

  #partitionOf(key: string): number {
    let hash = 0
    for (const char of key) hash = (hash * 31 + char.charCodeAt(0)) >>> 0
    return hash % this.#partitions.length
  }
}

function partsOf(handover: Handover): readonly Handover[] {
  const { fragments } = handover
  if (handover.parts > 1 || fragments.length < 2) return [handover]
  return fragments.map((fragment, i) => ({
    ...handover,
    part: i + 1,
    parts: fragments.length,
    fragments: [fragment],
    ...(i > 0 ? { handovers: [], memberships: [], sent: [] } : {}),
  }))
}

function roundTrip(schema: SchemaName, value: unknown): unknown {
  const type = schemaType(schema)
  return type.fromBuffer(type.toBuffer(value))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
