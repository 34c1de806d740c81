/** Which keys have a timer that comes due, by (instant, key): the near part in memory, all of it in the store. */
import type { Store } from './store.ts'

const prefix = 't'
const digits = 16
const pageEntries = 4096

/** `t<instant, 16 digits>|<key>`: sorts by (instant, key). */
export function indexKey(atMs: number, key: string): string {
  return `${prefix}${String(Math.max(0, atMs)).padStart(digits, '0')}|${key}`
}

export type IndexEntry = { readonly atMs: number; readonly key: string }

function parseIndexKey(text: string): IndexEntry {
  return { atMs: Number(text.slice(1, 1 + digits)), key: text.slice(2 + digits) }
}

/**
 * An entry says: look at this key at that instant. It counts only if the row still says so (`indexedAtMs`); entries
 * of earlier versions of a row are passed over.
 */
export class TimerIndex {
  readonly #store: Store
  /** A binary heap of index keys, all up to and including the horizon. */
  #heap: string[] = []
  /** Up to here every stored entry is in the heap; undefined before the first page, null when the store holds no more. */
  #horizon: string | null | undefined = undefined
  /** Entries of the uncommitted batch: not in the store yet. */
  #uncommitted: string[] = []

  constructor(store: Store) {
    this.#store = store
  }

  add(atMs: number, key: string): void {
    const entry = indexKey(atMs, key)
    this.#uncommitted.push(entry)
    if (this.#within(entry)) this.#push(entry)
  }

  /** The batch is in the store. */
  applied(): void {
    this.#uncommitted = []
    if (this.#heap.length > 4 * pageEntries) this.#trim()
  }

  /** Forgets the memory part; the store decides. */
  reset(): void {
    this.#heap = []
    this.#horizon = undefined
    this.#uncommitted = []
  }

  /** Takes the first entry with an instant of at most `untilMs`. */
  async take(untilMs: number): Promise<IndexEntry | undefined> {
    const limit = indexKey(untilMs + 1, '')
    while (
      this.#horizon !== null &&
      (this.#horizon === undefined || (this.#heap.length === 0 && this.#horizon < limit))
    ) {
      await this.#loadPage()
    }
    const first = this.#heap[0]
    if (first === undefined || first >= limit) return undefined
    this.#pop()
    return parseIndexKey(first)
  }

  /** Puts an entry back that was taken too early. */
  untake({ atMs, key }: IndexEntry): void {
    this.#push(indexKey(atMs, key))
  }

  async #loadPage(): Promise<void> {
    const from = typeof this.#horizon === 'string' ? `${this.#horizon}\0` : prefix
    const page = await this.#store.range(from, 'u', pageEntries)
    const before = this.#horizon
    this.#horizon = page.length < pageEntries ? null : page[page.length - 1]!.key
    for (const { key } of page) this.#push(key)
    for (const entry of this.#uncommitted) {
      const alreadyIn = typeof before === 'string' && entry <= before
      if (!alreadyIn && this.#within(entry)) this.#push(entry)
    }
  }

  #within(entry: string): boolean {
    return this.#horizon === null || (this.#horizon !== undefined && entry <= this.#horizon)
  }

  #trim(): void {
    this.#heap.sort()
    this.#heap.length = pageEntries
    this.#horizon = this.#heap[pageEntries - 1]!
  }

  #push(entry: string): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]! <= entry) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= last) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}
