import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Comparison } from '../../cli/replay/compare.ts'
import type { SameBytes } from '../../cli/replay/same-bytes.ts'
import { millrace, millraceJson, Running, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let place: readonly string[]
beforeAll(async () => {
  folder = await temporaryFolder()
  place = ['--data', folder.path]
  await millraceJson(['demo', '--events', '1000', '--visitors', '200', '--seed', '7', ...place])
}, 60_000)
afterAll(() => folder.remove())

test('one stage again, and its bytes compared', async () => {
  const audit = ['--name', 'audit', ...place]
  expect(await millraceJson(['replay', '--stage', 'profile', ...audit])).toMatchObject({ name: 'audit', dead: 0 })
  const topics = await millraceJson<SameBytes[]>(['replay', 'compare', '--bytes', '--exit-code', ...audit])
  expect(topics.map(({ differing }) => differing)).toEqual(topics.map(() => 0))
  const { status, stdout } = await millrace(['replay', 'compare', '--bytes', ...audit])
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^segments\.memberships: \d+ keys, equal$/m),
  })
}, 60_000)

test('all stages over other partitions, and what came out compared', async () => {
  const wide = ['--name', 'wide', ...place]
  const partitions = ['--partitions', 'identify=2,profile=5']
  expect(await millraceJson(['replay', ...partitions, ...wide])).toMatchObject({ stage: null, events: 1000 })
  const { segments, behind } = await millraceJson<Comparison>(['replay', 'compare', ...wide])
  for (const { onlyLive, onlyReplay } of Object.values(segments!)) expect([onlyLive, onlyReplay]).toEqual([0, 0])
  expect([Object.keys(segments!).length > 0, behind]).toEqual([true, 0])
  const { stdout } = await millrace(['replay', 'compare', ...wide])
  expect(stdout).toMatch(/^profiles: \d+ in both, 0 only live, 0 only in the replay$/m)
}, 60_000)

test('the deployment goes on in a replay, and what was before is deleted', async () => {
  const promoted = await millraceJson(['replay', 'promote', '--name', 'wide', ...place])
  expect(promoted).toMatchObject({ name: 'wide', generation: 1, adopted: expect.any(Number) })
  const names = async () =>
    (await millraceJson<{ name: string; inForce: boolean }[]>(['replay', 'list', ...place])).map((each) => [
      each.name,
      each.inForce,
    ])
  expect(await names()).toEqual([
    ['original', false],
    ['wide', true],
    ['audit', false],
  ])
  const inForce = await millrace(['replay', 'delete', 'wide', ...place])
  expect([inForce.status, inForce.stderr]).toEqual([1, expect.stringContaining('wide is in force')])
  for (const name of ['original', 'audit'])
    expect(await millraceJson(['replay', 'delete', name, ...place])).toMatchObject({ name })
  expect((await millrace(['replay', 'list', ...place])).stdout).toMatch(
    /^ *wide +generation 1, \d+ topics, in force\n$/,
  )
  const running = new Running(place)
  await running.url()
  expect((await running.end()).status).toBe(0)
  const nothing = JSON.stringify({ event_id: '' })
  expect(await millraceJson(['ingest', '-', '--format', 'ndjson', ...place], nothing)).toMatchObject({ events: 1 })
  const { stdout } = await millrace(['dump', 'segments.memberships', '--json', ...place])
  expect(stdout).not.toContain('backfill')
}, 60_000)

test('what cannot be', async () => {
  const ending = async (...args: string[]) => {
    const { status, stderr } = await millrace(['replay', ...args])
    return [status, stderr]
  }
  expect(await ending(...place)).toEqual([2, expect.stringContaining("required option '--name <name>'")])
  expect(await ending('compare', ...place)).toEqual([2, expect.stringContaining("required option '--name <name>'")])
  const both = ['--name', 'a', '--stage', 'graph', '--partitions', 'graph=1']
  expect(await ending(...both, ...place)).toEqual([2, expect.stringContaining('cannot be used with')])
  const from = ['--name', 'a', '--from', 'never']
  expect(await ending(...from, ...place)).toEqual([1, expect.stringContaining('never is neither an instant')])
  expect(await ending('compare', '--name', 'nobody', ...place)).toEqual([
    1,
    expect.stringContaining('no replay nobody'),
  ])
})
