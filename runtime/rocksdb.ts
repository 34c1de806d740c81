/** RocksDB behind promises and types: the one place that touches the native binding. */
import { mkdir } from 'node:fs/promises'
import RocksBinding from 'rocksdb'
import { InvariantError, MillraceError } from './errors.ts'

/** Strings are taken as UTF-8. Never empty. */
export type RocksKey = string | Buffer

export type RocksWrite = { readonly key: RocksKey; readonly value: Buffer | null }

export type RocksEntry = { readonly key: Buffer; readonly value: Buffer }

/** Keys from `from` on and before `to`, in byte order. */
export type RocksRange = { readonly from: RocksKey; readonly to: RocksKey }

/** Memory of one database; a process holds a dozen of them, so the sum is what counts. */
export type RocksOptions = {
  readonly writeBufferBytes: number
  readonly blockCacheBytes: number
  readonly openFilesMax: number
  readonly compression: boolean
}

/** An open database. Every call after `close` is refused; `close` waits for the calls under way. */
export class RocksDb {
  readonly folder: string
  readonly #native: Native
  #open = true
  #underWay = 0
  #idle: (() => void) | undefined

  private constructor(folder: string, native: Native) {
    this.folder = folder
    this.#native = native
  }

  /**
   * Opens the database in a folder, made if missing. DATA_LOCKED when another process, or this one, has it open;
   * DATA_UNWRITABLE when the folder cannot be made or written; DATA_FULL when its disk is full; DATA_FOREIGN when what
   * it holds is no such database.
   */
  static async open(folder: string, options: RocksOptions): Promise<RocksDb> {
    try {
      await mkdir(folder, { recursive: true })
    } catch (cause) {
      throw new MillraceError('DATA_UNWRITABLE', `cannot make the folder ${folder}: ${messageOf(cause)}`, { cause })
    }
    const native = new (RocksBinding as unknown as new (folder: string) => Native)(folder)
    const nativeOptions = {
      writeBufferSize: options.writeBufferBytes,
      cacheSize: options.blockCacheBytes,
      maxOpenFiles: options.openFilesMax,
      compression: options.compression,
    }
    await new Promise<void>((resolve, reject) => {
      native.open(nativeOptions, (cause) => (cause ? reject(openError(folder, cause)) : resolve()))
    })
    return new RocksDb(folder, native)
  }

  /** Values in the order of the keys; undefined where there is none. */
  getMany(keys: readonly RocksKey[]): Promise<(Buffer | undefined)[]> {
    return this.#call((done) => this.#native.getMany(keys, {}, done))
  }

  /**
   * Applies all writes, or none; a null value deletes. Once resolved it survives a kill of the process, and with
   * `sync` a loss of power. DATA_FULL or DATA_UNWRITABLE when the disk refuses: the database then takes no more writes.
   */
  async write(writes: readonly RocksWrite[], options: { readonly sync: boolean }): Promise<void> {
    if (writes.length === 0) return
    try {
      await this.#call<void>((done) => {
        // A chained batch takes each write as it comes; an array of operations costs half as much again to hand over.
        const batch = this.#native.batch()
        for (const { key, value } of writes) {
          if (value === null) batch.del(key)
          else batch.put(key, value)
        }
        batch.write({ sync: options.sync }, done)
      })
    } catch (cause) {
      if (cause instanceof InvariantError) throw cause
      throw writeError(this.folder, cause)
    }
  }

  /** Entries of a range in order, at most `limit`; stops early once the values read exceed `bytesMax`. */
  async read(
    range: RocksRange,
    limits: { limit: number; bytesMax?: number; reverse?: boolean },
  ): Promise<RocksEntry[]> {
    const { limit, bytesMax = Number.POSITIVE_INFINITY, reverse = false } = limits
    if (limit <= 0) return []
    return this.#call<RocksEntry[]>((done) => {
      const iterator = this.#native.iterator({
        gte: range.from,
        lt: range.to,
        limit,
        reverse,
        highWaterMark: Math.min(bytesMax, readAheadBytes),
      })
      const entries: RocksEntry[] = []
      let bytes = 0
      const end = (error: Error | null | undefined) => iterator.end((endError) => done(error ?? endError, entries))
      const next = () =>
        iterator.next((error, key, value) => {
          if (error || key === undefined || value === undefined) return end(error)
          entries.push({ key, value })
          bytes += value.length
          if (entries.length >= limit || bytes >= bytesMax) end(null)
          else next()
        })
      next()
    })
  }

  /** Deletes a range, key by key: not atomic, to be repeated after a crash. */
  clear(range: RocksRange): Promise<void> {
    return this.#call((done) => this.#native.clear({ gte: range.from, lt: range.to }, done))
  }

  /** Rewrites a range on disk, so that what was deleted in it takes no more space. */
  compact(range: RocksRange): Promise<void> {
    return this.#call((done) => this.#native.compactRange(range.from, range.to, done))
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    await new Promise<void>((resolve, reject) => {
      this.#native.close((error) => (error ? reject(error) : resolve()))
    })
  }

  /** Runs one native call. The binding crashes the process when it is called on a closed database, so none is let through. */
  #call<Value>(start: (done: (error: Error | null | undefined, value?: Value) => void) => void): Promise<Value> {
    if (!this.#open)
      return Promise.reject(new InvariantError(`broken invariant: ${this.folder} is open while it is used`))
    this.#underWay++
    return new Promise<Value>((resolve, reject) => {
      start((error, value) => {
        this.#underWay--
        if (error) reject(error)
        else resolve(value as Value)
        if (this.#underWay === 0) this.#idle?.()
      })
    })
  }
}

/** How much an iterator reads from the native side at a time. */
const readAheadBytes = 256 * 1024

type Done<Value = void> = (error: Error | null | undefined, value?: Value) => void

/** What we use of the binding; its published types leave half of it as `any`. */
type NativeBatch = {
  put(key: RocksKey, value: Buffer): unknown
  del(key: RocksKey): unknown
  write(options: { sync: boolean }, done: Done): void
}

type Native = {
  open(options: object, done: Done): void
  close(done: Done): void
  getMany(keys: readonly RocksKey[], options: object, done: Done<(Buffer | undefined)[]>): void
  batch(): NativeBatch
  clear(options: { gte: RocksKey; lt: RocksKey }, done: Done): void
  compactRange(from: RocksKey, to: RocksKey, done: Done): void
  iterator(options: object): {
    next(done: (error: Error | null | undefined, key?: Buffer, value?: Buffer) => void): void
    end(done: Done): void
  }
}

const fullDisk = /(No space left|quota exceeded)/i

function openError(folder: string, cause: Error): MillraceError {
  const { message } = cause
  if (/lock/i.test(message) && /(unavailable|No locks|hold by)/i.test(message)) {
    return new MillraceError('DATA_LOCKED', `the data folder ${folder} is in use by another process`, { cause })
  }
  if (fullDisk.test(message)) {
    return new MillraceError('DATA_FULL', `the disk of ${folder} is full: ${message}`, { cause })
  }
  if (/(Permission denied|Read-only|Not a directory)/i.test(message)) {
    return new MillraceError('DATA_UNWRITABLE', `cannot write to ${folder}: ${message}`, { cause })
  }
  return new MillraceError('DATA_FOREIGN', `the folder ${folder} cannot be opened: ${message}`, { cause })
}

function writeError(folder: string, cause: unknown): MillraceError {
  const message = messageOf(cause)
  const code = fullDisk.test(message) ? 'DATA_FULL' : 'DATA_UNWRITABLE'
  return new MillraceError(code, `a write to ${folder} failed, and nothing of it is visible: ${message}`, { cause })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
