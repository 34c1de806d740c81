/**
 * Where the embedded log keeps what, in its one RocksDB:
 *
 *     format                                   the marker of the layout
 *     t topic                                  the topic's spec
 *     p topic partition                        what is kept of a partition beside its blocks
 *     i topic partition last-offset            which block holds the records up to that offset
 *     d sequence                               a block
 *
 * Blocks stand in the order they were written, whatever their partition: RocksDB then never merges what it wrote, which
 * doubles the rate of appends. Numbers are big-endian, so that byte order is their order. An index entry stands under
 * the last offset of its block, so that one seek finds the block of an offset.
 */
import type { RocksEntry, RocksRange } from '../rocksdb.ts'

export const formatKey = 'format'
export const formatMarker = 'millrace log 1'

/** The number of a topic, and the partition. */
export type PartitionId = { readonly topicId: number; readonly partition: number }

export type IndexEntry = {
  readonly lastOffset: number
  readonly sequence: number
  readonly bytes: number
  /** When the youngest record of the block was appended, by the clock of the machine. */
  readonly appendedMs: number
}

export function topicKey(topicId: number): Buffer {
  const key = Buffer.alloc(5, 't')
  key.writeUInt32BE(topicId, 1)
  return key
}

export function topicIdOf(key: Buffer): number {
  return key.readUInt32BE(1)
}

export const allTopicKeys: RocksRange = { from: 't', to: 'u' }

export function partitionKey({ topicId, partition }: PartitionId): Buffer {
  const key = Buffer.alloc(9, 'p')
  key.writeUInt32BE(topicId, 1)
  key.writeUInt32BE(partition, 5)
  return key
}

export function indexKey({ topicId, partition }: PartitionId, lastOffset: number): Buffer {
  const key = Buffer.alloc(17, 'i')
  key.writeUInt32BE(topicId, 1)
  key.writeUInt32BE(partition, 5)
  key.writeBigUInt64BE(BigInt(lastOffset), 9)
  return key
}

/** Index entries of the blocks that reach offset `from`, and do not reach `to`. */
export function indexRange(id: PartitionId, from: number, to: number): RocksRange {
  return { from: indexKey(id, from), to: indexKey(id, to) }
}

export function indexValue({ sequence, bytes, appendedMs }: IndexEntry): Buffer {
  const value = Buffer.allocUnsafe(20)
  value.writeDoubleBE(sequence, 0)
  value.writeUInt32BE(bytes, 8)
  value.writeDoubleBE(appendedMs, 12)
  return value
}

export function indexEntry({ key, value }: RocksEntry): IndexEntry {
  return {
    lastOffset: Number(key.readBigUInt64BE(9)),
    sequence: value.readDoubleBE(0),
    bytes: value.readUInt32BE(8),
    appendedMs: value.readDoubleBE(12),
  }
}

export function blockKey(sequence: number): Buffer {
  const key = Buffer.alloc(9, 'd')
  key.writeBigUInt64BE(BigInt(sequence), 1)
  return key
}

export function sequenceOf(key: Buffer): number {
  return Number(key.readBigUInt64BE(1))
}

export const allBlockKeys: RocksRange = { from: 'd', to: 'e' }
