/** The port of a task's local store: ordered bytes under string keys. One contract suite runs over rocksdb and memory. */

export type StoreWrite = { readonly key: string; readonly value: Buffer | null }

export type StoreEntry = { readonly key: string; readonly value: Buffer }

export type Store = {
  /** Values in the order of the keys; undefined where there is none. */
  getMany(keys: readonly string[]): Promise<readonly (Buffer | undefined)[]>
  /** Applies all writes atomically; a null value deletes. Survives a kill of the process once resolved. */
  write(writes: readonly StoreWrite[]): Promise<void>
  /** Entries with from <= key < to in byte order of UTF-8, at most `limit`. */
  range(from: string, to: string, limit: number): Promise<readonly StoreEntry[]>
  /** Deletes everything. */
  clear(): Promise<void>
  close(): Promise<void>
}

export type Stores = {
  /** Opens the store of a task by its name, such as `profile/3`; made if missing. */
  open(task: string): Promise<Store>
  /** Whether there is a store of the task, open or not. */
  has(task: string): Promise<boolean>
  /** Deletes the store of a task, which nobody has open. */
  remove(task: string): Promise<void>
  close(): Promise<void>
}
