/**
 * Thrift's binary protocol, as far as a flat struct needs it
 * (https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md). The bytes are strangers': every
 * length is held against what is there before anything is read or made of it.
 */

/** Strings as their bytes. Fields of any other type are passed over. */
export type ThriftValue = Buffer | bigint | readonly Buffer[]

/** The strings, i64 and lists of strings of a struct, by field id; or why it is none. Bytes after its end are not looked at. */
export function readStruct(bytes: Buffer): ReadonlyMap<number, ThriftValue> | { readonly error: string } {
  const reader = new Reader(bytes)
  const fields = new Map<number, ThriftValue>()
  try {
    for (let type = reader.byte(); type !== types.stop; type = reader.byte()) {
      const id = reader.int16()
      const value = reader.value(type, 0)
      if (value !== undefined) fields.set(id, value)
    }
  } catch (error) {
    if (error instanceof Malformed) return { error: error.message }
    throw error
  }
  return fields
}

const types = {
  stop: 0,
  bool: 2,
  byte: 3,
  double: 4,
  int16: 6,
  int32: 8,
  int64: 10,
  string: 11,
  struct: 12,
  map: 13,
  set: 14,
  list: 15,
} as const

/** Bytes of a value; of those that say their own length the least there can be. */
const sizes: ReadonlyMap<number, number> = new Map([
  [types.bool, 1],
  [types.byte, 1],
  [types.double, 8],
  [types.int16, 2],
  [types.int32, 4],
  [types.int64, 8],
  [types.string, 4],
  [types.struct, 1],
  [types.map, 6],
  [types.set, 5],
  [types.list, 5],
])

const depthMax = 16

class Malformed extends Error {}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  /** The value, or undefined of a type that is passed over. */
  value(type: number, depth: number): ThriftValue | undefined {
    if (depth > depthMax) throw new Malformed(`more than ${depthMax} levels`)
    switch (type) {
      case types.string:
        return this.#string()
      case types.int64:
        return this.#bytes.readBigInt64BE(this.#take(8))
      case types.list:
      case types.set:
        return this.#list(depth)
      case types.map:
        this.#map(depth)
        return undefined
      case types.struct:
        for (let field = this.byte(); field !== types.stop; field = this.byte()) {
          this.int16()
          this.value(field, depth + 1)
        }
        return undefined
      default:
        this.#take(sizeOf(type))
        return undefined
    }
  }

  #string(): Buffer {
    const length = this.#count(1)
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }

  #list(depth: number): readonly Buffer[] | undefined {
    const type = this.byte()
    const count = this.#count(sizeOf(type))
    const strings: Buffer[] = []
    for (let index = 0; index < count; index++) {
      const value = this.value(type, depth + 1)
      if (Buffer.isBuffer(value)) strings.push(value)
    }
    return type === types.string ? strings : undefined
  }

  #map(depth: number): void {
    const keyType = this.byte()
    const valueType = this.byte()
    // an empty map may say no types
    const count = this.#count(1)
    for (let index = 0; index < count; index++) {
      this.value(keyType, depth + 1)
      this.value(valueType, depth + 1)
    }
  }

  /** A number of things of at least so many bytes each, all of which must be there. */
  #count(bytesEach: number): number {
    const count = this.#bytes.readInt32BE(this.#take(4))
    if (count < 0 || count * bytesEach > this.#bytes.length - this.#at) {
      throw new Malformed(`a length of ${count} at byte ${this.#at - 4}, which is more than there is`)
    }
    return count
  }

  /** Where the next bytes stand. */
  #take(count: number): number {
    const from = this.#at
    if (count > this.#bytes.length - from) throw new Malformed(`the end at byte ${this.#bytes.length}, within a field`)
    this.#at += count
    return from
  }
}

function sizeOf(type: number): number {
  const size = sizes.get(type)
  if (size === undefined) throw new Malformed(`the type ${type}, which there is not`)
  return size
}
