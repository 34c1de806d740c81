import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RocksDb, type RocksOptions } from './rocksdb.ts'

const small: RocksOptions = { writeBufferBytes: 1 << 20, blockCacheBytes: 1 << 20, openFilesMax: 16, compression: true }

let folder: string
let db: RocksDb
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-rocks-'))
  db = await RocksDb.open(folder, small)
})
afterEach(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

const fill = (keys: readonly string[]) =>
  db.write(
    keys.map((key) => ({ key, value: Buffer.alloc(100) })),
    { sync: false },
  )
const keysIn = async (limits: { limit: number; bytesMax?: number; reverse?: boolean }) =>
  (await db.read({ from: 'b', to: 'e' }, limits)).map(({ key }) => key.toString())

test('a range is read from either end, within its limits', async () => {
  await fill(['a', 'b', 'c', 'd', 'e'])
  expect(await keysIn({ limit: 10 })).toEqual(['b', 'c', 'd'])
  expect(await keysIn({ limit: 2, reverse: true })).toEqual(['d', 'c'])
  expect(await keysIn({ limit: 10, bytesMax: 150 })).toEqual(['b', 'c'])
  expect(await keysIn({ limit: 0 })).toEqual([])
})

test('a range that is cleared and compacted is gone, its neighbours are not', async () => {
  await fill(['a', 'b', 'c', 'd', 'e'])
  await db.clear({ from: 'b', to: 'd' })
  await db.compact({ from: 'a', to: 'z' })
  expect((await db.getMany(['a', 'b', 'c', 'd'])).map((value) => value?.length)).toEqual([
    100,
    undefined,
    undefined,
    100,
  ])
})

test('closing waits for the calls under way, and refuses what comes after', async () => {
  await fill(['a', 'b'])
  const underWay = [
    db.getMany(['a']),
    db.read({ from: 'a', to: 'z' }, { limit: 9 }),
    fill(['c']),
    db.clear({ from: 'x', to: 'y' }),
  ]
  const closing = db.close()
  await expect(db.getMany(['a'])).rejects.toThrow('broken invariant')
  await Promise.all([...underWay, closing])
  db = await RocksDb.open(folder, small)
  expect(await keysIn({ limit: 9 })).toEqual(['b', 'c'])
})

test('a database that has lost its manifest is DATA_FOREIGN', async () => {
  await db.close()
  await writeFile(join(folder, 'CURRENT'), 'nonsense\n')
  await expect(RocksDb.open(folder, small)).rejects.toMatchObject({ code: 'DATA_FOREIGN' })
})
