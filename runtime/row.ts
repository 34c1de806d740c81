/** A row in memory: what a task keeps under one key, with a section of state for each operator of its stage. */
import type { Timer } from '../schemas/avro/types.ts'
import type { Codec } from './codec.ts'
import type { SchemaName } from './operator.ts'

/** The state of one operator: as it was stored until it is first read, decoded from then on; never both in memory. */
export class Section {
  #bytes: Buffer | undefined
  #value: unknown

  private constructor(bytes: Buffer | undefined, value: unknown) {
    this.#bytes = bytes
    this.#value = value
  }

  static ofValue(value: unknown): Section {
    return new Section(undefined, value)
  }

  static ofBytes(bytes: Buffer): Section {
    return new Section(bytes, undefined)
  }

  value(codec: Codec, schema: SchemaName): unknown {
    if (this.#bytes) {
      this.#value = codec.decode(schema, this.#bytes)
      this.#bytes = undefined
    }
    return this.#value
  }

  bytes(codec: Codec, schema: SchemaName): Buffer {
    return this.#bytes ?? codec.encode(schema, this.#value as never)
  }
}

/** Immutable: a change makes a new row. */
export type Row = {
  readonly clockMs: number
  /** The instant under which the timer index lists the row; never later than its first timer. */
  readonly indexedAtMs: number | null
  /** By (atMs, id). */
  readonly timers: readonly Timer[]
  /** By place of the operator among those with state. */
  readonly sections: readonly (Section | undefined)[]
}

export type StatefulOperator = { readonly name: string; readonly state: SchemaName }

export const emptyRow: Row = { clockMs: 0, indexedAtMs: null, timers: [], sections: [] }

/** Nothing is left to keep: the row goes. */
export function isEmpty(row: Row): boolean {
  return row.timers.length === 0 && row.sections.every((section) => section === undefined)
}

export function withSection(row: Row, place: number, section: Section | undefined): Row {
  const sections = row.sections.slice()
  while (sections.length <= place) sections.push(undefined)
  sections[place] = section
  return { ...row, sections }
}

/**
 * Sets or cancels a timer. The index entry stays where it is when the first timer only moves later: the sweep looks at
 * the row and lists it anew, which costs less than rewriting the index for every event that postpones a deadline.
 */
export function withTimer(row: Row, id: string, atMs: number | null): Row {
  const present = row.timers.find((timer) => timer.id === id)
  if (present ? present.atMs === atMs : atMs === null) return row
  const others = row.timers.filter((timer) => timer.id !== id)
  const timers = atMs === null ? others : [...others, { id, atMs }].sort(byDeadline)
  const first = timers[0]?.atMs
  const earlier = first !== undefined && (row.indexedAtMs === null || first < row.indexedAtMs)
  return { ...row, timers, indexedAtMs: earlier ? first : row.indexedAtMs }
}

/** The row as the index should list it once its entry has come up. */
export function reindexed(row: Row): Row {
  return { ...row, indexedAtMs: row.timers[0]?.atMs ?? null }
}

function byDeadline(a: Timer, b: Timer): number {
  return a.atMs - b.atMs || (a.id < b.id ? -1 : 1)
}

export function encodeRow(row: Row, operators: readonly StatefulOperator[], codec: Codec): Buffer {
  const sections = []
  for (let place = 0; place < row.sections.length; place++) {
    const section = row.sections[place]
    const operator = operators[place]
    if (section && operator) sections.push({ operator: operator.name, value: section.bytes(codec, operator.state) })
  }
  return codec.encode('Row', { clockMs: row.clockMs, indexedAtMs: row.indexedAtMs, timers: row.timers, sections })
}

/** Sections of operators that the stage no longer has are dropped. */
export function decodeRow(bytes: Buffer, operators: readonly StatefulOperator[], codec: Codec): Row {
  const { clockMs, indexedAtMs, timers, sections: stored } = codec.decode('Row', bytes)
  const sections: (Section | undefined)[] = operators.map(() => undefined)
  for (const { operator, value } of stored) {
    const place = operators.findIndex(({ name }) => name === operator)
    if (place >= 0) sections[place] = Section.ofBytes(value)
  }
  return { clockMs, indexedAtMs, timers, sections }
}
