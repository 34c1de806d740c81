/**
 * What a deployment's topics and stores must hold, worked out from its inboxes alone. An inbox is a record of the whole
 * interleaving, so a plain fold of it, as kcat reads it, tells every output, row and counter of its task.
 */
import { createHash } from 'node:crypto'
import type { Codec } from '../../runtime/codec.ts'
import type { DefinitionsHead } from '../../runtime/operator.ts'
import type { LogRecord, StoredRecord } from '../../runtime/record.ts'
import { decodeRow } from '../../runtime/row.ts'
import { type FoldedRow, fold } from '../../runtime/simulator/fold.ts'
import type { Stage } from '../../runtime/stage.ts'
import type { DefinitionSource } from '../../runtime/task.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { deadOf, taskName } from '../../runtime/topology.ts'

export type ExpectedTask = {
  readonly task: string
  /** By `topic/partition`, what the task has written there, a line a record, in its order. */
  readonly outputs: ReadonlyMap<string, readonly string[]>
  /** By key, a line a row. */
  readonly rows: ReadonlyMap<string, string>
  readonly counters: ReadonlyMap<string, number>
}

export async function expectedOf(parts: {
  readonly stage: Stage
  readonly partition: number
  /** All before the offset that the task's checkpoint names. */
  readonly inbox: readonly StoredRecord[]
  readonly codec: Codec
  readonly definitions: DefinitionSource
}): Promise<ExpectedTask> {
  const { stage, partition, inbox, codec, definitions } = parts
  const resolved = new Map<string, DefinitionsHead>()
  for (const { kind, value } of inbox) {
    if (kind !== 'marker') continue
    const { tenant, hash } = codec.decode('Marker', value!)
    resolved.set(`${tenant}/${hash}`, await definitions.resolve(tenant, hash))
  }
  const definitionsOf = (tenant: string, hash: string): DefinitionsHead => resolved.get(`${tenant}/${hash}`)!
  const { timersPerSlice } = defaultLimits
  const folded = fold({ stage, partition, inbox, codec, definitionsOf, timersPerSlice })
  const outputs = new Map<string, string[]>()
  for (const record of folded.outputs) {
    const place = `${record.topic}/${record.partition}`
    const lines = outputs.get(place) ?? []
    outputs.set(place, lines)
    lines.push(lineOf(stage, record.topic, record))
  }
  const rows = new Map([...folded.rows].map(([key, row]) => [key, foldedRowLine(stage, row, codec)]))
  return { task: taskName(stage.name, partition), outputs, rows, counters: folded.counters }
}

/** A record as a line. What a dead letter says of its cause is the runtime's own, so it is told by its place alone. */
export function lineOf(
  stage: Pick<Stage, 'name'>,
  topic: string,
  { kind, key, value, timestampMs }: LogRecord,
): string {
  const content = topic === deadOf(stage.name) ? '' : value === null ? 'null' : digestOf(value)
  return `${kind} ${key} @${timestampMs} ${content}`
}

function digestOf(value: Buffer): string {
  return createHash('sha1').update(value).digest('base64')
}

/** A row of a store or a changelog as a line. */
export function rowLine(stage: Stage, bytes: Buffer, codec: Codec): string {
  const { clockMs, indexedAtMs, timers, sections } = decodeRow(bytes, stage.stateful, codec)
  const states = stage.stateful.map(({ state }, place) => sections[place]?.bytes(codec, state))
  return printRow(
    clockMs,
    indexedAtMs,
    timers.map(({ id, atMs }) => `${id}@${atMs}`),
    states,
  )
}

function foldedRowLine(stage: Stage, { clockMs, indexedAtMs, timers, states }: FoldedRow, codec: Codec): string {
  const encoded = stage.stateful.map(({ name, state }) =>
    states.has(name) ? codec.encode(state, states.get(name) as never) : undefined,
  )
  return printRow(
    clockMs,
    indexedAtMs,
    [...timers].map(([id, atMs]) => `${id}@${atMs}`),
    encoded,
  )
}

function printRow(
  clockMs: number,
  indexedAtMs: number | null,
  timers: readonly string[],
  states: readonly (Buffer | undefined)[],
): string {
  return `${clockMs} ${indexedAtMs} ${[...timers].sort()} ${states.map((state) => state && digestOf(state))}`
}

/**
 * Whether a partition holds what its writers have written, each in its order, and nothing else: lines must each be the
 * next of some writer. What writers have left over at the end is missing.
 */
export class Interleaving {
  readonly #place: string
  readonly #writers: { readonly task: string; readonly lines: readonly string[]; next: number }[]
  readonly differences: string[] = []

  constructor(place: string, tasks: readonly ExpectedTask[]) {
    this.#place = place
    this.#writers = tasks.flatMap(({ task, outputs }) => {
      const lines = outputs.get(place)
      return lines ? [{ task, lines, next: 0 }] : []
    })
  }

  take(offset: number, line: string): void {
    const writer = this.#writers.find(({ lines, next }) => lines[next] === line)
    if (writer) writer.next++
    else if (this.differences.length < 3) {
      const expected = this.#writers.map(({ task, lines, next }) => `${task}: ${lines[next] ?? 'nothing'}`)
      this.differences.push(`${this.#place}@${offset}: ${line}, where the next were ${expected.join(' | ')}`)
    }
  }

  end(): readonly string[] {
    for (const { task, lines, next } of this.#writers)
      if (next < lines.length)
        this.differences.push(`${this.#place} lacks ${lines.length - next} of ${task}, from ${lines[next]} on`)
    return this.differences
  }
}

/**
 * The same for a compacted partition, where a batch writes the last value of a key only: what is there of a key must be
 * part of what was written, in its order, and end with the last.
 */
export class LatestValues {
  readonly #place: string
  readonly #keys = new Map<string, { readonly lines: string[]; next: number }>()
  readonly differences: string[] = []

  constructor(place: string, tasks: readonly ExpectedTask[]) {
    this.#place = place
    for (const line of tasks.flatMap(({ outputs }) => outputs.get(place) ?? [])) {
      const known = this.#keys.get(keyOf(line))
      if (known) known.lines.push(line)
      else this.#keys.set(keyOf(line), { lines: [line], next: 0 })
    }
  }

  take(offset: number, line: string): void {
    const key = this.#keys.get(keyOf(line))
    const at = key ? key.lines.indexOf(line, key.next) : -1
    if (key && at >= 0) key.next = at + 1
    else if (this.differences.length < 3)
      this.differences.push(`${this.#place}@${offset}: ${line} is not expected there`)
  }

  end(): readonly string[] {
    const short = [...this.#keys.values()].filter(({ lines, next }) => next < lines.length)
    if (short.length > 0)
      this.differences.push(
        `${this.#place} lacks the last value of ${short.length} keys, such as ${short[0]!.lines.at(-1)}`,
      )
    return this.differences
  }
}

/** Kind and key of a line; keys have no blanks. */
function keyOf(line: string): string {
  return line.slice(0, line.lastIndexOf(' @'))
}
