/** The rows of a task: uncommitted changes over a bounded cache of hot rows over the store. */
import type { Codec } from './codec.ts'
import { invariant } from './errors.ts'
import { decodeRow, encodeRow, isEmpty, type Row, type StatefulOperator } from './row.ts'
import type { Store } from './store.ts'

export const rowKey = (key: string): string => `r${key}`

/** A changed row, and how the store's timer index lists the key now. */
export type ChangedRow = { readonly row: Row | null; readonly storedIndexMs: number | null }

/** An encoded change: null when the row goes. */
export type EncodedRow = {
  readonly key: string
  readonly bytes: Buffer | null
  readonly indexedAtMs: number | null
  readonly storedIndexMs: number | null
}

/** A row as it is in the store, and how long it is there. */
type CachedRow = { readonly row: Row | null; readonly bytes: number }

/** What a row costs beside its bytes. */
const entryBytes = 200

export class Rows {
  readonly #store: Store
  readonly #operators: readonly StatefulOperator[]
  readonly #codec: Codec
  readonly #cachedBytesMax: number
  /**
   * Two generations: when the young one is full it becomes the old one, and what is read again moves up. That happens
   * between batches only, so that what a batch has read stays.
   */
  #young = new Map<string, CachedRow>()
  #old = new Map<string, CachedRow>()
  #youngBytes = 0
  #changed = new Map<string, ChangedRow>()

  constructor(store: Store, operators: readonly StatefulOperator[], codec: Codec, cachedBytesMax: number) {
    this.#store = store
    this.#operators = operators
    this.#codec = codec
    this.#cachedBytesMax = cachedBytesMax
  }

  /** The row; null when there is none; undefined when it has not been read. */
  get(key: string): Row | null | undefined {
    const changed = this.#changed.get(key)
    if (changed) return changed.row
    const young = this.#young.get(key)
    if (young) return young.row
    const old = this.#old.get(key)
    if (!old) return undefined
    this.#cache(key, old)
    return old.row
  }

  /** Whether the row has been changed since the last commit. */
  isChanged(key: string): boolean {
    return this.#changed.has(key)
  }

  /** Reads those keys that have not been read, in one round. */
  async load(keys: readonly string[]): Promise<void> {
    const missing = keys.filter((key) => this.get(key) === undefined)
    if (missing.length === 0) return
    const values = await this.#store.getMany(missing.map(rowKey))
    for (let i = 0; i < missing.length; i++) {
      const bytes = values[i]
      const row = bytes ? decodeRow(bytes, this.#operators, this.#codec) : null
      this.#cache(missing[i]!, { row, bytes: bytes?.length ?? 0 })
    }
  }

  /** Changes a row that has been read. */
  set(key: string, row: Row): void {
    const before = this.#changed.get(key)
    const next = isEmpty(row) ? null : row
    if (before) {
      this.#changed.set(key, { row: next, storedIndexMs: before.storedIndexMs })
      return
    }
    const stored = this.get(key)
    invariant(stored !== undefined, 'a row is read before it is changed')
    this.#changed.set(key, { row: next, storedIndexMs: stored?.indexedAtMs ?? null })
  }

  /** The changes since the last `applied`, encoded, in the order of their first change. */
  encodeChanges(): EncodedRow[] {
    const encoded: EncodedRow[] = []
    for (const [key, { row, storedIndexMs }] of this.#changed) {
      const bytes = row ? encodeRow(row, this.#operators, this.#codec) : null
      encoded.push({ key, bytes, indexedAtMs: row?.indexedAtMs ?? null, storedIndexMs })
    }
    return encoded
  }

  /** The changes are in the store, as they were encoded: they are ordinary cached rows now. */
  applied(changes: readonly EncodedRow[]): void {
    for (const { key, bytes } of changes) {
      this.#cache(key, { row: this.#changed.get(key)?.row ?? null, bytes: bytes?.length ?? 0 })
    }
    this.#changed = new Map()
    if (this.#youngBytes < this.#cachedBytesMax / 2) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
  }

  discardChanges(): void {
    this.#changed = new Map()
  }

  #cache(key: string, cached: CachedRow): void {
    this.#old.delete(key)
    this.#youngBytes += cached.bytes - (this.#young.get(key)?.bytes ?? -entryBytes)
    this.#young.set(key, cached)
  }
}
