/** The youngest records of the log, kept in memory so that readers who keep up never touch the disk. */
import { type Portion, recordBytes } from '../portion.ts'
import type { StoredRecord } from '../record.ts'

/** Records without a hole among their offsets. */
type Chunk = { readonly records: readonly StoredRecord[]; readonly bytes: number }

/** The tail of one partition: chunks that follow each other without a hole, up to its stable end. */
export class Tail {
  readonly chunks = new Fifo<Chunk>()

  /** Whether a record of that offset is here, and so all after it. */
  covers(offset: number): boolean {
    const first = this.chunks.at(0)?.records[0]
    return first !== undefined && first.offset <= offset
  }

  /** Puts the records from an offset on, which is covered, into a portion. Answers whether all fitted. */
  read(offset: number, portion: Portion): boolean {
    for (let i = this.#chunkOf(offset); i < this.chunks.length; i++) {
      const { records } = this.chunks.at(i)!
      for (let j = Math.max(0, offset - records[0]!.offset); j < records.length; j++) {
        if (!portion.take(records[j]!)) return false
      }
    }
    return true
  }

  /** The last chunk that begins at or before the offset. */
  #chunkOf(offset: number): number {
    let low = 0
    let high = this.chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.chunks.at(middle)!.records[0]!.offset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** The tails of all partitions share one bound: the chunk that came first goes first, whose ever it is. */
export class Tails {
  readonly #bytesMax: number
  readonly #order = new Fifo<Tail>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(tail: Tail, records: readonly StoredRecord[]): void {
    let bytes = 0
    for (const record of records) bytes += recordBytes(record) + objectBytes
    tail.chunks.push({ records, bytes })
    this.#order.push(tail)
    this.#bytes += bytes
    while (this.#bytes > this.#bytesMax) {
      const dropped = this.#order.shift()?.chunks.shift()
      if (!dropped) return
      this.#bytes -= dropped.bytes
    }
  }
}

/** What a record costs beyond its bytes: its own object and that of its buffer. */
const objectBytes = 200

/** A queue whose elements can be read by position. */
class Fifo<Element> {
  #elements: (Element | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#elements.length - this.#head
  }

  at(index: number): Element | undefined {
    return this.#elements[this.#head + index]
  }

  push(element: Element): void {
    this.#elements.push(element)
  }

  shift(): Element | undefined {
    if (this.length === 0) return undefined
    const element = this.#elements[this.#head]
    this.#elements[this.#head++] = undefined
    if (this.#head > 1024 && this.#head * 2 > this.#elements.length) {
      this.#elements = this.#elements.slice(this.#head)
      this.#head = 0
    }
    return element
  }
}
