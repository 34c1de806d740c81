/** Writing to Redis with a version check: whatever comes in whatever order, from several writers at once. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { redisForTests } from '../../test/parts.ts'
import { RedisConnection } from './connection.ts'
import { type Entry, entriesOf, entryTopics } from './entry.ts'
import { entryKey, everyKeyPattern } from './keys.ts'
import { ProfileCache } from './profile-cache.ts'
import { codec, differences, ProfileLog, partition, withRedis } from './testing.ts'

const url = await redisForTests()

describe.skipIf(!url)('profile cache', () => {
  let connections: readonly RedisConnection[]
  const tenants: string[] = []
  beforeAll(async () => {
    connections = await Promise.all([RedisConnection.open(url!), RedisConnection.open(url!)])
  })
  afterAll(async () => {
    for (const tenant of tenants) await new ProfileCache(connections[0]!, tenant).clear()
    for (const connection of connections) connection.close()
  })
  const newTenant = (): string => {
    const tenant = `cache-${randomUUID()}`
    tenants.push(tenant)
    return tenant
  }

  const write = fc.record({
    profileId: fc.constantFrom('p1', 'p2', 'p3'),
    kind: fc.constantFrom('profile', 'profile', 'profile', 'erase', 'alias', 'memberships'),
    identifiers: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  })
  type Write = typeof write extends fc.Arbitrary<infer T> ? T : never

  async function historyOf(tenant: string, writes: readonly Write[]): Promise<{ log: ProfileLog; entries: Entry[] }> {
    const log = await ProfileLog.inMemory(tenant)
    for (const [n, { profileId, kind, identifiers }] of writes.entries()) {
      if (kind === 'profile') await log.profile(tenant, profileId, n, identifiers)
      else if (kind === 'erase') await log.erase(tenant, profileId)
      else if (kind === 'alias') await log.alias(tenant, profileId, `survivor-${n}`)
      else await log.memberships(tenant, profileId, identifiers)
    }
    // one record at a time, so that what a later one replaces is written too
    const entries = entryTopics.flatMap((source) =>
      log.log.records(source.topic, partition).flatMap((record) => entriesOf(source, tenant, [record], codec)),
    )
    return { log, entries }
  }

  test('two writers, each with everything in an order of its own and some of it twice, leave the last of each key; no version ever falls', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(write, { maxLength: 25 }),
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 5 }),
        async (writes, choices, batchSize) => {
          const tenant = newTenant()
          const { log, entries } = await historyOf(tenant, writes)
          const shuffled = (): Entry[] =>
            [...entries, ...entries.filter(() => choices.next().value! % 3 === 0)]
              .map((entry) => ({ entry, at: choices.next().value! }))
              .sort((a, b) => a.at - b.at)
              .map(({ entry }) => entry)
          const deliver = async (connection: RedisConnection): Promise<void> => {
            const cache = new ProfileCache(connection, tenant)
            const order = shuffled()
            for (let at = 0; at < order.length; at += batchSize) await cache.write(order.slice(at, at + batchSize))
          }
          let watching = true
          const watched = watchVersions(tenant, () => watching)
          await Promise.all(connections.map(deliver))
          watching = false
          expect(await watched).toEqual([])
          expect(await differences(url!, log, tenant)).toEqual([])
        },
      ),
      { numRuns: 60 },
    ))

  /** The keys whose version was seen to fall. */
  function watchVersions(tenant: string, watching: () => boolean): Promise<readonly string[]> {
    return withRedis(url!, async (redis) => {
      const highest = new Map<string, number>()
      const fallen: string[] = []
      while (watching()) {
        for (const key of await redis.keys(everyKeyPattern(tenant))) {
          if (key.includes(':identifier:')) continue
          const offset = Number(await redis.hget(key, 'offset'))
          if (offset < (highest.get(key) ?? 0)) fallen.push(key)
          highest.set(key, offset)
        }
      }
      return fallen
    })
  }

  const entry = (offset: number, value: string | null): Entry => ({
    kind: 'profile',
    profileId: 'p',
    offset,
    value,
    identifiers: [],
  })

  test('what was erased does not come back with a slower writer; its version stays for a while', async () => {
    const tenant = newTenant()
    const cache = new ProfileCache(connections[0]!, tenant)
    expect(await cache.write([entry(5, '{}'), entry(7, null), entry(6, '{}')])).toBe(2)
    expect(await cache.byId('p')).toBeUndefined()
    const seconds = await withRedis(url!, (redis) => redis.ttl(entryKey(tenant, 'profile', 'p')))
    expect(seconds).toBeGreaterThan(3600)
    expect(await cache.write([entry(8, '{}')])).toBe(1)
    expect(await withRedis(url!, (redis) => redis.ttl(entryKey(tenant, 'profile', 'p')))).toBe(-1)
  })

  test('a replay that was promoted wins over what came before it, at whatever offset it stands', async () => {
    const tenant = newTenant()
    const before = new ProfileCache(connections[0]!, tenant, 0)
    const promoted = new ProfileCache(connections[1]!, tenant, 1)
    expect(await before.write([entry(900, '{"events":1}')])).toBe(1)
    expect(await promoted.write([entry(3, '{"events":2}')])).toBe(1)
    expect(await before.write([entry(901, '{"events":3}')])).toBe(0)
    expect(await promoted.byId('p')).toMatchObject({ events: 2 })
  })

  test('aliases are followed to their end, and say where they led through', async () => {
    const tenant = newTenant()
    const log = await ProfileLog.inMemory(tenant)
    await log.profile(tenant, 'c', 3, ['x'])
    await log.alias(tenant, 'a', 'b')
    await log.alias(tenant, 'b', 'c')
    await log.memberships(tenant, 'c', ['shoes', 'cart'])
    const cache = new ProfileCache(connections[0]!, tenant)
    for (const source of entryTopics)
      await cache.write(entriesOf(source, tenant, log.log.records(source.topic, partition), codec))
    const memberships = [
      { segmentId: 'cart', sinceMs: 1_000, untilMs: 2_000 },
      { segmentId: 'shoes', sinceMs: 1_000, untilMs: 2_000 },
    ]
    expect(await cache.byId('a')).toMatchObject({ profileId: 'c', events: 3, mergedFrom: ['a', 'b'], memberships })
    expect(await cache.byId('c')).toMatchObject({ profileId: 'c', mergedFrom: [] })
    expect(await cache.withIdentifier('email', 'x')).toEqual(['c'])
    expect(await cache.withIdentifier('email', 'y')).toEqual([])
  })

  test('a position moves on and never back; it begins anew when Redis has lost it', async () => {
    const tenant = newTenant()
    const cache = new ProfileCache(connections[0]!, tenant)
    const place = { topic: 'profiles', partition: 0 }
    const ends = { origin: 'log', start: 2, stable: 50 }
    expect(await cache.freshness()).toBeNull()
    expect(await cache.takeUp(place, ends)).toBe(2)
    expect(await cache.advance(place, { from: 2, to: 30, stable: 50 })).toBe(30)
    expect(await cache.advance(place, { from: 2, to: 10, stable: 50 })).toBe(30) // another writer was further on
    expect(await cache.advance(place, { from: 40, to: 45, stable: 50 })).toBe(30) // Redis stands where it stood earlier
    expect(await cache.freshness()).toMatchObject({ behind: 20 })
    await expect(cache.takeUp(place, { ...ends, origin: 'another log' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
    await cache.clear()
    expect(await cache.advance(place, { from: 30, to: 31, stable: 50 })).toBeNull()
    expect(await cache.takeUp(place, ends)).toBe(2)
  })
})

test('an address that is none, or where nobody answers, is told in a sentence without its password', async () => {
  for (const wrong of ['localhost:6379', 'http://localhost', 'redis://'])
    await expect(RedisConnection.open(wrong)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const error = await RedisConnection.open('redis://:secret@127.0.0.1:1').catch((error: Error) => error)
  expect(error).toMatchObject({ code: 'REDIS_UNAVAILABLE', message: expect.stringContaining('127.0.0.1:1') })
  expect((error as Error).message).not.toContain('secret')
})
