/** CRC-32C (Castagnoli), the checksum of record batches, eight bytes a turn. */

/** tables[n][b]: the remainder of byte b followed by n zero bytes. */
const tables: readonly Int32Array[] = makeTables()

export function crc32c(buffer: Buffer, from: number, to: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as readonly [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ]
  let crc = -1
  let at = from
  for (; at + 8 <= to; at += 8) {
    crc ^= buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[buffer[at + 4]!]! ^
      t2[buffer[at + 5]!]! ^
      t1[buffer[at + 6]!]! ^
      t0[buffer[at + 7]!]!
  }
  for (; at < to; at++) crc = t0[(crc ^ buffer[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

function makeTables(): readonly Int32Array[] {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    first[byte] = crc
  }
  const all = [first]
  for (let n = 1; n < 8; n++) all.push(all[n - 1]!.map((crc) => first[crc & 0xff]! ^ (crc >>> 8)))
  return all
}
