/** The contract between the runtime and the operators: records in, effects out. */
import type { SchemaName, Schemas } from '../schemas/avro/types.ts'

/** `tenant/rest`. Every key carries the tenant, so that no state and no partition is shared by accident. */
export type Key = string

export function tenantOf(key: Key): string {
  const slash = key.indexOf('/')
  return slash < 0 ? key : key.slice(0, slash)
}

/** What the runtime needs to know of definitions; the rest belongs to the operators. */
export type DefinitionsHead = { readonly tenant: string; readonly version: number; readonly hash: string }

/** A record as an operator meets it: from the inbox, passed on by the operator before it, or a timer of the stage. */
export type Inbound<Kind extends string = string, Value = unknown> = {
  readonly kind: Kind
  readonly key: Key
  readonly value: Value
}

/** The record kind under which a due timer enters the stage, at its first stateful operator. Value: {id, atMs}. */
export const timerKind = 'timer'
export type DueTimer = Inbound<typeof timerKind, { readonly id: string; readonly atMs: number }>

export type Effect =
  /** Sets this operator's state under the key. Values are immutable: put a new one, never change the old. */
  | { readonly effect: 'put'; readonly key: Key; readonly value: unknown }
  | { readonly effect: 'remove'; readonly key: Key }
  /** Writes a record of a declared topic and kind. Log time is the cause's; the partition follows from the key. */
  | {
      readonly effect: 'emit'
      readonly topic: string
      readonly kind: string
      readonly key: Key
      readonly value: unknown
    }
  /**
   * As `emit`, to a compacted topic, where only the last of a key and commit is written: only that one's value is made,
   * at the commit. So `value` reads nothing but what is immutable, and does not throw.
   */
  | {
      readonly effect: 'emitLatest'
      readonly topic: string
      readonly kind: string
      readonly key: Key
      readonly value: () => unknown
    }
  /** Hands a record to the next operator of the stage, in the same transaction. */
  | { readonly effect: 'pass'; readonly kind: string; readonly key: Key; readonly value: unknown }
  /** Sets the key's timer of that id, in place of an earlier one; null cancels it. */
  | { readonly effect: 'schedule'; readonly key: Key; readonly id: string; readonly atMs: number | null }
  /** Adds to a durable counter of the task. */
  | { readonly effect: 'count'; readonly name: string; readonly by: number }

export const put = (key: Key, value: unknown): Effect => ({ effect: 'put', key, value })
export const remove = (key: Key): Effect => ({ effect: 'remove', key })
export const emit = (topic: string, kind: string, key: Key, value: unknown): Effect => ({
  effect: 'emit',
  topic,
  kind,
  key,
  value,
})
export const emitLatest = (topic: string, kind: string, key: Key, value: () => unknown): Effect => ({
  effect: 'emitLatest',
  topic,
  kind,
  key,
  value,
})
/** A tombstone on a compacted topic. */
export const erase = (topic: string, kind: string, key: Key): Effect => emit(topic, kind, key, null)
export const pass = (kind: string, key: Key, value: unknown): Effect => ({ effect: 'pass', kind, key, value })
export const schedule = (key: Key, id: string, atMs: number | null): Effect => ({ effect: 'schedule', key, id, atMs })
export const count = (name: string, by = 1): Effect => ({ effect: 'count', name, by })

/** What an operator may read while it decides what else it needs. */
export type Known<State> = {
  /** The state under a key, undefined when there is none or when it has not been read yet. */
  state(key: Key): State | undefined
}

/** What an operator may read while it processes: all of it is the same when the log is read again. */
export type Context<State, Definitions> = Known<State> & {
  /** The clock of the record's key: never earlier than the task's watermark, the record's log time, or what the key has seen. */
  readonly clockMs: number
  /** Log time of the record; for a timer its deadline. */
  readonly logTimeMs: number
  /** Where the record stands in the inbox: rises with every record, and so serves as a version. */
  readonly offset: number
  readonly partition: number
  /** Of what is written: goes before the offset in a version. */
  readonly generation: number
  /** The definitions in force for the tenant at this place in the log; undefined before the first marker. */
  readonly definitions: Definitions | undefined
}

/**
 * A pure, synchronous step of a stage. The runtime reads the key of the record and what `needs` adds before it calls
 * `process`, and performs the effects together, in one commit. An exception dead-letters the record and discards
 * its effects.
 */
export type Operator<In extends Inbound, State, Definitions> = {
  readonly name: string
  /** Avro schema of its state; null for an operator without state, which may then run ahead of its turn. */
  readonly state: SchemaName | null
  /** Further keys to read; asked again, in bounded rounds, until it wants nothing more. */
  needs?(record: In, known: Known<State>, definitions: Definitions | undefined): readonly Key[]
  process(record: In, context: Context<State, Definitions>): readonly Effect[]
}

// biome-ignore lint/suspicious/noExplicitAny: a stage holds operators of different types; each is typed where it is written
export type AnyOperator = Operator<any, any, any>

export type { SchemaName, Schemas }
