/** The end of a file of lines, read backwards, so that opening a large file costs what opening a small one does. */
import type { FileHandle } from 'node:fs/promises'

export type Tail = {
  /** The last line that ends in a newline, without it; null when there is none. */
  readonly line: string | null
  /** Where it ends: what the file has beyond is a line cut off. */
  readonly bytes: number
}

const chunkBytes = 64 * 1024

export async function lastLineOf(file: FileHandle): Promise<Tail> {
  const { size } = await file.stat()
  let tail: Buffer = Buffer.alloc(0)
  for (let from = size; ; ) {
    // both newlines are in sight, or the whole file is
    const end = tail.lastIndexOf(newline)
    const before = end > 0 ? tail.lastIndexOf(newline, end - 1) : -1
    if (from === 0 && end < 0) return { line: null, bytes: 0 }
    if (from === 0 || before >= 0) return { line: tail.toString('utf8', before + 1, end), bytes: from + end + 1 }
    const start = Math.max(0, from - chunkBytes)
    const chunk = Buffer.alloc(from - start)
    await file.read(chunk, 0, chunk.length, start)
    tail = Buffer.concat([chunk, tail])
    from = start
  }
}

const newline = 0x0a
