/** The partition of a key: murmur2 as in Kafka's Java producer, so that other clients agree. */

/** 32-bit murmur2 of the bytes, as org.apache.kafka.common.utils.Utils computes it. */
export function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995
  const length = bytes.length
  let h = 0x9747b28c ^ length
  const blocks = length >>> 2
  for (let i = 0; i < blocks; i++) {
    const at = i << 2
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const tail = length & ~3
  const left = length & 3
  if (left === 3) h ^= bytes[tail + 2]! << 16
  if (left >= 2) h ^= bytes[tail + 1]! << 8
  if (left >= 1) {
    h ^= bytes[tail]!
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h
}

const scratch = Buffer.allocUnsafe(4096)

/** The partition of a key's UTF-8 bytes: (murmur2 & 0x7fffffff) mod partitions. */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0
  if (key.length * 3 <= scratch.length) {
    const length = scratch.write(key, 'utf8')
    return (murmur2(scratch.subarray(0, length)) & 0x7fffffff) % partitions
  }
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitions
}
