/**
 * The oracle: a plain fold of one inbox through the operators of a stage. No batches, no cache, no commits, no restore:
 * just the rules of docs/ARCHITECTURE.md, record by record, over maps. Whatever the runtime does must come out the same.
 */
import type { Codec } from '../codec.ts'
import type { DefinitionsHead, Effect, Key } from '../operator.ts'
import { tenantOf } from '../operator.ts'
import { partitionOf } from '../partitioner.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import type { Stage } from '../stage.ts'
import { deadOf, taskName } from '../topology.ts'

export type FoldedRow = {
  clockMs: number
  indexedAtMs: number | null
  timers: Map<string, number>
  /** State by operator name. */
  states: Map<string, unknown>
}

export type Folded = {
  /** Everything emitted, in order. */
  readonly outputs: readonly AddressedRecord[]
  readonly rows: ReadonlyMap<Key, FoldedRow>
  readonly counters: ReadonlyMap<string, number>
}

export type FoldParts = {
  readonly stage: Stage
  readonly partition: number
  readonly inbox: readonly StoredRecord[]
  readonly codec: Codec
  readonly definitionsOf: (tenant: string, hash: string) => DefinitionsHead
  readonly timersPerSlice: number
}

export function fold(parts: FoldParts): Folded {
  const { stage, partition, codec } = parts
  const task = taskName(stage.name, partition)
  const rows = new Map<Key, FoldedRow>()
  const counters = new Map<string, number>()
  const definitions = new Map<string, DefinitionsHead>()
  const clocks = new Map<string, number>()
  const outputs: AddressedRecord[] = []
  let logMs = 0
  let sweeping = false

  const watermark = (): number =>
    stage.inbox.source ? logMs : Math.min(...stage.upstreamTasks.map((writer) => clocks.get(writer) ?? 0))

  const write = (
    topic: string,
    to: number,
    kind: string,
    key: string,
    value: Buffer | null,
    timestampMs: number,
  ): void => {
    outputs.push({ topic, partition: to, kind, key, value, timestampMs })
  }

  /** Runs records through the operators from `place` on, over a copy of the rows they touch; keeps it if all went well. */
  const attempt = (
    key: Key,
    kind: string,
    value: unknown,
    clockMs: number,
    logTimeMs: number,
    offset: number,
    before?: (row: FoldedRow) => void,
  ): unknown => {
    const touched = new Map<Key, FoldedRow>()
    const changed = new Set<Key>()
    const emitted: AddressedRecord[] = []
    const counted: { name: string; by: number }[] = []
    const rowOf = (of: Key): FoldedRow => {
      const row = touched.get(of) ?? copy(rows.get(of))
      touched.set(of, row)
      return row
    }
    const run = (recordKind: string, recordKey: Key, recordValue: unknown, place: number): void => {
      const operator = stage.operators[place]!
      const effects: readonly Effect[] = operator.process(
        { kind: recordKind, key: recordKey, value: recordValue },
        {
          clockMs: place < stage.firstStateful ? logTimeMs : clockMs,
          logTimeMs,
          offset,
          partition,
          generation: 0,
          definitions: definitions.get(tenantOf(key)),
          state: (of: Key) => rowOf(of).states.get(operator.name),
        },
      )
      for (const effect of effects) {
        if (effect.effect === 'count') counted.push(effect)
        else if (effect.effect === 'pass') run(effect.kind, effect.key, effect.value, place + 1)
        else if (effect.effect === 'emit' || effect.effect === 'emitLatest') {
          const topic = stage.topics.get(effect.topic)!
          const value = effect.effect === 'emitLatest' ? effect.value() : effect.value
          const bytes = value === null ? null : codec.encode(topic.kinds[effect.kind]!, value as never)
          const to = partitionOf(effect.key, topic.partitions)
          emitted.push({
            topic: topic.name,
            partition: to,
            kind: effect.kind,
            key: effect.key,
            value: bytes,
            timestampMs: logTimeMs,
          })
        } else {
          const row = rowOf(effect.key)
          if (effect.effect === 'put') row.states.set(operator.name, effect.value)
          else if (effect.effect === 'remove') row.states.delete(operator.name)
          else if (effect.atMs === (row.timers.get(effect.id) ?? null)) continue
          else setTimer(row, effect.id, effect.atMs)
          changed.add(effect.key)
        }
      }
    }
    try {
      if (before) {
        before(rowOf(key))
        changed.add(key)
        run(kind, key, value, stage.firstStateful)
      } else run(kind, key, value, 0)
    } catch (error) {
      return error ?? new Error('thrown')
    }
    for (const of of changed) {
      const row = touched.get(of)!
      if (row.states.size === 0 && row.timers.size === 0) rows.delete(of)
      else rows.set(of, { ...row, clockMs })
    }
    outputs.push(...emitted)
    for (const { name, by } of counted) counters.set(name, (counters.get(name) ?? 0) + by)
    return undefined
  }

  const bury = (record: StoredRecord, error: unknown, letter: { id: string; atMs: number } | null): void => {
    const counted = letter ? 'dead.timers' : 'dead'
    counters.set(counted, (counters.get(counted) ?? 0) + 1)
    const message = error instanceof Error ? error.message : String(error)
    // The letter is compared by its place, not by its bytes: what it says of the cause is the runtime's own.
    write(
      deadOf(stage.name),
      partition,
      'dead',
      record.key,
      Buffer.from(letter ? letter.id : message),
      record.timestampMs,
    )
  }

  const fireDue = (key: Key, untilMs: number, offset: number): void => {
    for (;;) {
      const row = rows.get(key)
      const due = [...(row?.timers ?? [])].filter(([, atMs]) => atMs <= untilMs).sort(byDeadline)[0]
      if (!row || !due) return
      const [id, atMs] = due
      const error = attempt(key, 'timer', { id, atMs }, Math.max(atMs, row.clockMs), atMs, offset, (own) =>
        setTimer(own, id, null),
      )
      if (error === undefined) continue
      row.timers.delete(id)
      if (row.states.size === 0 && row.timers.size === 0) rows.delete(key)
      bury({ offset, kind: 'timer', key, value: null, timestampMs: atMs }, error, { id, atMs })
    }
  }

  const sweep = (offset: number): void => {
    const untilMs = watermark()
    for (let fired = 0; ; fired++) {
      const due = [...rows].filter(([, row]) => row.indexedAtMs !== null && row.indexedAtMs <= untilMs).sort(byIndex)[0]
      if (!due) return
      if (fired === parts.timersPerSlice) {
        if (!sweeping)
          write(stage.inbox.name, partition, 'sweep', task, codec.encode('Sweep', { clockMs: untilMs }), untilMs)
        sweeping = true
        return
      }
      const [key] = due
      fireDue(key, untilMs, offset)
      const row = rows.get(key)
      if (row) row.indexedAtMs = row.timers.size > 0 ? Math.min(...row.timers.values()) : null
    }
  }

  for (const record of parts.inbox) {
    if (record.kind === 'tick') {
      const before = watermark()
      if (stage.inbox.source) logMs = Math.max(logMs, record.timestampMs)
      else {
        const { writer, clockMs } = codec.decode('Tick', record.value!)
        clocks.set(writer, Math.max(clocks.get(writer) ?? 0, clockMs))
      }
      if (stage.inbox.source || watermark() > before) {
        const tick = codec.encode('Tick', { writer: task, clockMs: watermark() })
        for (const { name, partitions } of stage.downstream)
          for (let to = 0; to < partitions; to++) write(name, to, 'tick', task, tick, watermark())
      }
      sweep(record.offset)
    } else if (record.kind === 'sweep') {
      sweeping = false
      sweep(record.offset)
    } else if (record.kind === 'turn') {
      // says when the task may go on, not what it does
    } else if (record.kind === 'marker') {
      const { tenant, hash } = codec.decode('Marker', record.value!)
      definitions.set(tenant, parts.definitionsOf(tenant, hash))
    } else {
      if (stage.inbox.source) logMs = Math.max(logMs, record.timestampMs)
      const clockOf = (): number => Math.max(watermark(), record.timestampMs, rows.get(record.key)?.clockMs ?? 0)
      fireDue(record.key, clockOf(), record.offset)
      let error: unknown
      try {
        const value = codec.decode(stage.inbox.kinds[record.kind]!, record.value!)
        error = attempt(record.key, record.kind, value, clockOf(), record.timestampMs, record.offset)
      } catch (undecodable) {
        error = undecodable
      }
      if (error !== undefined) bury(record, error, null)
    }
  }
  return { outputs, rows, counters }
}

function copy(row: FoldedRow | undefined): FoldedRow {
  if (!row) return { clockMs: 0, indexedAtMs: null, timers: new Map(), states: new Map() }
  return { ...row, timers: new Map(row.timers), states: new Map(row.states) }
}

function setTimer(row: FoldedRow, id: string, atMs: number | null): void {
  if (atMs === null) row.timers.delete(id)
  else row.timers.set(id, atMs)
  const first = Math.min(...row.timers.values())
  if (Number.isFinite(first) && (row.indexedAtMs === null || first < row.indexedAtMs)) row.indexedAtMs = first
}

function byDeadline([idA, a]: [string, number], [idB, b]: [string, number]): number {
  return a - b || (idA < idB ? -1 : 1)
}

function byIndex([keyA, a]: [Key, FoldedRow], [keyB, b]: [Key, FoldedRow]): number {
  return a.indexedAtMs! - b.indexedAtMs! || (keyA < keyB ? -1 : 1)
}
