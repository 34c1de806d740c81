/** What one fetch answers: records in order of offset, bounded in number and in bytes. */
import type { FetchLimits } from './log.ts'
import type { LogRecord, StoredRecord } from './record.ts'

export class Portion {
  readonly records: StoredRecord[] = []
  readonly #limits: FetchLimits
  #bytes = 0

  constructor(limits: FetchLimits) {
    this.#limits = limits
  }

  /** Takes the record if it fits, and answers whether it did; the first always fits. */
  take(record: StoredRecord): boolean {
    const bytes = recordBytes(record)
    const taken = this.records.length
    if (taken > 0 && (taken >= this.#limits.maxRecords || this.#bytes + bytes > this.#limits.maxBytes)) return false
    this.records.push(record)
    this.#bytes += bytes
    return true
  }
}

/** About what a record takes in memory; the same for every adapter, so that all cut a portion at the same place. */
export function recordBytes({ key, value }: LogRecord): number {
  return 32 + key.length + (value === null ? 0 : value.length)
}
