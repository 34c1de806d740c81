import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tenantKeyFor } from './tenant-key.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-key-'))
})
afterEach(() => rm(folder, { recursive: true }))

const given = Buffer.alloc(32, 7)
const keyFor = (sources: { given?: Uint8Array; envName?: string; env?: NodeJS.ProcessEnv } = {}) =>
  tenantKeyFor(folder, { given: sources.given, envName: sources.envName ?? null, env: sources.env ?? {} })

test('a folder makes its key once, for its owner alone', async () => {
  const key = await keyFor()
  expect(key).toHaveLength(32)
  expect(await keyFor()).toEqual(key)
  expect((await stat(join(folder, 'tenant.key'))).mode & 0o777).toBe(0o600)
})

test('a key that is given stays with the folder', async () => {
  expect(await keyFor({ given })).toEqual(given)
  expect(await keyFor()).toEqual(given)
})

test('a key from the environment is not written down, and is asked for ever after', async () => {
  const env = { SHOP_KEY: 'a secret of the shop' }
  expect(await keyFor({ envName: 'SHOP_KEY', env })).toEqual(Buffer.from(env.SHOP_KEY))
  expect(await readdir(folder)).toEqual(['tenant.fingerprint'])
  expect(await readFile(join(folder, 'tenant.fingerprint'), 'utf8')).not.toContain('secret')
  await expect(keyFor({ envName: 'SHOP_KEY' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(keyFor({ given })).rejects.toThrow('was begun with another tenant key')
  expect(await readdir(folder)).toEqual(['tenant.fingerprint'])
})

test('a short secret is refused without being shown', async () => {
  await expect(keyFor({ envName: 'SHOP_KEY', env: { SHOP_KEY: 'short' } })).rejects.toThrow(
    'the environment variable SHOP_KEY holds 5 characters; a tenant key takes 16 or more',
  )
})
