/** Binary values of a stream, each behind its length in four bytes, big-endian: what `kcat -f '%R%s'` writes. */

export type Frame = {
  /** From 1. */
  readonly number: number
  /** Of one that is too long only the head. */
  readonly value: Buffer
  /** What its length says; less than that is there when the stream ends within it. */
  readonly bytes: number
  /** Bytes of the stream up to and with this frame's end. */
  readonly position: number
}

/** No frame takes more memory than its bound. The last may be cut off: then its value, or even its length, is short. */
export async function* framesOf(chunks: AsyncIterable<Uint8Array>, frameBytesMax: number): AsyncGenerator<Frame> {
  let number = 0
  let position = 0
  let head: Uint8Array[] = []
  let headBytes = 0
  /** Null while the length itself is being read. */
  let bytes: number | null = null
  let kept: Uint8Array[] = []
  let keptBytes = 0
  let seenBytes = 0

  const frame = (value: readonly Uint8Array[], length: number): Frame => {
    number++
    const made = { number, value: Buffer.concat(value), bytes: length, position }
    head = []
    headBytes = 0
    bytes = null
    kept = []
    keptBytes = 0
    seenBytes = 0
    return made
  }

  for await (const chunk of chunks) {
    let from = 0
    while (from < chunk.length) {
      if (bytes === null) {
        const part = chunk.subarray(from, from + lengthBytes - headBytes)
        head.push(part)
        headBytes += part.length
        from += part.length
        position += part.length
        if (headBytes < lengthBytes) break
        bytes = Buffer.concat(head).readUInt32BE(0)
      }
      const part = chunk.subarray(from, from + bytes - seenBytes)
      const fits = part.subarray(0, Math.max(0, frameBytesMax - keptBytes))
      if (fits.length > 0) kept.push(fits)
      keptBytes += fits.length
      seenBytes += part.length
      from += part.length
      position += part.length
      if (seenBytes === bytes) yield frame(kept, bytes)
    }
  }
  if (bytes !== null) yield frame(kept, bytes)
  else if (headBytes > 0) yield frame(head, lengthBytes)
}

const lengthBytes = 4
