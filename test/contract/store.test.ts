import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { storeContract } from './store.ts'

storeContract('memory', async () => {
  const stores = new MemoryStores()
  return { reopen: () => stores, dispose: async () => {} }
})

storeContract('rocksdb', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-stores-'))
  return { reopen: () => new RocksStores(folder), dispose: () => rm(folder, { recursive: true }) }
})

test('rocksdb: a store that is open is not opened again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-stores-'))
  const stores = new RocksStores(folder)
  await stores.open('profile-0')
  await expect(stores.open('profile-0')).rejects.toMatchObject({ code: 'DATA_LOCKED' })
  await stores.close()
  await rm(folder, { recursive: true })
})

test('rocksdb: a folder that cannot be made is said to be unwritable', async () => {
  await expect(new RocksStores('/dev/null').open('profile-0')).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' })
})

test('memory: a snapshot gives a stale folder back, a fault applies nothing', async () => {
  let fail = false
  const stores = new MemoryStores({
    faults: {
      beforeWrite: (task) => {
        if (fail) throw new Error(`killed ${task}`)
      },
    },
  })
  const store = await stores.open('profile-0')
  await store.write([{ key: 'a', value: Buffer.from('1') }])
  const stale = stores.snapshot('profile-0')
  await store.write([{ key: 'a', value: Buffer.from('2') }])
  fail = true
  await expect(store.write([{ key: 'a', value: Buffer.from('3') }])).rejects.toThrow('killed profile-0')
  expect(String((await store.getMany(['a']))[0])).toBe('2')
  stores.replace('profile-0', stale)
  expect(String((await (await stores.open('profile-0')).getMany(['a']))[0])).toBe('1')
})
