/** For tests: a Redis of one's own, a log with profiles in it, and what Redis should hold of that. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { MemoryLog } from '../../runtime/memory/log.ts'
import type { StoredRecord } from '../../runtime/record.ts'
import { emptyRow, encodeRow, Section, withSection } from '../../runtime/row.ts'
import { definitionsTopic } from '../../runtime/topology.ts'
import type { Profile } from '../../schemas/avro/types.ts'
import { entriesOf, entryTopics } from './entry.ts'
import { everyKeyPattern, identifierPrefix } from './keys.ts'

export const codec = new Codec(fixedSchemaIds())
export const partition = 0

/** Whether there is a redis-server to start; where CI is set there must be. */
export function hasRedisServer(): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0
  if (!found && process.env['CI']) throw new Error('redis-server is not installed')
  if (!found) console.warn('redis-server is not installed')
  return found
}

/** A redis-server with a folder of its own, that can be killed and come back, with what it had or with nothing. */
export class OwnRedis {
  readonly url: string
  readonly #port: number
  #folder = ''
  #process: ChildProcess | undefined

  private constructor(port: number) {
    this.#port = port
    this.url = `redis://127.0.0.1:${port}`
  }

  static async start(): Promise<OwnRedis> {
    const redis = new OwnRedis(await freePort())
    await redis.start({ empty: true })
    return redis
  }

  async start({ empty }: { readonly empty: boolean }): Promise<void> {
    if (empty) {
      if (this.#folder) await rm(this.#folder, { recursive: true })
      this.#folder = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
    }
    const args = ['--port', String(this.#port), '--appendonly', 'yes', '--save', '', '--dir', this.#folder]
    this.#process = spawn('redis-server', args, { stdio: 'ignore' })
    await withRedis(this.url, (redis) => redis.ping())
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(signal)
  }

  /** Once more does no harm. */
  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#process!
    if (exitCode !== null || signalCode !== null) return
    const ended = once(this.#process!, 'exit')
    this.#process!.kill('SIGKILL')
    await ended
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

/** A plain client for the time of `use`. */
export async function withRedis<Answer>(url: string, use: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const redis = new Redis(url, { retryStrategy: () => 20 })
  redis.on('error', () => {})
  try {
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}

/** A log of one partition a topic, written as the topology writes it. */
export class ProfileLog<Underlying extends Log = MemoryLog> {
  readonly log: Underlying

  private constructor(log: Underlying) {
    this.log = log
  }

  static inMemory(tenant: string): Promise<ProfileLog> {
    return ProfileLog.on(new MemoryLog(), tenant)
  }

  static async on<Underlying extends Log>(log: Underlying, tenant: string): Promise<ProfileLog<Underlying>> {
    const created = new ProfileLog(log)
    const topics = [...entryTopics.map(({ topic }) => topic), definitionsTopic]
    await created.log.createTopics(
      topics.map((name) => ({ name, partitions: 1, cleanup: 'compact' as const, retentionMs: null })),
    )
    const value = codec.encode('Definition', {
      tenant,
      hash: tenant,
      kind: 'manifest',
      id: tenant,
      body: '[]',
      version: 1,
      actor: 'test',
    })
    await created.#append(definitionsTopic, 'definition', `${tenant}/manifest`, value)
    return created
  }

  async profile(tenant: string, profileId: string, events: number, identifiers: readonly string[]): Promise<void> {
    const value = codec.encode('Profile', profileOf(tenant, profileId, events, identifiers))
    await this.#append('profiles', 'profile', `${tenant}/${profileId}`, value)
  }

  async erase(tenant: string, profileId: string): Promise<void> {
    await this.#append('profiles', 'profile', `${tenant}/${profileId}`, null)
  }

  async alias(tenant: string, profileId: string, mergedInto: string): Promise<void> {
    const value = codec.encode('IdentityAlias', { tenant, profileId, mergedInto, identitySeq: 1 })
    await this.#append('identity.aliases', 'alias', `${tenant}/${profileId}`, value)
  }

  async memberships(tenant: string, profileId: string, segments: readonly string[]): Promise<void> {
    const memberships = segments.map((segmentId) => ({
      segmentId,
      version: 'v',
      member: true,
      seq: 1,
      effectiveAtMs: 1_000,
      validUntilMs: 2_000,
    }))
    const section = Section.ofValue({ definitions: 'd', memberships })
    const value = encodeRow(withSection(emptyRow, 0, section), [{ name: 'segment', state: 'SegmentState' }], codec)
    await this.#append('profile.changelog', 'row', `${tenant}/${profileId}`, value)
  }

  async #append(topic: string, kind: string, key: string, value: Buffer | null): Promise<void> {
    await this.log.append([{ topic, partition, kind, key, value, timestampMs: 1 }])
  }
}

export function profileOf(tenant: string, profileId: string, events: number, identifiers: readonly string[]): Profile {
  return {
    tenant,
    profileId,
    generation: 0,
    sequence: events,
    createdAtMs: 1,
    firstSeenMs: 1,
    lastSeenMs: 2,
    events,
    traits: { name: { value: 'Änne "A" \n', eventTimeMs: 1, source: 'test', eventId: 'e' } },
    identifiers: identifiers.map((hash) => ({
      namespace: 'email',
      value: `${hash}@example.com`,
      hash,
      firstSeenMs: 1,
      lastSeenMs: 2,
    })),
    consents: {},
    fragments: [],
  }
}

/** By key without what all share: values of entries, and members of identifier sets. */
export type Content = Readonly<Record<string, string | readonly string[]>>

/** The last record of each key. */
async function expectedContent(log: Log, tenant: string): Promise<Content> {
  const content: Record<string, string | string[]> = {}
  for (const source of entryTopics) {
    const { start, stable } = await log.ends(source.topic, partition)
    const records: StoredRecord[] = []
    for (let offset = start; offset < stable; ) {
      const fetched = await log.fetch(source.topic, partition, offset, { maxRecords: 10_000, maxBytes: 64 << 20 })
      records.push(...fetched.records)
      offset = fetched.nextOffset
    }
    for (const entry of entriesOf(source, tenant, records, codec)) {
      if (entry.value !== null) content[`${entry.kind}:${entry.profileId}`] = entry.value
      for (const identifier of entry.identifiers) {
        const key = `identifier:${identifier}`
        content[key] = [...(content[key] ?? []), entry.profileId].sort()
      }
    }
  }
  return content
}

/** What Redis does hold; versions of what was erased, and positions, left out. */
export function actualContent(url: string, tenant: string): Promise<Content> {
  const keyPrefix = identifierPrefix(tenant).replace('identifier:', '')
  return withRedis(url, async (redis) => {
    const content: Record<string, string | string[]> = {}
    for (const key of await redis.keys(everyKeyPattern(tenant))) {
      const name = key.slice(keyPrefix.length)
      if (name.startsWith('identifier:')) content[name] = (await redis.smembers(key)).sort()
      else {
        const value = await redis.hget(key, 'value')
        if (value !== null) content[name] = value
      }
    }
    return content
  })
}

/** The keys at which Redis holds something else than the log tells. */
export async function differences(url: string, { log }: ProfileLog<Log>, tenant: string): Promise<readonly string[]> {
  const actual = await actualContent(url, tenant)
  const expected = await expectedContent(log, tenant)
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)])
  return [...keys].filter((key) => !isDeepStrictEqual(actual[key], expected[key]))
}

/** Asks until it is so. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it has not come about in time')
    await delay(10)
  }
}
