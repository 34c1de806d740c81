/** An event in the making. */
import { schemaType } from '../../schemas/avro/index.ts'
import type { Event } from '../../schemas/avro/types.ts'

/** Every field is there from the start, null or empty until it is set. It is the operator's own until it is passed on. */
export type Draft = { -readonly [Name in keyof Event]: Event[Name] }

/**
 * The constructor of events as Avro decodes them: an event that was just validated and one that was read back from a
 * topic have the same hidden class, which keeps every later stage monomorphic.
 */
const EventRecord = (schemaType('Event') as unknown as EventType).recordConstructor

type EventType = {
  readonly fields: readonly { readonly name: string }[]
  readonly recordConstructor: new (...values: readonly unknown[]) => Draft
}

const empty: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['contexts', Object.freeze([])],
  ['derived_contexts', Object.freeze([])],
  ['encrypted', Object.freeze([])],
])
const emptyFields = (schemaType('Event') as unknown as EventType).fields.map(({ name }) => empty.get(name) ?? null)

export const newDraft = (): Draft => new EventRecord(...emptyFields)
