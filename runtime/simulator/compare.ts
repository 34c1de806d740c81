/** What a task wrote and keeps, compared with a fold of its inbox. Each answer says where they differ. */
import type { Codec } from '../codec.ts'
import type { WrittenRecord } from '../memory/log.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import { decodeRow } from '../row.ts'
import { rowKey } from '../rows.ts'
import type { Stage } from '../stage.ts'
import type { StoreSnapshot } from '../stores/memory.ts'
import { indexKey } from '../timer-index.ts'
import { deadOf, taskName } from '../topology.ts'
import type { Folded } from './fold.ts'

export type Read = (topic: string, partition: number) => readonly WrittenRecord[]

/**
 * Append-only topics hold exactly what the fold emits, in its order; compacted ones end at the same values. While work
 * is still to be done, `soFar`, append-only topics hold the first part of it.
 */
export function compareOutputs(
  stage: Stage,
  partition: number,
  read: Read,
  folded: Folded,
  options: { readonly soFar: boolean } = { soFar: false },
): string[] {
  const task = taskName(stage.name, partition)
  const dead = { name: deadOf(stage.name), partitions: stage.inbox.partitions, cleanup: 'delete' as const }
  const topics = new Map(
    [...stage.topics.values(), stage.inbox, ...stage.downstream, dead].map((topic) => [topic.name, topic]),
  )
  const differences: string[] = []
  for (const { name, partitions, cleanup } of topics.values()) {
    if (cleanup === 'compact' && options.soFar) continue
    // A letter is compared by its place, not by its bytes: what it says of the cause is the runtime's own.
    const print = name === dead.name ? printPlace : printRecord
    const lines = (records: readonly Omit<StoredRecord, 'offset'>[]): string[] =>
      (cleanup === 'compact' ? lastByKey(records) : records).map(print)
    for (let to = 0; to < partitions; to++) {
      const actual = lines(read(name, to).filter(({ writer }) => writer === task))
      const expected = lines(folded.outputs.filter((output) => output.topic === name && output.partition === to))
      const upTo = options.soFar ? actual.length : expected.length
      const difference = differ(`${task} → ${name}/${to}`, actual, expected.slice(0, upTo))
      if (difference) differences.push(difference)
    }
  }
  return differences
}

/** Rows in a store, or in a changelog, are exactly those of the fold. */
export function compareRows(
  where: string,
  stage: Stage,
  rows: Iterable<readonly [key: string, row: Buffer]>,
  codec: Codec,
  folded: Folded,
): string[] {
  const expected = [...folded.rows].map(([key, row]) => {
    const timers = [...row.timers].map(([id, atMs]) => `${id}@${atMs}`).sort()
    const states = stage.stateful.map(({ name, state }) =>
      row.states.has(name) ? codec.encode(state, row.states.get(name) as never).toString('base64') : '',
    )
    return `${key} ${row.clockMs} ${row.indexedAtMs} ${timers} ${states}`
  })
  const actual = [...rows].map(([key, bytes]) => {
    const row = decodeRow(bytes, stage.stateful, codec)
    const timers = row.timers.map(({ id, atMs }) => `${id}@${atMs}`).sort()
    const states = stage.stateful.map(
      ({ state }, place) => row.sections[place]?.bytes(codec, state).toString('base64') ?? '',
    )
    return `${key} ${row.clockMs} ${row.indexedAtMs} ${timers} ${states}`
  })
  const difference = differ(where, actual.sort(), expected.sort())
  return difference ? [difference] : []
}

export function rowsOfStore(snapshot: StoreSnapshot): [string, Buffer][] {
  return [...snapshot].flatMap(([key, bytes]) => (key.startsWith(rowKey('')) ? [[key.slice(1), bytes]] : []))
}

export function rowsOfChangelog(records: readonly StoredRecord[]): [string, Buffer][] {
  return lastByKey(records).flatMap(({ kind, key, value }) => (kind === 'row' && value ? [[key, value]] : []))
}

/** Every row that has a timer is found by it. */
export function compareTimers(where: string, snapshot: StoreSnapshot, folded: Folded): string[] {
  return [...folded.rows].flatMap(([key, { indexedAtMs }]) =>
    indexedAtMs === null || snapshot.has(indexKey(indexedAtMs, key)) ? [] : [`${where}: no timer entry of ${key}`],
  )
}

/** Order counts within a partition only. */
export function byPlace(printed: readonly string[]): string[] {
  const place = (text: string): string => text.slice(0, text.indexOf(' '))
  return printed
    .map((text, i) => ({ text, i }))
    .sort((a, b) => (place(a.text) === place(b.text) ? a.i - b.i : place(a.text) < place(b.text) ? -1 : 1))
    .map(({ text }) => text)
}

export function lastByKey<Of extends { readonly key: string; readonly kind: string }>(records: readonly Of[]): Of[] {
  const last = new Map<string, Of>()
  for (const record of records) last.set(`${record.kind}|${record.key}`, record)
  return [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
}

const printRecord = ({ kind, key, value, timestampMs }: Omit<StoredRecord, 'offset'>): string =>
  `${kind} ${key} @${timestampMs} ${value?.toString('base64') ?? 'null'}`
const printPlace = ({ kind, key, timestampMs }: Omit<StoredRecord, 'offset'>): string =>
  `${kind} ${key} @${timestampMs}`
export const printAddressed = (record: AddressedRecord): string =>
  `${record.topic}/${record.partition} ${printRecord(record)}`

/** Says where two lists first differ; undefined when they are the same. */
export function differ(where: string, actual: readonly string[], expected: readonly string[]): string | undefined {
  const at = actual.findIndex((line, i) => line !== expected[i])
  if (at < 0 && actual.length === expected.length) return undefined
  const place = at < 0 ? actual.length : at
  return `${where}: ${actual.length} against ${expected.length} expected; at ${place}: ${shorten(actual[place])} against ${shorten(expected[place])}`
}

function shorten(line: string | undefined): string {
  if (line === undefined) return 'nothing'
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}
