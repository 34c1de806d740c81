/** Keeping a real Redis up with a log, through whatever happens to Redis. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GenerationLog } from '../../runtime/generation-log.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { Log } from '../../runtime/log.ts'
import { kafkaForTests } from '../../test/parts.ts'
import { RedisConnection } from './connection.ts'
import type { CacheObserver } from './follower.ts'
import { positionsKey } from './keys.ts'
import { ProfileCache } from './profile-cache.ts'
import { ProfileWriter } from './profile-writer.ts'
import {
  actualContent,
  codec,
  differences,
  hasRedisServer,
  OwnRedis,
  ProfileLog,
  partition,
  profileOf,
  until,
  withRedis,
} from './testing.ts'

const partitions = [partition]
const brokers = await kafkaForTests()

describe.skipIf(!hasRedisServer())('profile writer', () => {
  const tenant = 'shop'
  let redis: OwnRedis
  let log: ProfileLog
  let writers: ProfileWriter[]
  beforeEach(async () => {
    redis = await OwnRedis.start()
    log = await ProfileLog.inMemory(tenant)
    writers = []
  })
  afterEach(async () => {
    for (const writer of writers) await writer.close()
    await redis.close()
  })

  async function newWriter(of: ProfileLog<Log> = log, observer: CacheObserver = {}): Promise<ProfileWriter> {
    const topics = await of.log.topics()
    const parts = { log: of.log, codec, tenant, redisUrl: redis.url, generation: 0, topics }
    const writer = new ProfileWriter({ ...parts, observer })
    writers.push(writer)
    await writer.follow(partitions)
    return writer
  }

  const caughtUp = (writer: ProfileWriter): Promise<void> => writer.caughtUp(AbortSignal.timeout(20_000))

  async function expectEqual(): Promise<void> {
    expect(await differences(redis.url, log, tenant)).toEqual([])
  }
  /** For a loss that nobody has noticed yet. */
  const untilEqual = (): Promise<void> => until(async () => (await differences(redis.url, log, tenant)).length === 0)

  /** Profiles that come, change their identifiers, merge and go. */
  async function live(from: number, to: number, into: ProfileLog<Log> = log): Promise<void> {
    for (let n = from; n < to; n++) {
      const id = `p${n % 97}`
      await into.profile(tenant, id, n, [`h${n % 31}`, `own-${n % 97}`])
      await into.memberships(tenant, id, n % 3 === 0 ? [] : ['shoes'])
      if (n % 7 === 0) await into.erase(tenant, `p${(n + 5) % 97}`)
      if (n % 11 === 0) await into.alias(tenant, `lost-${n}`, id)
    }
  }

  test('what stands in the log and what comes is in Redis; records of other tenants are not', async () => {
    await live(0, 3000)
    await log.profile('another', 'theirs', 1, ['x'])
    const writer = await newWriter()
    await caughtUp(writer)
    await expectEqual()
    await live(3000, 3300)
    await caughtUp(writer)
    await expectEqual()
    expect(writer.status).toMatchObject({ state: 'writing', reason: null, behind: 0 })
    expect(await actualContent(redis.url, 'another')).toEqual({})
  })

  test('killed and back with what it had: caught up from there', async () => {
    const writer = await newWriter()
    await live(0, 500)
    await caughtUp(writer)
    await redis.kill()
    await live(500, 1500)
    await until(() => writer.status.state === 'waiting' && (writer.status.behind ?? 0) >= 1000)
    expect(writer.status.reason).toContain('Redis at 127.0.0.1')
    await redis.start({ empty: false })
    await caughtUp(writer)
    await expectEqual()
    await until(() => writer.status.state === 'writing' && writer.status.reason === null)
  }, 60_000)

  test('killed in the middle of writing, again and again', async () => {
    const writer = await newWriter()
    for (let round = 0; round < 4; round++) {
      const writing = live(round * 1500, (round + 1) * 1500)
      await until(() => writer.status.state === 'writing')
      await redis.kill()
      await writing
      await redis.start({ empty: false })
    }
    await caughtUp(writer)
    await expectEqual()
  }, 60_000)

  test('back with nothing: all is written again, though nothing new comes', async () => {
    const writer = await newWriter()
    await live(0, 800)
    await caughtUp(writer)
    await redis.kill()
    await redis.start({ empty: true })
    await untilEqual()
    await caughtUp(writer)
    await expectEqual()
  }, 60_000)

  test('flushed while connected, or set back to an older snapshot: noticed within a heartbeat', async () => {
    const writer = await newWriter()
    await live(0, 300)
    await caughtUp(writer)
    const snapshot = await withRedis(redis.url, async (client) => {
      const keys = await client.keys('*')
      return Promise.all(keys.map(async (key) => [key, await client.dumpBuffer(key)] as const))
    })
    await live(300, 600)
    await caughtUp(writer)
    await withRedis(redis.url, async (client) => {
      const restoring = client.multi().flushall()
      for (const [key, dump] of snapshot) restoring.restore(key, 0, dump!)
      await restoring.exec()
    })
    expect(await differences(redis.url, log, tenant)).not.toEqual([])
    await untilEqual()
    await withRedis(redis.url, (client) => client.flushall())
    await untilEqual()
  }, 60_000)

  test('a Redis that hangs is a Redis that is away; nobody waits for it for ever', async () => {
    const writer = await newWriter()
    await live(0, 200)
    await caughtUp(writer)
    redis.signal('SIGSTOP')
    await live(200, 400)
    await until(() => writer.status.state === 'waiting')
    redis.signal('SIGCONT')
    await caughtUp(writer)
    await expectEqual()
  }, 60_000)

  test('a Redis that is full refuses some of a batch: all of it is written once there is room', async () => {
    const writer = await newWriter()
    await live(0, 300)
    await caughtUp(writer)
    await withRedis(redis.url, (client) => client.config('SET', 'maxmemory', '1mb'))
    await live(300, 600)
    await until(() => writer.status.reason?.includes('OOM') ?? false)
    await withRedis(redis.url, (client) => client.config('SET', 'maxmemory', '0'))
    await caughtUp(writer)
    await expectEqual()
  })

  test('profiles nearly as large as a record may be, and their thousand identifiers', async () => {
    const identifiers = (from: number) => Array.from({ length: 1_500 }, (_, n) => `${from + n}`.padStart(40, 'x'))
    for (let n = 0; n < 40; n++) await log.profile(tenant, `large-${n % 20}`, n, identifiers(n * 700))
    const writer = await newWriter()
    await caughtUp(writer)
    await expectEqual()
  }, 60_000)

  test('two writers at once, one of which comes later, leave what one alone would', async () => {
    const first = await newWriter()
    const writing = live(0, 4000)
    const second = await newWriter()
    await writing
    await Promise.all([first, second].map(caughtUp))
    await expectEqual()
  })

  test('without Redis at the start, it waits and comes after', async () => {
    await redis.kill()
    await live(0, 200)
    const writer = await newWriter()
    await until(() => writer.status.state === 'waiting')
    expect(writer.status.behind).toBeNull()
    await redis.start({ empty: false })
    await caughtUp(writer)
    await expectEqual()
  })

  /** As if nobody had written for so many hours. */
  const silence = (hours: number): Promise<void> =>
    withRedis(redis.url, async (client) => {
      const key = positionsKey(tenant)
      for (const [field, position] of Object.entries(await client.hgetall(key))) {
        const [offset, stable, atMs] = position.split(' ')
        if (atMs) await client.hset(key, field, `${offset} ${stable} ${Number(atMs) - hours * 3_600_000}`)
      }
    })

  test('a tombstone that compaction has dropped meanwhile: after half a day of silence all is written anew', async () => {
    const before = await newWriter()
    await live(0, 100)
    await log.profile(tenant, 'gone', 1, ['gone'])
    await caughtUp(before)
    await before.close()
    await log.erase(tenant, 'gone')
    log.log.compact('profiles', 0, 0)
    await silence(13)
    expect(await actualContent(redis.url, tenant)).toHaveProperty('profile:gone')
    await newWriter()
    await untilEqual()
  })

  test('so it is when the writer itself slept, or Redis was away, for so long', async () => {
    const begun: number[] = []
    const writer = await newWriter(log, { takenUp: (_place, offset) => begun.push(offset) })
    await live(0, 100)
    await caughtUp(writer)
    begun.length = 0
    await silence(13)
    await until(() => begun.length >= 3)
    expect(begun).toEqual(begun.map(() => 0))
    await untilEqual()
  })

  test('a Redis that serves another log is left alone, and a person told; once that is mended it goes on', async () => {
    await live(0, 50)
    await caughtUp(await newWriter())
    const content = await actualContent(redis.url, tenant)
    const other = await ProfileLog.inMemory(`${tenant}-${randomUUID()}`)
    await other.profile(tenant, 'stranger', 1, [])
    const writer = await newWriter(other)
    await until(() => writer.status.reason?.includes('from another log') ?? false)
    expect(await actualContent(redis.url, tenant)).toEqual(content)
    for (const each of writers) if (each !== writer) await each.close()
    await withRedis(redis.url, (client) => client.flushall())
    await caughtUp(writer)
    expect(Object.keys(await actualContent(redis.url, tenant))).toEqual(['profile:stranger'])
  })

  test.skipIf(!brokers)(
    'from a Kafka cluster, over the markers of transactions, and after an outage',
    async () => {
      const kafka = await KafkaLog.open({ brokers: brokers!, prefix: `redis-test-${randomUUID()}.` })
      try {
        const shop = await ProfileLog.on(kafka, tenant)
        const untilThere = async (writer: ProfileWriter): Promise<void> => {
          await caughtUp(writer)
          expect(await differences(redis.url, shop, tenant)).toEqual([])
        }
        const writer = await newWriter(shop)
        await live(0, 100, shop)
        await untilThere(writer)
        await redis.kill()
        const task = await kafka.writer('profile/0')
        const value = codec.encode('Profile', profileOf(tenant, 'committed', 1, ['x']))
        const key = `${tenant}/committed`
        const record = { topic: 'profiles', partition, kind: 'profile', key, value, timestampMs: 1 }
        await task.commit({ outputs: [record] })
        await task.close()
        await redis.start({ empty: false })
        await untilThere(writer)
        await writer.close()
      } finally {
        await kafka.close()
      }
    },
    60_000,
  )

  test('another generation wins, whatever its offsets are and over however many tasks', async () => {
    await live(0, 100)
    await log.memberships(tenant, 'p1', ['shoes'])
    const former = await newWriter()
    await caughtUp(former)
    const own = new GenerationLog(log.log, 'replay.next.', new Set(['profile.changelog']))
    const changelog = { name: 'profile.changelog', partitions: 2, cleanup: 'compact' as const, retentionMs: null }
    await own.createTopics([changelog])
    const { records } = await log.log.fetch(changelog.name, partition, 0, { maxRecords: 1, maxBytes: 1 })
    const key = `${tenant}/p1`
    await own.append([{ ...records[0]!, key, topic: changelog.name, partition: 1 }]) // who is in no segment
    const parts = { log: own, codec, tenant, redisUrl: redis.url, generation: 1, topics: await own.topics() }
    const writer = new ProfileWriter(parts)
    writers.push(writer)
    await writer.follow([0, 1])
    await caughtUp(writer)
    const content = await actualContent(redis.url, tenant)
    expect([content['memberships:p1'], content['profile:p1']]).toEqual([undefined, expect.any(String)])
    await log.profile(tenant, 'p1', 1000, [])
    await caughtUp(writer)
    expect(String((await actualContent(redis.url, tenant))['profile:p1'])).toContain('"events":1000')
  })

  test('how far behind an answer may be is told to those who read', async () => {
    const writer = await newWriter()
    await live(0, 100)
    await caughtUp(writer)
    await writer.close()
    await withRedis(redis.url, (client) =>
      client.hset(positionsKey(tenant), '0/profiles/0', `40 100 ${Date.now() - 60_000}`),
    )
    const reader = await RedisConnection.open(redis.url)
    const freshness = await new ProfileCache(reader, tenant).freshness()
    reader.close()
    expect(freshness?.behind).toBe(60)
    expect(freshness?.silentMs).toBeGreaterThan(50_000)
  })
})
