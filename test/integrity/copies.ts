/** Copies of a task's store: of the process that ran it last, and of those that stood by. */
import { changelogOffsetOf, storedCheckpointOf } from '../../runtime/restore.ts'
import { rowKey } from '../../runtime/rows.ts'
import type { Store } from '../../runtime/store.ts'

/** A copy of a task's store, and how far in the changelog it is. */
export type Copy = {
  /** Whose it is. */
  readonly name: string
  readonly offset: number
  readonly checkpoint: Buffer | undefined
  readonly rows: ReadonlyMap<string, Buffer>
  /** What the timer index lists, as it is written there. */
  readonly timers: ReadonlySet<string>
}

export async function copyOf(name: string, store: Store): Promise<Copy> {
  const rows = new Map<string, Buffer>()
  for await (const [key, value] of entriesOf(store, rowKey(''))) rows.set(key.slice(rowKey('').length), value)
  const timers = new Set<string>()
  for await (const [key] of entriesOf(store, 't')) timers.add(key)
  const [offset, checkpoint] = await Promise.all([changelogOffsetOf(store), storedCheckpointOf(store)])
  return { name, offset: offset ?? 0, checkpoint, rows, timers }
}

async function* entriesOf(store: Store, prefix: string): AsyncGenerator<readonly [string, Buffer]> {
  const page = 1000
  const end = `${prefix}\u{10ffff}`
  for (let from = prefix; ; ) {
    const entries = await store.range(from, end, page)
    for (const { key, value } of entries) yield [key, value]
    if (entries.length < page) return
    from = `${entries.at(-1)!.key}\0`
  }
}
