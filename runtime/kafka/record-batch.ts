/**
 * Record batches, magic 2, as they stand in requests, on the broker's disk and in answers.
 * https://kafka.apache.org/documentation/#recordbatch
 */
import { gunzipSync } from 'node:zlib'
import { invariant, MillraceError } from '../errors.ts'
import type { LogRecord, StoredRecord } from '../record.ts'
import { ByteReader, ByteWriter, varintBytes } from './bytes.ts'
import { crc32c } from './crc32c.ts'

/** Who writes, as InitProducerId answered. */
export type Producer = { readonly id: number; readonly epoch: number; readonly transactional: boolean }

const transactionalBit = 0x10
const controlBit = 0x20
const appendTimeBit = 0x08
const codecBits = 0x07
const gzip = 1
/** From the start of a batch to the end of its length, to its checksum, its attributes, its records. */
const lengthEnd = 12
const crcAt = 17
const attributesAt = 21
const recordsAt = 61

const kindHeader = Buffer.from('kind')

/** One batch, not compressed. `sequence` counts a producer's records to the partition. NaN timestamps are `nowMs`. */
export function encodeBatch(
  records: readonly LogRecord[],
  producer: Producer,
  sequence: number,
  nowMs: number,
): Buffer {
  invariant(records.length > 0, 'a batch has records')
  const out = new ByteWriter(records.reduce((sum, record) => sum + recordBytesAbout(record), recordsAt))
  let maxTimestampMs = Number.NEGATIVE_INFINITY
  for (const record of records) maxTimestampMs = Math.max(maxTimestampMs, timeOf(record, nowMs))
  const baseTimestampMs = timeOf(records[0]!, nowMs)

  out.int64(0)
  out.int32(0) // length, below
  out.int32(-1)
  out.int8(2)
  out.int32(0) // checksum, below
  out.int16(producer.transactional ? transactionalBit : 0)
  out.int32(records.length - 1)
  out.int64(baseTimestampMs)
  out.int64(maxTimestampMs)
  out.int64(producer.id)
  out.int16(producer.epoch)
  out.int32(sequence)
  out.int32(records.length)
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    writeRecord(out, record, i, timeOf(record, nowMs) - baseTimestampMs)
  }
  out.uint32At(lengthEnd - 4, out.at - lengthEnd)
  out.uint32At(crcAt, crc32c(out.written, attributesAt, out.at))
  return out.written
}

/** Enough for keys that are ASCII. */
export const recordBytesAbout = ({ kind, key, value }: LogRecord): number =>
  32 + kind.length + key.length + (value?.length ?? 0)

function writeRecord(out: ByteWriter, { kind, key, value }: LogRecord, index: number, timestampDelta: number): void {
  const keyBytes = Buffer.byteLength(key)
  const kindBytes = Buffer.byteLength(kind)
  const valueBytes = value === null ? -1 : value.length
  out.varint(
    3 + // attributes, the number of headers, the length of the header's key
      varintBytes(timestampDelta) +
      varintBytes(index) +
      varintBytes(keyBytes) +
      keyBytes +
      varintBytes(valueBytes) +
      Math.max(0, valueBytes) +
      kindHeader.length +
      varintBytes(kindBytes) +
      kindBytes,
  )
  out.int8(0)
  out.varint(timestampDelta)
  out.varint(index)
  out.varint(keyBytes)
  out.utf8(key, keyBytes)
  out.varint(valueBytes)
  if (value !== null) out.bytes(value)
  out.varint(1)
  out.varint(kindHeader.length)
  out.bytes(kindHeader)
  out.varint(kindBytes)
  out.utf8(kind, kindBytes)
}

const timeOf = ({ timestampMs }: LogRecord, nowMs: number): number =>
  Number.isNaN(timestampMs) ? nowMs : Math.trunc(timestampMs)

/** A transaction that was aborted, as the broker lists it: in no order that could be relied on. */
export type Aborted = { readonly producerId: number; readonly firstOffset: number }

export type Batches = {
  /** Committed records at or after the offset asked for. */
  readonly records: StoredRecord[]
  /** One past the last batch, whatever it held: control records, aborted ones, or what compaction left of it. */
  readonly nextOffset: number
}

/**
 * The committed records of an answer that begins at or before `offset`. The last batch may be cut off; it is left out.
 *
 * A producer's batches are aborted from the first offset of an aborted transaction on to its abort marker. Only control
 * batches are markers: a record of data may have a key of any bytes.
 */
