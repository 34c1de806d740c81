/** A seeded stream of numbers: the sfc32 generator of Chris Doty-Humphrey's PractRand. The same seed gives the same stream, anywhere. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** The parts together are the seed; (7, 'person', 3) and (7, 'person', 4) give unrelated streams. */
  constructor(...seed: readonly (number | string)[]) {
    const text = seed.join('|')
    this.#a = hash(text, 0x9e3779b9)
    this.#b = hash(text, 0x85ebca6b)
    this.#c = hash(text, 0xc2b2ae35)
    for (let i = 0; i < 12; i++) this.uint32() // spreads the seed over the whole state
  }

  uint32(): number {
    const out = (this.#a + this.#b + this.#counter++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0
    return out >>> 0
  }

  /** From 0, below 1. */
  unit(): number {
    return this.uint32() / 0x1_0000_0000
  }

  /** An integer from 0, below `end`. */
  below(end: number): number {
    return Math.floor(this.unit() * end)
  }

  /** An integer from `first` to `last`, both included. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1)
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }

  /** Waiting time until the next of independent happenings that come `mean` apart. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.unit())
  }

  /**
   * An index below `count` that falls off as a power law: index i has weight about (i + 1) ** -exponent, exponent below 1.
   * Few are picked often, many seldom, as visitors and products are.
   */
  zipf(count: number, exponent = 0.75): number {
    return Math.min(count - 1, Math.floor(count * this.unit() ** (1 / (1 - exponent))))
  }

  /** A version 4 UUID. */
  uuid(): string {
    const a = this.uint32()
    const b = this.uint32()
    const c = this.uint32()
    const d = this.uint32()
    return (
      `${byte[a >>> 24]}${byte[(a >>> 16) & 255]}${byte[(a >>> 8) & 255]}${byte[a & 255]}-` +
      `${byte[b >>> 24]}${byte[(b >>> 16) & 255]}-${byte[((b >>> 8) & 15) | 64]}${byte[b & 255]}-` +
      `${byte[((c >>> 24) & 63) | 128]}${byte[(c >>> 16) & 255]}-` +
      `${byte[(c >>> 8) & 255]}${byte[c & 255]}${byte[d >>> 24]}${byte[(d >>> 16) & 255]}${byte[(d >>> 8) & 255]}${byte[d & 255]}`
    )
  }
}

const byte: readonly string[] = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/** FNV-1a with a finisher, so that seeds which differ in one character share nothing. */
function hash(text: string, basis: number): number {
  let h = basis | 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}
