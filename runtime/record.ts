/** Records as they stand in the log, and the kinds the runtime itself writes. */

/** A record of a topic partition. Headers carry the kind; `value` is Avro in Confluent framing, null for a tombstone. */
export type LogRecord = {
  readonly kind: string
  readonly key: string
  readonly value: Buffer | null
  /** Log time. */
  readonly timestampMs: number
}

export type StoredRecord = LogRecord & { readonly offset: number }

/** A record with the place it is to be appended to. */
export type AddressedRecord = LogRecord & { readonly topic: string; readonly partition: number }

/** Kinds that the runtime writes and reads itself; operators never see them. */
export const controlKinds = {
  tick: 'tick',
  sweep: 'sweep',
  marker: 'marker',
  generation: 'generation',
  turn: 'turn',
} as const

/** No record and no stored value may be larger. */
export const recordBytesMax = 256 * 1024
