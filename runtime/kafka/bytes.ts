/** Writing and reading the primitive types of the Kafka protocol. Offsets, ids and times are numbers: all fit in 53 bits. */

/** A buffer that grows. */
export class ByteWriter {
  #buffer: Buffer
  #at = 0

  /** Room for so many bytes to begin with. */
  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes)
  }

  get at(): number {
    return this.#at
  }

  /** All that was written, until the next write. */
  get written(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  /** Makes room; answers where to write. Every write below relies on it. */
  #reserve(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, at + bytes))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#at = at + bytes
    return at
  }

  int8(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  int16(value: number): void {
    const at = this.#reserve(2)
    this.#buffer.writeInt16BE(value, at)
  }

  int32(value: number): void {
    const at = this.#reserve(4)
    this.#buffer.writeInt32BE(value, at)
  }

  int64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeInt32BE(Math.floor(value / 2 ** 32), at)
    this.#buffer.writeUInt32BE(value >>> 0, at + 4)
  }

  /** What was not known when its place was passed: a length, a checksum. */
  uint32At(at: number, value: number): void {
    this.#buffer.writeUInt32BE(value, at)
  }

  /** Signed, zigzag; for varint and varlong alike. */
  varint(value: number): void {
    let left = zigzag(value)
    let at = this.#reserve(10)
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.#buffer[at++] = (left % 0x80) | 0x80
    this.#buffer[at++] = left
    this.#at = at
  }

  /** A string with its length in two bytes; null as -1. */
  text(value: string | null): void {
    const bytes = value === null ? -1 : Buffer.byteLength(value)
    this.int16(bytes)
    if (value !== null) this.utf8(value, bytes)
  }

  utf8(value: string, bytes: number): void {
    const at = this.#reserve(bytes)
    this.#buffer.write(value, at, bytes, 'utf8')
  }

  bytes(value: Buffer): void {
    const at = this.#reserve(value.length)
    value.copy(this.#buffer, at)
  }
}

/** How many bytes `varint` writes. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let left = zigzag(value); left >= 0x80; left = Math.floor(left / 0x80)) bytes++
  return bytes
}

const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)

export class ByteReader {
  readonly buffer: Buffer
  at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  skip(bytes: number): void {
    this.at += bytes
  }

  int8(): number {
    return this.buffer.readInt8(this.at++)
  }

  int16(): number {
    this.at += 2
    return this.buffer.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.buffer.readInt32BE(this.at - 4)
  }

  int64(): number {
    this.at += 8
    return this.buffer.readInt32BE(this.at - 8) * 2 ** 32 + this.buffer.readUInt32BE(this.at - 4)
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.buffer[this.at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 0x80
    }
  }

  /** The next `length` bytes; null where the length is -1. Shares its memory with the buffer. */
  slice(length: number): Buffer | null {
    if (length < 0) return null
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }

  utf8(length: number): string {
    this.at += length
    return this.buffer.toString('utf8', this.at - length, this.at)
  }

  text(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.utf8(length)
  }

  array<T>(read: (reader: ByteReader) => T): T[] {
    const length = Math.max(0, this.int32())
    return Array.from({ length }, () => read(this))
  }
}
