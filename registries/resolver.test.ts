import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Question } from '../runtime/answers.ts'
import type { Registries, Repository } from '../schemas/definitions.ts'
import { missingTtlMs, Resolver } from './resolver.ts'
import { TestRegistry } from './testing.ts'

let folder: string
let central: TestRegistry
let server: TestRegistry
let nowMs: number
const env = { IGLU_KEY: '7f9e1d7a-0000-4000-8000-000000000000' }
const key = 'iglu:com.acme/order/jsonschema/1-0-0'

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-iglu-'))
  central = await TestRegistry.open()
  server = await TestRegistry.open(env.IGLU_KEY)
  nowMs = 1_000_000
})

afterEach(async () => {
  await central.close()
  await server.close()
  await rm(folder, { recursive: true })
})

const resolverWith = (more: object = {}): Resolver =>
  new Resolver({ workspaceFolder: folder, env, nowMs: () => nowMs, timeoutMs: 300, attempts: 2, ...more })

const repository = (name: string, at: Repository['at'], more: Partial<Repository> = {}): Repository => ({
  name,
  priority: 0,
  vendorPrefixes: [],
  at,
  ...more,
})
const centralRepository = (more: Partial<Repository> = {}) =>
  repository('central', { uri: central.uri, apiKeyEnv: null }, more)
const serverRepository = (more: Partial<Repository> = {}) =>
  repository('server', { uri: server.uri, apiKeyEnv: 'IGLU_KEY' }, more)
const registries = (...repositories: Repository[]): Registries => ({ cacheTtlMs: null, repositories, refresh: 0 })

const question = (id: string, of: Registries, atMs = nowMs): Question => ({
  scope: { tenant: 'shop', hash: 'scope', settings: JSON.stringify(of) },
  id,
  atMs,
  isKnown: false,
})

async function write(path: string, schema: object): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), JSON.stringify(schema))
}

describe('a schema is found', () => {
  test('in a static registry, in an Iglu Server with its key, and in a folder as Iglu Central has it', async () => {
    central.put(key, { type: 'object' })
    server.put('iglu:com.acme/private/jsonschema/2-1-3', { type: 'array' })
    await write('central/schemas/com.acme/local/jsonschema/1-0-0', { type: 'null' })
    const of = registries(centralRepository(), serverRepository(), repository('folder', { folder: 'central' }))
    const from = async (uri: string) => (await resolverWith().resolve(of, uri)).found?.repository
    expect(await from(key)).toBe('central')
    expect(await from('iglu:com.acme/private/jsonschema/2-1-3')).toBe('server')
    expect(await from('iglu:com.acme/local/jsonschema/1-0-0')).toBe('folder')
    expect(await from('iglu:com.acme/none/jsonschema/1-0-0')).toBeUndefined()
  })

  test('by the vendor’s prefix first, then in folders, then by priority', async () => {
    for (const registry of [central, server]) registry.put(key, {})
    await write('local/com.acme/order/jsonschema/1-0-0', {})
    const local = repository('local', { folder: 'local' }, { priority: 9 })
    const first = async (...of: Repository[]) =>
      (await resolverWith().resolve(registries(...of), key)).found?.repository
    expect(await first(centralRepository({ priority: 2 }), serverRepository({ priority: 1 }))).toBe('server')
    expect(await first(centralRepository({ priority: 1 }), local)).toBe('local')
    expect(await first(local, centralRepository({ priority: 5, vendorPrefixes: ['com.ac'] }))).toBe('central')
    expect(await first(local, centralRepository({ priority: 5, vendorPrefixes: ['org'] }))).toBe('local')
  })

  test('in the version that supersedes it, along a chain, and never in an earlier one or round in a circle', async () => {
    const at = (version: string) => `iglu:com.acme/order/jsonschema/${version}`
    central.put(at('1-0-0'), { $supersededBy: '1-0-1' })
    central.put(at('1-0-1'), { $supersededBy: '1-0-2' })
    central.put(at('1-0-2'), { $supersededBy: '1-0-0' })
    expect((await resolverWith().resolve(registries(centralRepository()), at('1-0-0'))).found?.uri).toBe(at('1-0-2'))
  })
})

