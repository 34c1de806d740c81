/** Replays over a folder and over a real broker: the same bytes from an inbox, the same customers from events.raw. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Comparison, compareReplay } from '../../cli/replay/compare.ts'
import { boundOf } from '../../cli/replay/ranges.ts'
import { type RebuildOptions, rebuild } from '../../cli/replay/rebuild.ts'
import { type ReprocessOptions, reprocess } from '../../cli/replay/reprocess.ts'
import { compareBytes } from '../../cli/replay/same-bytes.ts'
import { recordsOf } from '../../cli/topics.ts'
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { temporaryFolder } from '../cli/millrace.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { Deployment } from './deployment.ts'

const [brokers, registryUrl] = [await kafkaForTests(), await registryForTests()]
const stages = ['identify', 'graph', 'profile']

const places = [
  ['in a folder', (folder: string) => Deployment.inFolder(folder), 3000, true],
  [
    'on a cluster',
    (folder: string) => Deployment.onCluster(folder, brokers!, registryUrl!),
    1500,
    brokers && registryUrl,
  ],
] as const

for (const [where, deploy, events, possible] of places) {
  describe.skipIf(!possible)(`a replay ${where}`, () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let deployment: Deployment
    beforeAll(async () => {
      folder = await temporaryFolder()
      deployment = await deploy(folder.path)
      await deployment.live({ events, seed: 7 })
    }, 120_000)
    afterAll(() => folder.remove())

    async function replayAll(options: Partial<RebuildOptions> & { name: string }) {
      const live = await deployment.open()
      try {
        return await rebuild(live, { partitions: {}, ...options })
      } finally {
        await live.close()
      }
    }
    async function replayStage(options: ReprocessOptions) {
      const live = await deployment.open()
      try {
        return await reprocess(live, options)
      } finally {
        await live.close()
      }
    }
    const compared = (name: string) => deployment.look((opened) => compareReplay(opened, name))
    const bytes = (name: string) => deployment.look((opened) => compareBytes(opened, name))

    test.each(stages)(
      'of the inbox of %s writes what was written, byte for byte',
      async (stage) => {
        await replayStage({ name: `bytes-${stage}`, stage })
        const topics = await bytes(`bytes-${stage}`)
        expect(topics.at(-1)?.topic).toBe(`${stage}.changelog`)
        expect(topics.filter(({ differing }) => differing > 0)).toEqual([])
        const written = topics.filter(({ keys }) => keys > 0).map(({ topic }) => topic)
        expect(written).toContain(stage === 'profile' ? 'segments.memberships' : 'events.identified')
        expect(await compared(`bytes-${stage}`)).toMatchObject({ stage, behind: 0 })
      },
      60_000,
    )

    test('over other partitions gives the same customers and members, and no destination hears of it', async () => {
      const sent = await deployment.read((log) => log.ends('connect.email_tool', 0))
      const result = await replayAll({ name: 'wide', partitions: { identify: 5, graph: 1, profile: 4 } })
      expect(result).toMatchObject({ stage: null, events, dead: 0 })
      const comparison = await compared('wide')
      expect(differing(comparison)).toEqual([])
      expect(comparison.profiles?.same).toBeGreaterThan(events / 10)
      expect(comparison.segments?.['lapsed_30d'] ?? comparison.segments?.['german_customers']).toBeDefined()
      expect(await deployment.read((log) => log.ends('connect.email_tool', 0))).toEqual(sent)
      // Time passes in it as it did: members come and go, but for short visits of a customer's several clients.
      const entered = await deployment.read(countEntered)
      expect(entered).toBeGreaterThan(events / 10)
      expect(Math.abs(result.entered - entered)).toBeLessThanOrEqual(entered / 20)
    }, 120_000)
  })
}

async function countEntered(log: Log, codec: Codec): Promise<number> {
  let entered = 0
  for await (const { value } of recordsOf(log, 'segments.memberships', 3))
    if (codec.decode('MembershipTransition', value!).status === 'entered') entered++
  return entered
}

const differing = ({ segments, profiles }: Comparison): string[] =>
  Object.entries({ ...segments, profiles: profiles! }).flatMap(([what, { onlyLive, onlyReplay }]) =>
    onlyLive + onlyReplay > 0 ? [what] : [],
  )

describe('a replay', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let deployment: Deployment
  beforeAll(async () => {
    folder = await temporaryFolder()
    deployment = await Deployment.inFolder(folder.path)
    await deployment.live({ events: 2000, seed: 3 })
  }, 60_000)
  afterAll(() => folder.remove())

  const use = async <Result>(replay: (live: Awaited<ReturnType<Deployment['open']>>) => Promise<Result>) => {
    const live = await deployment.open()
    return replay(live).finally(() => live.close())
  }
  const all = (options: Partial<RebuildOptions> & { name: string }) =>
    use((live) => rebuild(live, { partitions: {}, ...options }))
  const stage = (options: ReprocessOptions) => use((live) => reprocess(live, options))
  const compared = (name: string) => deployment.look((opened) => compareReplay(opened, name))

  test('that was killed goes on where it was; run again, it catches up with what has come since', async () => {
    let drained = 0
    const dying = all({
      name: 'again',
      onProgress: () => {
        if (++drained === 2) throw new Error('killed')
      },
    })
    await expect(dying).rejects.toThrow('killed')
    const rest = await all({ name: 'again' })
    expect(rest).toMatchObject({ events: 2000 })
    expect(differing(await compared('again'))).toEqual([])

    await deployment.live({ events: 1000, seed: 4 })
    expect((await compared('again')).behind).toBeGreaterThan(1000)
    const more = await all({ name: 'again' })
    expect([more.events, more.records < 1500]).toEqual([3000, true])
    expect(differing(await compared('again'))).toEqual([])
    expect((await compared('again')).behind).toBe(0)
    expect(await all({ name: 'again' })).toMatchObject({ events: 3000, records: 0 })
  }, 120_000)

  test('takes a range of time, or of offsets', async () => {
    const first = await deployment.read((log) => log.fetch('events.raw', 0, 500, { maxRecords: 1, maxBytes: 1 }))
    const at = boundOf(new Date(first.records[0]!.timestampMs).toISOString())
    const [before, after] = [await all({ name: 'before', to: at }), await all({ name: 'after', from: at })]
    expect(before.records).toBeGreaterThan(0)
    expect(before.events + after.events).toBe(3000)
    expect(before.dead + after.dead).toBe(0)

    const late = await stage({ name: 'late', stage: 'profile', from: boundOf('0:100,1:100,2:100') })
    const whole = await stage({ name: 'whole', stage: 'profile' })
    expect([late.records, late.dead]).toEqual([whole.records - 300, 0])
    const topics = await deployment.look((opened) => compareBytes(opened, 'late'))
    expect(topics.find(({ topic }) => topic === 'profiles')?.differing).toBeGreaterThan(0)
  }, 120_000)

  test('shows what a change of definitions would have come to', async () => {
    await deployment.change('segments/high_value.yaml', '>= 500', '>= 100')
    await all({ name: 'new-rule' })
    const comparison = await compared('new-rule')
    expect(differing(comparison)).toEqual(['high_value'])
    const { onlyLive, onlyReplay, examplesReplay } = comparison.segments!['high_value']!
    expect([onlyLive, onlyReplay > 0, examplesReplay.length > 0]).toEqual([0, true, true])
  }, 60_000)

  test('is refused when it is not what was begun under its name, or nothing was', async () => {
    await stage({ name: 'mine', stage: 'graph' })
    await expect(all({ name: 'mine' })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(stage({ name: 'mine', stage: 'profile' })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await all({ name: 'ours', partitions: { graph: 1 } })
    await expect(all({ name: 'ours' })).rejects.toMatchObject({ code: 'TOPIC_MISMATCH' })
    const elsewhere = all({ name: 'ours', partitions: { graph: 1 }, from: boundOf('2026-01-01') })
    await expect(elsewhere).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(compared('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(compared('No Name')).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    const bytes = deployment.look((opened) => compareBytes(opened, 'ours'))
    await expect(bytes).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    for (const text of ['yesterday', '0:', '12', '2026-13-01'])
      expect(() => boundOf(text)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
  }, 60_000)
})
