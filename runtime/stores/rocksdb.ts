/** Stores on disk: one RocksDB in a folder for each task. */
import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RocksDb, type RocksOptions } from '../rocksdb.ts'
import type { Store, StoreEntry, Stores, StoreWrite } from '../store.ts'

/** Small, since a process has a store for each of its tasks: what is hot is cached decoded, above this. */
const storeOptions: RocksOptions = {
  writeBufferBytes: 4 * 1024 * 1024,
  blockCacheBytes: 2 * 1024 * 1024,
  openFilesMax: 64,
  compression: true,
}

export class RocksStores implements Stores {
  readonly #folder: string
  readonly #opened = new Set<RocksStore>()

  /** The folder that holds the folders of the tasks; made when the first store is opened. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** DATA_LOCKED when the store is open already, here or in another process; DATA_UNWRITABLE, DATA_FOREIGN as they say. */
  async open(task: string): Promise<Store> {
    const db = await RocksDb.open(join(this.#folder, folderName(task)), storeOptions)
    const store = new RocksStore(db, () => this.#opened.delete(store))
    this.#opened.add(store)
    return store
  }

  async has(task: string): Promise<boolean> {
    const found = stat(join(this.#folder, folderName(task)))
    return found.then(
      () => true,
      () => false,
    )
  }

  async remove(task: string): Promise<void> {
    const folder = join(this.#folder, folderName(task))
    const removed = `${folder}.removed`
    // A kill in the middle must not leave half a database where the next one opens it.
    await rm(removed, { recursive: true, force: true })
    await rename(folder, removed).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await rm(removed, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened].map((store) => store.close()))
  }
}

class RocksStore implements Store {
  readonly #db: RocksDb
  readonly #onClose: () => void

  constructor(db: RocksDb, onClose: () => void) {
    this.#db = db
    this.#onClose = onClose
  }

  async getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    return keys.length === 0 ? [] : this.#db.getMany(keys)
  }

  /** Not synced: what a loss of power takes is restored from the changelog, which is. */
  write(writes: readonly StoreWrite[]): Promise<void> {
    return this.#db.write(writes, { sync: false })
  }

  async range(from: string, to: string, limit: number): Promise<readonly StoreEntry[]> {
    const entries = await this.#db.read({ from: from || lowest, to: to || lowest }, { limit })
    return entries.map(({ key, value }) => ({ key: key.toString('utf8'), value }))
  }

  clear(): Promise<void> {
    return this.#db.clear({ from: lowest, to: highest })
  }

  async close(): Promise<void> {
    this.#onClose()
    await this.#db.close()
  }
}

/** Before and after every key that is not empty: no UTF-8 text begins with 0xff. */
const lowest = Buffer.from([0])
const highest = Buffer.from([0xff])

/** A task's name such as `profile/3` as the name of a folder: `profile-3`. */
function folderName(task: string): string {
  return encodeURIComponent(task.replaceAll('/', '-'))
}