describe('a registry that is out', () => {
  const states: (number | 'hang')[] = [500, 502, 503, 429, 'hang']
  test.each(states)(
    'with %s: nothing is said of what it may have, and of what another has all the same',
    async (trouble) => {
      server.trouble = trouble
      central.put(key, {})
      const of = registries(serverRepository(), centralRepository({ priority: 1 }))
      expect((await resolverWith().resolve(of, key)).found?.repository).toBe('central')
      const other = 'iglu:com.acme/other/jsonschema/1-0-0'
      await expect(resolverWith().resolve(of, other)).rejects.toMatchObject({
        code: 'IGLU_UNAVAILABLE',
        retryable: true,
      })
      const { records, failure } = await resolverWith().ask([question(other, of), question(key, of)])
      expect(records.map(({ kind, id }) => [kind, id])).toEqual([
        ['schema', key],
        ['answer', key],
      ])
      expect(failure).toMatchObject({ code: 'IGLU_UNAVAILABLE' })
    },
  )

  test('is asked again a few times first', async () => {
    central.trouble = 503
    await expect(resolverWith({ attempts: 3 }).resolve(registries(centralRepository()), key)).rejects.toThrow('503')
    expect(central.asked).toHaveLength(3)
  })

  test('or does not listen, or refuses the key, or is a folder that is not there', async () => {
    const gone = registries(repository('gone', { uri: 'http://127.0.0.1:9', apiKeyEnv: null }))
    await expect(resolverWith().resolve(gone, key)).rejects.toMatchObject({ code: 'IGLU_UNAVAILABLE' })
    const wrong = resolverWith({ env: { IGLU_KEY: 'another' } })
    await expect(wrong.resolve(registries(serverRepository()), key)).rejects.toThrow('refuses the key (403)')
    const folderless = registries(repository('folder', { folder: 'nowhere' }))
    await expect(resolverWith().resolve(folderless, key)).rejects.toThrow('there is no folder')
    const keyless = resolverWith({ env: {} })
    await expect(keyless.resolve(registries(serverRepository()), key)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

test('what is no schema is not taken for one, nor is what a store without listing refuses', async () => {
  central.schemas.set('com.acme/order/jsonschema/1-0-0', '<html>')
  const of = registries(centralRepository())
  expect(await resolverWith().resolve(of, key)).toEqual({
    found: null,
    failures: [{ repository: 'central', message: 'answered no JSON' }],
  })
  central.schemas.set('com.acme/order/jsonschema/1-0-0', `{"a":"${'x'.repeat(300_000)}"}`)
  expect((await resolverWith().resolve(of, key)).failures[0]?.message).toContain('200000 bytes')
  central.trouble = 403
  expect((await resolverWith().resolve(of, key)).failures).toEqual([{ repository: 'central', message: 'answered 403' }])
})

test('answers hold for ever or for the time to live; that there is none for ten seconds; both from now or from the record', async () => {
  central.put(key, {})
  const missing = 'iglu:com.acme/none/jsonschema/1-0-0'
  const untilOf = async (id: string, of: Registries, atMs?: number) => {
    const { records } = await resolverWith().ask([question(id, of, atMs)])
    return JSON.parse(records.at(-1)!.body).untilMs
  }
  const of = registries(centralRepository())
  expect(await untilOf(key, of)).toBe(Number.MAX_SAFE_INTEGER)
  expect(await untilOf(key, { ...of, cacheTtlMs: 60_000 })).toBe(nowMs + 60_000)
  expect(await untilOf(missing, of)).toBe(nowMs + missingTtlMs)
  expect(await untilOf(missing, of, nowMs - 5_000)).toBe(nowMs + missingTtlMs)
  expect(await untilOf(missing, of, nowMs + 5_000)).toBe(nowMs + 5_000 + missingTtlMs)
})

test('a stranger who asks for ever new schemas has a few hundred looked up in ten seconds', async () => {
  const of = registries(centralRepository())
  const resolver = resolverWith()
  const ask = async (from: number) => {
    const questions = Array.from({ length: 1_000 }, (_, at) => question(`iglu:x/y${from + at}/jsonschema/1-0-0`, of))
    return (await resolver.ask(questions)).records
  }
  const records = await ask(0)
  expect(central.asked.length).toBeLessThan(250)
  expect(records.at(-1)).toMatchObject({ kind: 'answer', id: '*' })
  nowMs += missingTtlMs + 1
  await ask(1_000)
  expect(central.asked.length).toBeGreaterThan(300)
})
