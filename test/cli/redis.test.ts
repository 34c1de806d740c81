/** `start --redis` keeps profiles in a real Redis; `profile get --redis` reads them there while it runs. */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProfileAnswer } from '../../serving/profile-answer.ts'
import { hasRedisServer, OwnRedis } from '../../serving/redis/testing.ts'
import { millrace, millraceJson, Running, type StatusLine, temporaryFolder } from './millrace.ts'

type RedisSaid = { readonly state: string; readonly behind: number | null }

describe.skipIf(!hasRedisServer())('profiles in Redis', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let redis: OwnRedis
  beforeAll(async () => {
    folder = await temporaryFolder()
    redis = await OwnRedis.start()
  })
  afterAll(async () => {
    await redis.close()
    await folder.remove()
  })

  test('what Redis answers, by id, by a merged id, and by identifier, is what the topics tell; also after an outage', async () => {
    const data = folder.path
    await millraceJson(['demo', '--events', '3000', '--visitors', '600', '--seed', '7', '--data', data])
    const dumped = await millrace(['dump', 'identity.aliases', '--json', '--data', data])
    const merged = dumped.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).value.profileId as string)

    const running = new Running(['--no-demo', '--data', data, '--redis', redis.url])
    const upToDate = (line: StatusLine) =>
      isDeepStrictEqual(line['redis'], { state: 'writing', reason: null, behind: 0 })
    await running.told(upToDate)
    // while it runs, and has the folder to itself
    const early = await millraceJson<ProfileAnswer>(['profile', 'get', merged[0]!, '--redis', redis.url])
    expect(early.mergedFrom[0]).toBe(merged[0])
    await redis.kill()
    const { upMs } = await running.told((line) => (line['redis'] as RedisSaid | undefined)?.state === 'waiting')
    await redis.start({ empty: true })
    await running.told((line) => Number(line['upMs']) > Number(upMs) && upToDate(line))
    const { status, last } = await running.end()
    expect({ status, redis: last['redis'] }).toEqual({
      status: 0,
      redis: { state: 'writing', reason: null, behind: 0 },
    })

    expect(merged.length).toBeGreaterThan(3)
    const compared = async (wanted: string): Promise<ProfileAnswer> => {
      const get = ['profile', 'get', wanted, '--data', data]
      const fromTopics = await millraceJson<ProfileAnswer>(get)
      const fromRedis = await millraceJson<ProfileAnswer>([...get, '--redis', redis.url])
      expect(fromRedis).toEqual(fromTopics)
      return fromRedis
    }
    for (const id of merged.slice(0, 3)) {
      const { mergedFrom, identifiers, profileId } = await compared(id)
      expect(mergedFrom[0]).toBe(id)
      const { namespace, value } = identifiers[0]!
      expect((await compared(`${namespace}:${value}`)).profileId).toBe(profileId)
    }

    const text = (more: readonly string[]) => millrace(['profile', 'get', merged[0]!, '--data', data, ...more])
    expect((await text(['--redis', redis.url])).stdout).toBe((await text([])).stdout)
    const nobody = await millrace(['profile', 'get', 'email:nobody@example.com', '--data', data, '--redis', redis.url])
    expect(nobody).toMatchObject({ status: 1, stderr: expect.stringContaining('NOT_FOUND') })
  }, 120_000)

  test('without Redis: a sentence, and what to do; its writer only waits', async () => {
    const get = ['profile', 'get', 'x', '--redis']
    const away = await millrace([...get, 'redis://:secret@127.0.0.1:1'])
    expect(away).toMatchObject({ status: 1, stderr: expect.stringContaining('REDIS_UNAVAILABLE') })
    expect(away.stderr).not.toContain('secret')
    const foreign = await millrace([...get, 'http://127.0.0.1'])
    expect(foreign).toMatchObject({ status: 2, stderr: expect.stringContaining('redis://host:6379') })

    const running = new Running(['--data', `${folder.path}/waiting`, '--redis', 'redis://127.0.0.1:1'])
    await running.told((line) => Number(line['profiles']) > 0)
    const { status, last } = await running.end()
    expect({ status, state: (last['redis'] as RedisSaid).state }).toEqual({ status: 0, state: 'waiting' })
  }, 60_000)
})
