/** What is to happen, earliest first; what is due at the same instant happens in the order it was added. A binary heap. */
export class Timeline<Item> {
  readonly #heap: { readonly atMs: number; readonly order: number; readonly item: Item }[] = []
  #added = 0

  get size(): number {
    return this.#heap.length
  }

  /** When the next item is due; Infinity when there is none. */
  get nextAtMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY
  }

  add(atMs: number, item: Item): void {
    const heap = this.#heap
    const entry = { atMs, order: this.#added++, item }
    let place = heap.length
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!earlier(entry, heap[parent]!)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = entry
  }

  /** Takes out the next item; undefined when there is none. */
  take(): Item | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first?.item
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++
      if (!earlier(heap[child]!, last)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
    return first.item
  }
}

type Due = { readonly atMs: number; readonly order: number }

function earlier(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