export function readBatches(buffer: Buffer, offset: number, aborted: readonly Aborted[]): Batches {
  const begun = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const open = new Set<number>()
  const records: StoredRecord[] = []
  let nextOffset = offset
  for (let at = 0; at + lengthEnd <= buffer.length; ) {
    const reader = new ByteReader(buffer, at)
    const baseOffset = reader.int64()
    const end = at + lengthEnd + reader.int32()
    if (end > buffer.length) break
    const header = readHeader(reader, end)
    while (begun.length > 0 && begun[0]!.firstOffset <= baseOffset + header.lastOffsetDelta)
      open.add(begun.shift()!.producerId)
    if (header.attributes & controlBit) {
      if (isAbortMarker(reader)) open.delete(header.producerId)
    } else if (!(header.attributes & transactionalBit && open.has(header.producerId))) {
      readRecords(bodyOf(reader, end, header), baseOffset, header, offset, records)
    }
    nextOffset = Math.max(nextOffset, baseOffset + header.lastOffsetDelta + 1)
    at = end
  }
  return { records, nextOffset }
}

type Header = {
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly count: number
}

/** Leaves the reader at the first record. */
function readHeader(reader: ByteReader, end: number): Header {
  reader.skip(4)
  const magic = reader.int8()
  if (magic !== 2) throw unreadable(`record batches of magic ${magic} are from before Kafka 0.11`)
  const crc = reader.int32() >>> 0
  if (crc !== crc32c(reader.buffer, reader.at, end)) throw unreadable('the checksum of a record batch is wrong')
  const attributes = reader.int16()
  const lastOffsetDelta = reader.int32()
  const baseTimestampMs = reader.int64()
  const maxTimestampMs = reader.int64()
  const producerId = reader.int64()
  reader.skip(6)
  return { attributes, lastOffsetDelta, baseTimestampMs, maxTimestampMs, producerId, count: reader.int32() }
}

/** The one record of a control batch; its key is a version and a type, 0: abort. */
function isAbortMarker(reader: ByteReader): boolean {
  reader.varint()
  reader.skip(1)
  reader.varint()
  reader.varint()
  reader.varint()
  reader.skip(2)
  return reader.int16() === 0
}

function bodyOf(reader: ByteReader, end: number, { attributes }: Header): ByteReader {
  const codec = attributes & codecBits
  if (codec === 0) return reader
  if (codec === gzip) return new ByteReader(gunzipSync(reader.buffer.subarray(reader.at, end)))
  throw unreadable(`record batches compressed with codec ${codec}; write them with gzip or none`)
}

function readRecords(
  reader: ByteReader,
  baseOffset: number,
  header: Header,
  from: number,
  records: StoredRecord[],
): void {
  const kinds = new KindReader()
  for (let i = 0; i < header.count; i++) {
    const length = reader.varint()
    const end = reader.at + length
    reader.skip(1)
    const timestampDelta = reader.varint()
    const offset = baseOffset + reader.varint()
    if (offset >= from) {
      const timestampMs =
        header.attributes & appendTimeBit ? header.maxTimestampMs : header.baseTimestampMs + timestampDelta
      const key = reader.utf8(Math.max(0, reader.varint()))
      const value = reader.slice(reader.varint())
      records.push({ offset, kind: kinds.read(reader, end), key, value, timestampMs })
    }
    reader.at = end
  }
}

/** Reads the header `kind`; records of others that have none are of kind ''. Most records are of the kind of the one before. */
class KindReader {
  #kind = ''
  #from = 0
  #to = 0

  read(reader: ByteReader, end: number): string {
    if (this.#isSame(reader, end)) return this.#kind
    this.#from = reader.at
    this.#to = end
    this.#kind = ''
    for (let left = reader.varint(); left > 0; left--) {
      const name = reader.utf8(reader.varint())
      const value = reader.slice(reader.varint())
      if (name === 'kind' && value) this.#kind = value.toString('utf8')
    }
    return this.#kind
  }

  #isSame({ buffer, at }: ByteReader, end: number): boolean {
    if (end - at !== this.#to - this.#from) return false
    for (let i = at, j = this.#from; i < end; i++, j++) if (buffer[i] !== buffer[j]) return false
    return true
  }
}

function unreadable(what: string): MillraceError {
  return new MillraceError('KAFKA_REFUSED', `cannot read what the broker holds: ${what}`)
}
