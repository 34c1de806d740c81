/** Stores in memory, for tests and the simulator. What was written stays when a store is closed and opened again. */
import { invariant } from '../errors.ts'
import type { Store, StoreEntry, Stores, StoreWrite } from '../store.ts'

export type StoreFaults = {
  /** May throw, as a kill would: nothing of the write is then applied. */
  beforeWrite?(task: string): void
}

/** What a task's store held at some moment; gives a task a stale folder back. */
export type StoreSnapshot = ReadonlyMap<string, Buffer>

export class MemoryStores implements Stores {
  readonly #faults: StoreFaults
  readonly #folders = new Map<string, Folder>()
  readonly #opened = new Map<string, MemoryStore>()

  constructor(options: { readonly faults?: StoreFaults } = {}) {
    this.#faults = options.faults ?? {}
  }

  /** Opening a task's store again takes it from the one who had it open, as a kill of that one would. */
  async open(task: string): Promise<Store> {
    await this.#opened.get(task)?.close()
    const store = new MemoryStore(this.#folder(task), () => this.#faults.beforeWrite?.(task))
    this.#opened.set(task, store)
    return store
  }

  async has(task: string): Promise<boolean> {
    return this.#folders.has(task)
  }

  async remove(task: string): Promise<void> {
    this.#folders.delete(task)
  }

  async close(): Promise<void> {
    for (const store of this.#opened.values()) await store.close()
    this.#opened.clear()
  }

  snapshot(task: string): StoreSnapshot {
    return new Map(this.#folder(task).values)
  }

  /** Replaces what the task's store holds; an empty snapshot is a lost folder. */
  replace(task: string, snapshot: StoreSnapshot): void {
    const folder = this.#folder(task)
    folder.values = new Map(snapshot)
    folder.keys = [...snapshot.keys()].sort(compareUtf8)
  }

  #folder(task: string): Folder {
    const found = this.#folders.get(task)
    if (found) return found
    const made: Folder = { values: new Map(), keys: [] }
    this.#folders.set(task, made)
    return made
  }
}

/** The keys are those of the values, in byte order of UTF-8. */
type Folder = { values: Map<string, Buffer>; keys: string[] }

class MemoryStore implements Store {
  readonly #folder: Folder
  readonly #beforeWrite: () => void
  #open = true

  constructor(folder: Folder, beforeWrite: () => void) {
    this.#folder = folder
    this.#beforeWrite = beforeWrite
  }

  async getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    this.#requireOpen()
    return keys.map((key) => this.#folder.values.get(key))
  }

  async write(writes: readonly StoreWrite[]): Promise<void> {
    this.#requireOpen()
    this.#beforeWrite()
    const { values, keys } = this.#folder
    for (const { key, value } of writes) {
      const present = values.has(key)
      if (value !== null) {
        if (!present) keys.splice(placeOf(keys, key), 0, key)
        values.set(key, value)
      } else if (present) {
        keys.splice(placeOf(keys, key), 1)
        values.delete(key)
      }
    }
  }

  async range(from: string, to: string, limit: number): Promise<readonly StoreEntry[]> {
    this.#requireOpen()
    const { values, keys } = this.#folder
    const first = placeOf(keys, from)
    const end = Math.min(placeOf(keys, to), first + Math.max(0, limit))
    return keys.slice(first, end).map((key) => ({ key, value: values.get(key)! }))
  }

  async clear(): Promise<void> {
    this.#requireOpen()
    this.#folder.values.clear()
    this.#folder.keys.length = 0
  }

  async close(): Promise<void> {
    this.#open = false
  }

  #requireOpen(): void {
    invariant(this.#open, 'a store is open while it is used')
  }
}

/** Where the key stands, or would stand, among sorted keys. */
function placeOf(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareUtf8(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Order of the UTF-8 bytes. It differs from the order of strings where surrogates meet the code units above them. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return inCodePointOrder(left) - inCodePointOrder(right)
  }
  return a.length - b.length
}

function inCodePointOrder(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
