/**
 * A block: the records that one write added to one partition, as the bytes of one RocksDB value.
 *
 *     u8 format · f64 first offset · f64 appended at · f64 base log time
 *     varint kinds · each: varint length, UTF-8
 *     varint records · each: varint offset since the one before · zigzag log time less the base · varint kind
 *                            varint key length · key · varint value length + 1 · value
 *                            or, for a tombstone: 0 · zigzag (its own "appended at" less the block's)
 *
 * Offsets may have holes, which compaction leaves; so a tombstone remembers when it was written, whatever block it moves to.
 */
import { invariant, MillraceError } from '../errors.ts'
import type { StoredRecord } from '../record.ts'

/** A record with the instant of its append by the clock of the machine, which is what retention counts from. */
export type AppendedRecord = StoredRecord & { readonly appendedMs: number }

const format = 1
const fixedBytes = 1 + 8 + 8 + 8

/** Records in order of offset, appended at `appendedMs` where they do not say otherwise. Log times are whole milliseconds. */
export function encodeBlock(records: readonly (StoredRecord & { appendedMs?: number })[], appendedMs: number): Buffer {
  const kinds = new Map<string, number>()
  let bytesMax = fixedBytes + varintBytesMax
  for (const { kind, key, value } of records) {
    if (!kinds.has(kind)) {
      kinds.set(kind, kinds.size)
      bytesMax += kind.length * 3 + varintBytesMax
    }
    bytesMax += 5 * varintBytesMax + key.length * 3 + (value?.length ?? 0)
  }
  const out = new BlockWriter(Buffer.allocUnsafe(bytesMax + varintBytesMax))

  const firstOffset = records[0]?.offset ?? 0
  const baseMs = records[0]?.timestampMs ?? 0
  out.byte(format)
  out.double(firstOffset)
  out.double(appendedMs)
  out.double(baseMs)
  out.varint(kinds.size)
  for (const kind of kinds.keys()) out.text(kind)
  out.varint(records.length)
  let previous = firstOffset
  for (const record of records) {
    out.varint(record.offset - previous)
    previous = record.offset
    out.zigzag(record.timestampMs - baseMs)
    out.varint(kinds.get(record.kind)!)
    out.text(record.key)
    if (record.value === null) {
      out.varint(0)
      out.zigzag((record.appendedMs ?? appendedMs) - appendedMs)
    } else {
      out.varint(record.value.length + 1)
      out.bytes(record.value)
    }
  }
  return out.written()
}

/**
 * Hands the records at or after an offset to `take`, in order, until it answers false. Values are views of the block.
 * Answers whether all were taken.
 */
export function readBlock(block: Buffer, from: number, take: (record: StoredRecord) => boolean): boolean {
  return walk(block, from, (offset, timestampMs, kind, key, value) => take({ offset, timestampMs, kind, key, value }))
}

/** Every record of the block with what compaction needs of it. */
export function recordsOf(block: Buffer): AppendedRecord[] {
  const records: AppendedRecord[] = []
  walk(block, 0, (offset, timestampMs, kind, key, value, appendedMs) => {
    records.push({ offset, timestampMs, kind, key, value, appendedMs })
    return true
  })
  return records
}

type Visit = (
  offset: number,
  timestampMs: number,
  kind: string,
  key: string,
  value: Buffer | null,
  appendedMs: number,
) => boolean

function walk(block: Buffer, from: number, visit: Visit): boolean {
  const input = new BlockReader(block)
  const written = input.byte()
  if (written !== format) {
    throw new MillraceError('DATA_FOREIGN', `a block of the log has format ${written}, this version reads ${format}`)
  }
  let offset = input.double()
  const appendedMs = input.double()
  const baseMs = input.double()
  const kinds: string[] = []
  for (let left = input.varint(); left > 0; left--) kinds.push(input.text())
  for (let left = input.varint(); left > 0; left--) {
    offset += input.varint()
    const timestampMs = baseMs + input.zigzag()
    const kind = kinds[input.varint()]
    invariant(kind !== undefined, 'a block lists the kinds of its records')
    const wanted = offset >= from
    const key = wanted ? input.text() : input.skip(input.varint())
    const length = input.varint()
    const recordAppendedMs = length === 0 ? appendedMs + input.zigzag() : appendedMs
    const value = length === 0 ? null : input.bytes(length - 1)
    if (wanted && !visit(offset, timestampMs, kind, key, value, recordAppendedMs)) return false
  }
  return true
}

/** A varint of a number of up to 53 bits. */
const varintBytesMax = 8

class BlockWriter {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  byte(value: number): void {
    this.#buffer[this.#at++] = value
  }

  double(value: number): void {
    this.#at = this.#buffer.writeDoubleBE(value, this.#at)
  }

  varint(value: number): void {
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.#buffer[this.#at++] = (left % 0x80) | 0x80
    this.#buffer[this.#at++] = left
  }

  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  text(value: string): void {
    const length = Buffer.byteLength(value, 'utf8')
    this.varint(length)
    this.#buffer.write(value, this.#at, length, 'utf8')
    this.#at += length
  }

  bytes(value: Buffer): void {
    this.#buffer.set(value, this.#at)
    this.#at += value.length
  }

  written(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }
}

class BlockReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  byte(): number {
    return this.#buffer[this.#at++]!
  }

  double(): number {
    this.#at += 8
    return this.#buffer.readDoubleBE(this.#at - 8)
  }

  varint(): number {
    let byte = this.#buffer[this.#at++]!
    let value = byte & 0x7f
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = this.#buffer[this.#at++]!
      value += (byte & 0x7f) * factor
    }
    return value
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(): string {
    const length = this.varint()
    this.#at += length
    return this.#buffer.toString('utf8', this.#at - length, this.#at)
  }

  bytes(length: number): Buffer {
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }

  skip(length: number): '' {
    this.#at += length
    return ''
  }
}
