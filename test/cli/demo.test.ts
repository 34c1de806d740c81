import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DemoResult } from '../../cli/demo.ts'
import type { DumpedRecord } from '../../cli/dump.ts'
import type { ProfileAnswer } from '../../serving/profile-answer.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

const options = ['demo', '--events', '3000', '--visitors', '600', '--seed', '7']

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: string
let result: DemoResult
beforeAll(async () => {
  folder = await temporaryFolder()
  data = join(folder.path, 'data')
  result = await millraceJson<DemoResult>([...options, '--data', data])
}, 120_000)
afterAll(() => folder.remove())

const outcomeOf = ({ seconds: _, eventsPerSecond: __, latencyMs: ___, ...outcome }: DemoResult) => outcome
const dump = async (topic: string, ...args: string[]): Promise<DumpedRecord[]> => {
  const { status, stdout, stderr } = await millrace(['dump', topic, '--json', '--data', data, ...args])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

describe('demo', () => {
  test('accounts for every event, and something of everything happens', () => {
    const { events, valid, bad, duplicates, dead } = result
    expect(events).toBe(3000)
    expect(valid + bad + duplicates + dead).toBe(events)
    expect(dead).toBe(0)
    for (const name of ['bad', 'duplicates', 'merges', 'entered', 'exited', 'activated'] as const)
      expect({ name, some: result[name] > 0 }).toEqual({ name, some: true })
    expect(result.profiles).toBeGreaterThan(300)
    expect(result.delivered).toBe(result.activated)
    expect(result.latencyMs.p50).toBeGreaterThan(0)
    expect(result.latencyMs.p50).toBeLessThanOrEqual(result.latencyMs.p99)
  })

  test('the same options give the same outcome in a temporary folder; another seed gives another', async () => {
    expect(outcomeOf(await millraceJson<DemoResult>(options))).toEqual(outcomeOf(result))
    const other = await millraceJson<DemoResult>([...options.slice(0, -1), '8'])
    expect(other.profilesDigest).not.toBe(result.profilesDigest)
  }, 120_000)

  test('run again on its folder it changes nothing', async () => {
    expect(outcomeOf(await millraceJson<DemoResult>([...options, '--data', data]))).toEqual(outcomeOf(result))
  })

  test('for people, a summary with the same figures', async () => {
    const { stdout } = await millrace([...options, '--data', data])
    expect(stdout).toContain(`profiles ${result.profilesDigest}`)
    expect(stdout).toMatch(new RegExp(`bad +${result.bad}\\n`))
  })
})

describe('dump', () => {
  test('transitions alternate, numbered without gaps, and add up to the counts', async () => {
    const transitions = await dump('segments.memberships')
    const last = new Map<string, number>()
    let entered = 0
    for (const { kind, key, value } of transitions) {
      const { segmentId, seq, status } = value as { segmentId: string; seq: number; status: string }
      const name = `${key} ${segmentId}`
      expect({ kind, name, seq, status }).toEqual({
        kind: 'transition',
        name,
        seq: (last.get(name) ?? 0) + 1,
        status: seq % 2 === 1 ? 'entered' : 'exited',
      })
      last.set(name, seq)
      if (status === 'entered') entered++
    }
    expect([entered, transitions.length - entered]).toEqual([result.entered, result.exited])
  })

  test('gives a part: from an offset, of one partition, so many', async () => {
    const part = await dump('events.raw', '--from', '10', '--partition', '1', '--max', '3')
    expect(part.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`)).toEqual([
      'events.raw/1@10',
      'events.raw/1@11',
      'events.raw/1@12',
    ])
    expect(await dump('events.raw', '--max', '0')).toEqual([])
  })

  test('gives events as enriched TSV and as the JSON of the Analytics SDKs', async () => {
    const lines = async (format: string): Promise<string[]> => {
      const args = ['dump', 'events.identified', '--format', format, '--max', '20', '--data', data]
      return (await millrace(args)).stdout.replace(/\n$/, '').split('\n') // empty columns end a row
    }
    const rows = await lines('tsv')
    const objects = await lines('sdk-json')
    expect(rows).toHaveLength(20)
    expect(rows.map((row) => row.split('\t').length)).toEqual(Array(20).fill(131))
    const ids = objects.map((text) => (JSON.parse(text) as { event_id: string }).event_id)
    expect(new Set(ids).size).toBe(20)
    expect(rows.map((row) => row.split('\t')[6])).toEqual(ids)
  })

  test('shows tombstones, of profiles that were merged', async () => {
    const records = await dump('profiles')
    const tombstones = records.filter(({ value }) => value === null)
    expect(tombstones.length).toBeGreaterThan(0)
    const aliases = new Set((await dump('identity.aliases')).map(({ key }) => key))
    for (const { key } of tombstones) expect(aliases).toContain(key)
    const { stdout } = await millrace(['dump', 'profiles', '--data', data])
    expect(stdout).toContain('tombstone')
  })

  test.each(['events.bad', '_schemas', 'profile.changelog', 'definitions', 'connectors.positions', 'feeds.positions'])(
    'decodes %s',
    async (topic) => {
      const records = await dump(topic, '--max', '50')
      expect(records.length).toBeGreaterThan(0)
      for (const { value } of records) expect(typeof value).toBe('object')
    },
  )

  test('an unknown topic names those there are', async () => {
    const { status, stderr } = await millrace(['dump', 'profile', '--data', data])
    expect(status).toBe(1)
    expect(stderr).toContain('there is no topic profile; there are:\n')
    expect(stderr).toContain('\n  segments.memberships\n')
  })
})

describe('profile get', () => {
  const get = (wanted: string) => millraceJson<ProfileAnswer>(['profile', 'get', wanted, '--data', data])

  test('by id, by the id it had before a merge, and by an identifier in another spelling: the same profile', async () => {
    const [alias] = await dump('identity.aliases', '--max', '1')
    const { profileId } = alias!.value as { profileId: string }
    const answer = await get(profileId)
    expect(answer.mergedFrom[0]).toBe(profileId)
    expect(answer.profileId).not.toBe(profileId)
    const { mergedFrom: _, ...direct } = await get(answer.profileId)
    expect(answer).toMatchObject(direct)
    const email = answer.identifiers.find(({ namespace }) => namespace === 'email')
    expect(email).toBeDefined()
    expect(await get(`email: ${email!.value.toUpperCase()} `)).toEqual({ ...direct, mergedFrom: [] })
  })

  test('tells the segments it is in, as the transitions do', async () => {
    const inside = new Map<string, Set<string>>()
    for (const { key, value } of await dump('segments.memberships')) {
      const { segmentId, status } = value as { segmentId: string; status: string }
      const segments = inside.get(key) ?? new Set()
      inside.set(key, segments)
      if (status === 'entered') segments.add(segmentId)
      else segments.delete(segmentId)
    }
    const [key, segments] = [...inside].find(([, ids]) => ids.size > 1)!
    const answer = await get(key.split('/')[1]!)
    expect(answer.memberships.map(({ segmentId }) => segmentId)).toEqual([...segments].sort())
    const { stdout } = await millrace(['profile', 'get', answer.profileId, '--data', data])
    for (const { id } of answer.memberships.map(({ segmentId }) => ({ id: segmentId }))) expect(stdout).toContain(id)
  })

  test('says when there is none, and which namespaces there are', async () => {
    const none = await millrace(['profile', 'get', 'email:nobody@example.com', '--data', data])
    expect([none.status, none.stderr]).toEqual([
      1,
      expect.stringContaining('there is no profile email:nobody@example.com'),
    ])
    const unknown = await millrace(['profile', 'get', 'phone:1', '--data', data])
    expect(unknown.stderr).toContain('there are user_id, email, domain_userid')
  })
})

describe('topology', () => {
  test('draws every stage, operator and topic, three ways', async () => {
    const { stdout } = await millrace(['topology'])
    expect(stdout).toContain('events.raw ──► identify [ validate ▸ identify ]')
    expect(stdout).toContain('connect.email_tool')
    const mermaid = (await millrace(['topology', '--mermaid'])).stdout
    expect(mermaid).toMatch(/^flowchart LR\n/)
    expect(mermaid).toContain('topic_events_identified --> stage_profile')
    const { stages, topics } = await millraceJson<{ stages: { name: string }[]; topics: { name: string }[] }>([
      'topology',
    ])
    expect(stages.map(({ name }) => name)).toEqual(['identify', 'graph', 'profile'])
    for (const { name } of topics) expect(stdout).toContain(name)
  })
})

test('a file destination has each activation once, in order', async () => {
  const sent = (await dump('connect.ad_audience')).length
  let lines = 0
  for (const partition of [0, 1, 2]) {
    const text = await readFile(join(data, 'destinations', 'ad_audience', `${partition}.ndjson`), 'utf8').catch(
      () => '',
    )
    const offsets = text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).offset as number)
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b))
    lines += offsets.length
  }
  expect(lines).toBe(sent)
})
