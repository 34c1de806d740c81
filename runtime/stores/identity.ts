/** Who a process is: the id of its state folder. It outlives restarts, and nobody else has it while the process lives. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { RocksDb } from '../rocksdb.ts'

export type Identity = { readonly process: string; close(): Promise<void> }

/**
 * Takes the state folder for this process: two that share one would fence each other for ever. The lock is the kernel's
 * and goes with the process, however that ends: there are no stale ones. DATA_LOCKED when another process has it.
 */
export async function takeStateFolder(folder: string): Promise<Identity> {
  const options = { writeBufferBytes: 64 * 1024, blockCacheBytes: 0, openFilesMax: 16, compression: false }
  const db = await RocksDb.open(join(folder, 'process'), options)
  const [known] = await db.getMany(['id'])
  const process = known?.toString() ?? randomUUID()
  if (!known) await db.write([{ key: 'id', value: Buffer.from(process) }], { sync: true })
  return { process, close: () => db.close() }
}
