/** How fast profiles go from the log to Redis: 100,000 of them with three identifiers each, in three partitions, once new and once changed. */
import { randomUUID } from 'node:crypto'
import { MemoryLog } from '../runtime/memory/log.ts'
import type { AddressedRecord } from '../runtime/record.ts'
import { definitionsTopic } from '../runtime/topology.ts'
import { RedisConnection } from '../serving/redis/connection.ts'
import { entryTopics } from '../serving/redis/entry.ts'
import { ProfileCache } from '../serving/redis/profile-cache.ts'
import { ProfileWriter } from '../serving/redis/profile-writer.ts'
import { codec, profileOf } from '../serving/redis/testing.ts'

const profiles = 100_000
const partitions = 3
const traits = Object.fromEntries(
  Array.from({ length: 8 }, (_, n) => [
    `trait_${n}`,
    { value: `value ${n}`, eventTimeMs: 1_700_000_000_000, source: 'web', eventId: randomUUID() },
  ]),
)

export type RedisFigures = {
  readonly newPerSecond: number
  readonly changedPerSecond: number
  /** Of this process, reading and decoding included; Redis has its own. */
  readonly processorMicrosPerProfile: number
  readonly jsonBytes: number
}

export async function benchRedis(redisUrl: string): Promise<RedisFigures> {
  const tenant = `bench-${randomUUID()}`
  const log = new MemoryLog()
  const topics = [...entryTopics.map(({ topic }) => topic), definitionsTopic]
  await log.createTopics(topics.map((name) => ({ name, partitions, cleanup: 'compact', retentionMs: null })))
  await log.append([
    { topic: definitionsTopic, partition: 0, kind: 'definition', key: tenant, value: null, timestampMs: 1 },
  ])
  const writer = new ProfileWriter({ log, codec, tenant, redisUrl, generation: 0, topics: await log.topics() })
  await writer.follow([0, 1, 2])
  try {
    const write = async (round: number): Promise<number> => {
      const records = Array.from({ length: profiles }, (_, n) => profileRecord(tenant, n, round))
      return seconds(async () => {
        await log.append(records)
        await writer.caughtUp(AbortSignal.timeout(120_000))
      })
    }
    const processor = process.cpuUsage()
    const fresh = await write(1)
    const changed = await write(2)
    const { user, system } = process.cpuUsage(processor)
    return {
      newPerSecond: Math.round(profiles / fresh),
      changedPerSecond: Math.round(profiles / changed),
      processorMicrosPerProfile: Math.round((user + system) / (2 * profiles)),
      jsonBytes: JSON.stringify({ ...profileOf(tenant, idOf(0), 1, identifiersOf(0)), traits }).length,
    }
  } finally {
    await writer.close()
    const redis = await RedisConnection.open(redisUrl)
    await new ProfileCache(redis, tenant).clear()
    redis.close()
  }
}

const idOf = (n: number): string => `00000000-0000-8000-8000-${String(n).padStart(12, '0')}`
const identifiersOf = (n: number): readonly string[] => ['user', 'mail', 'device'].map((name) => `${name}-${n}`)

function profileRecord(tenant: string, n: number, round: number): AddressedRecord {
  const profile = { ...profileOf(tenant, idOf(n), round, identifiersOf(n)), traits }
  return {
    topic: 'profiles',
    partition: n % partitions,
    kind: 'profile',
    key: `${tenant}/${profile.profileId}`,
    value: codec.encode('Profile', profile),
    timestampMs: 1,
  }
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}
