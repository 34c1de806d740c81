/** Lines of a stream of bytes, whatever its size: no line takes more memory than its bound. */

export type Line = {
  /** From 1; blank lines count. */
  readonly number: number
  /** Without its end; of a line that is too long only the head, cut at a bound of bytes. */
  readonly text: string
  /** Of the whole line, without its end. */
  readonly bytes: number
  /** Bytes of the stream up to and with this line's end. */
  readonly position: number
}

const newline = 0x0a

/** Lines end with LF or CRLF; the last needs no end. A byte order mark before the first is no part of it. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<Line> {
  let number = 0
  let position = 0
  let bytes = 0
  let kept: Uint8Array[] = []
  let keptBytes = 0

  const add = (part: Uint8Array): void => {
    bytes += part.length
    const fits = part.subarray(0, Math.max(0, lineBytesMax - keptBytes))
    if (fits.length === 0) return
    kept.push(fits)
    keptBytes += fits.length
  }
  const end = (): Line => {
    const held = Buffer.concat(kept)
    const isWhole = bytes === keptBytes
    const length = isWhole && held.at(-1) === 0x0d ? held.length - 1 : held.length
    const text = held.toString('utf8', 0, length)
    number++
    const line = { number, text: number === 1 ? text.replace(/^\ufeff/, '') : text, bytes, position }
    bytes = 0
    kept = []
    keptBytes = 0
    return line
  }

  for await (const chunk of chunks) {
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      add(chunk.subarray(from, at))
      position += at + 1 - from
      from = at + 1
      yield end()
    }
    add(chunk.subarray(from))
    position += chunk.length - from
  }
  if (bytes > 0) yield end()
}
