/**
 * Activations into files: `<folder>/<destination>/<partition>.ndjson`, one JSON object a line, in the order of the topic.
 *
 * Exactly once: each line carries its offset, so the file itself says how far it is. A line that was cut off by a
 * crash is cut away when the file is opened, and what is in the file already is not written again.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../runtime/errors.ts'
import type { Connector, Delivery } from '../connector.ts'
import { fileLine, type LastLine, parseLine } from './line.ts'
import { lastLineOf } from './tail.ts'

export type FileConnectorOptions = { readonly id: string; readonly folder: string }

/** An open file: appended to at `bytes`. */
type Sheet = {
  readonly path: string
  readonly handle: FileHandle
  bytes: number
  last: LastLine | null
  checked: boolean
}

export function createFileConnector({ id, folder }: FileConnectorOptions): Connector {
  const sheets = new Map<number, Sheet>()
  const home = join(folder, id)

  const sheetOf = async (partition: number): Promise<Sheet> => {
    const known = sheets.get(partition)
    if (known) return known
    await mkdir(home, { recursive: true })
    const sheet = await openSheet(join(home, `${partition}.ndjson`))
    sheets.set(partition, sheet)
    return sheet
  }

  return {
    id,
    batchMax: 500,

    async deliver(batch) {
      const { partition } = batch[0]!
      const sheet = await sheetOf(partition)
      requireSameTopic(sheet, batch)
      const fresh = batch.filter(({ offset }) => sheet.last === null || offset > sheet.last.offset)
      if (fresh.length === 0) return
      try {
        await append(sheet, Buffer.from(fresh.map(fileLine).join(''), 'utf8'))
      } catch (error) {
        // what of it reached the file is found out when the file is opened again
        sheets.delete(partition)
        await sheet.handle.close().catch(() => {})
        throw error
      }
      const { offset, activation } = fresh.at(-1)!
      sheet.last = { offset, idempotencyKey: activation.idempotencyKey }
    },

    async release(partition) {
      const sheet = sheets.get(partition)
      sheets.delete(partition)
      await sheet?.handle.close()
    },

    async close() {
      for (const { handle } of sheets.values()) await handle.close()
      sheets.clear()
    },
  }
}

/** Opens a file for appending after its last whole line, and cuts away what follows that. */
async function openSheet(path: string): Promise<Sheet> {
  const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return open(path, 'wx+')
    throw error
  })
  try {
    const { line, bytes } = await lastLineOf(handle)
    await handle.truncate(bytes)
    const last = line === null ? null : parseLine(line)
    if (last === undefined) throw foreign(path, 'its last line is not one of ours')
    return { path, handle, bytes, last, checked: false }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * The runner stores its position after each batch, so a file can be ahead by no more than the first batch it sees. If
 * it is, that batch has the very row that the file ends with; otherwise the file belongs to another log.
 */
function requireSameTopic(sheet: Sheet, batch: readonly Delivery[]): void {
  const { last, path, checked } = sheet
  sheet.checked = true
  if (checked || last === null || last.offset < batch[0]!.offset) return
  const same = batch.find(({ offset }) => offset === last.offset)?.activation.idempotencyKey === last.idempotencyKey
  if (!same) throw foreign(path, `it ends with offset ${last.offset} of another log`)
}

async function append(sheet: Sheet, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await sheet.handle.write(bytes, written, bytes.length - written, sheet.bytes + written)
    written += bytesWritten
  }
  await sheet.handle.datasync() // before the position is stored: a file behind its position would have a gap
  sheet.bytes += bytes.length
}

function foreign(path: string, why: string): MillraceError {
  return new MillraceError(
    'DATA_FOREIGN',
    `${path} was not written by this destination: ${why}; move it away to start a new one`,
  )
}
