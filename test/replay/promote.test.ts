/** Switching over to a replay, in a folder and on a real broker: what readers are told, before and after, is one story. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appOf, openCluster, requireEmptyGroups } from '../../cli/cluster/cluster.ts'
import { generationEnded, generationRecord } from '../../cli/generation.ts'
import type { ClusterPlace } from '../../cli/place.ts'
import { type Comparison, compareReplay } from '../../cli/replay/compare.ts'
import { type PromoteOptions, promote } from '../../cli/replay/promote.ts'
import { type RebuildOptions, rebuild } from '../../cli/replay/rebuild.ts'
import { replayLog } from '../../cli/replay/replay.ts'
import { deleteReplay, listReplays } from '../../cli/replay/replays.ts'
import { recordsOf } from '../../cli/topics.ts'
import type { Codec } from '../../runtime/codec.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import type { Log } from '../../runtime/log.ts'
import type { Activation, MembershipTransition } from '../../schemas/avro/types.ts'
import { temporaryFolder } from '../cli/millrace.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { Deployment } from './deployment.ts'

const [brokers, registryUrl] = [await kafkaForTests(), await registryForTests()]

const places = [
  ['in a folder', (folder: string) => Deployment.inFolder(folder), 2000, true],
  [
    'on a cluster',
    (folder: string) => Deployment.onCluster(folder, brokers!, registryUrl!),
    500,
    brokers && registryUrl,
  ],
] as const

for (const [where, deploy, events, possible] of places) {
  describe.skipIf(!possible)(`a promotion ${where}`, () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let deployment: Deployment
    beforeAll(async () => {
      folder = await temporaryFolder()
      deployment = await deploy(folder.path)
    })
    afterAll(() => folder.remove())

    const use = async <Result>(work: (live: Awaited<ReturnType<Deployment['open']>>) => Promise<Result>) => {
      const live = await deployment.open()
      return work(live).finally(() => live.close())
    }
    const replay = (options: Partial<RebuildOptions> & { name: string }) =>
      use((live) => rebuild(live, { partitions: {}, ...options }))
    const promoted = (options: PromoteOptions) => use((live) => promote(live, options))
    const story = () => deployment.read(Story.of)
    const shadowStory = (name: string) => deployment.look(({ base, codec }) => Story.of(replayLog(base, name), codec))

    test('goes on with what readers know, over other partitions, and tells them what is different', async () => {
      await deployment.live({ events, seed: 3 })
      await deployment.change('segments/high_value.yaml', '>= 500', '>= 100')
      await replay({ name: 'wide', partitions: { identify: 2, graph: 1, profile: 4 } })
      await deployment.live({ events: events / 2, seed: 4 })
      await replay({ name: 'wide', partitions: { identify: 2, graph: 1, profile: 4 } })
      const [before, wanted] = [await story(), await shadowStory('wide')]
      before.check()
      const differences = differencesOf(before.members, wanted.members)
      expect(differences.length).toBeGreaterThan(5)

      for (const step of ['caught up', 'told'] as const)
        await expect(promoted({ name: 'wide', at: dyingAt(step) })).rejects.toThrow(`killed when ${step}`)
      expect((await story()).transitions).toEqual(before.transitions)
      const ofTopics = await deployment.read((log) => log.topics())
      expect(await promoted({ name: 'wide' })).toMatchObject({ generation: 1, takenOver: 0 })
      expect(await promoted({ name: 'wide' })).toMatchObject({ generation: 1, adopted: 0, takenOver: 0 })

      await deployment.settle()
      const after = await story()
      after.check()
      const known = new Set(before.transitions.map(({ id }) => id))
      const told = after.transitions.filter(({ id }) => !known.has(id))
      expect(told.map(asDifference).sort()).toEqual(differences)
      expect(new Set(told.map(({ reason }) => reason))).toEqual(new Set(['backfill']))
      expect(after.members).toEqual(wanted.members)
      // A destination hears of those who came and went; of the others at most that something of them is known better.
      const changed = new Set(told.map(({ profileId }) => profileId))
      const sent = new Set(before.activations.map(({ idempotencyKey }) => idempotencyKey))
      for (const { op, profileId, idempotencyKey } of after.activations)
        if (!sent.has(idempotencyKey) && !changed.has(profileId)) expect([op, profileId]).toEqual(['update', profileId])
      const counts = await deployment.read((log) => log.topics())
      const partitionsOf = (name: string) => counts.find((topic) => topic.name === name)?.partitions
      expect(['events.raw', 'profile.changelog', 'profiles', 'events.bad'].map(partitionsOf)).toEqual([2, 4, 3, 3])
      expect(ofTopics.find(({ name }) => name === 'profiles')?.partitions).toBe(3)
      expect(await deployment.read(generationsOfProfiles)).toEqual([1])
    }, 240_000)

    test('takes over what a forgotten collector sent to where nobody reads any more', async () => {
      const partition = 0
      await deployment.look(async ({ base }) => {
        const { start } = await base.ends('events.raw', partition)
        const { records } = await base.fetch('events.raw', partition, start, { maxRecords: 50, maxBytes: 1 << 20 })
        const event = records.find(({ kind }) => kind === 'event')!
        await base.append([{ ...event, topic: 'events.raw', partition, timestampMs: event.timestampMs + 1 }])
      })
      const remove = deployment.look((opened) => deleteReplay(opened, noFolders(folder.path), 'original'))
      await expect(remove).rejects.toThrow('1 records have come to original since')
      expect(await promoted({ name: 'wide' })).toMatchObject({ adopted: 0, takenOver: 1 })
      expect(await promoted({ name: 'wide' })).toMatchObject({ adopted: 0, takenOver: 0 })
    }, 60_000)

    test('is followed by what comes then, and by another one that finds nothing to tell', async () => {
      await deployment.live({ events: events / 2, seed: 5 })
      const before = await story()
      before.check()
      await replay({ name: 'same' })
      const compared = await deployment.look((opened) => compareReplay(opened, 'same'))
      expect(differing(compared)).toEqual([])
      await promoted({ name: 'same' })
      await deployment.settle()
      const after = await story()
      expect(after.transitions.length).toBe(before.transitions.length)
      expect(after.activations.length).toBe(before.activations.length)
      await deployment.live({ events: events / 4, seed: 6 })
      ;(await story()).check()
      expect(await deployment.read(generationsOfProfiles)).toEqual([2])
    }, 240_000)

    test('leaves what was there before, to be deleted', async () => {
      const names = async () =>
        (await deployment.look(listReplays)).map(({ name, generation, inForce }) => [name, generation, inForce])
      await replay({ name: 'other' })
      expect(await names()).toEqual([
        ['original', 0, false],
        ['wide', 1, false],
        ['same', 2, true],
        ['other', null, false],
      ])
      const remove = (name: string) => deployment.look((opened) => deleteReplay(opened, noFolders(folder.path), name))
      await expect(remove('same')).rejects.toMatchObject({ code: 'INPUT_INVALID' })
      await expect(remove('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(replay({ name: 'wide' })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
      for (const name of ['original', 'wide', 'other']) expect(await remove(name)).toBeGreaterThan(5)
      expect(await names()).toEqual([['same', 2, true]])
      expect(await deployment.isAsDeclared()).toBe(true)
      await deployment.settle()
      const before = await story()
      await deployment.live({ events: events / 4, seed: 7 })
      const after = await story()
      after.check()
      expect(after.transitions.length).toBeGreaterThan(before.transitions.length)
    }, 120_000)

    if (where === 'in a folder') return // its lock keeps others out
    test('is refused while anybody runs a stage, and ends who runs one then', async () => {
      const place = deployment.place as ClusterPlace
      const cluster = await openCluster(place)
      const coordinator = new KafkaCoordinator(cluster.base.connection, place.prefix)
      const group = `${appOf(place)}.graph`
      const timeouts = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 }
      const joining = { group, instance: 'a', topic: 'identity.requests', state: Buffer.alloc(0), ...timeouts }
      const { memberId, generation } = await coordinator.join({ ...joining, memberId: '' })
      const refused = requireEmptyGroups(cluster, place, 0)
      await expect(refused).rejects.toMatchObject({
        code: 'STILL_RUNNING',
        message: expect.stringContaining('graph on'),
      })
      await coordinator.leave({ group, memberId, instance: 'a', generation })
      await requireEmptyGroups(cluster, place, 0)

      const watching = new AbortController()
      const ended = generationEnded(cluster.base, cluster.generation, watching.signal)
      await cluster.base.append([generationRecord({ number: 3, name: 'elsewhere' }, 1)])
      expect(await ended).toMatchObject({ code: 'GENERATION_ENDED' })
      await cluster.close()
    }, 60_000)
  })
}

const noFolders = (folder: string) => ({ folder, storesFolder: folder })

const dyingAt =
  (last: string): NonNullable<PromoteOptions['at']> =>
  (step) => {
    if (step === last) throw new Error(`killed when ${step}`)
  }

/** What readers have been told: of each profile in order, else partition after partition. */
class Story {
  readonly transitions: MembershipTransition[] = []
  readonly activations: Activation[] = []

  static async of(this: void, log: Log, codec: Codec): Promise<Story> {
    const story = new Story()
    for (const { name, partitions } of await log.topics()) {
      if (name === 'segments.memberships')
        for await (const { value } of recordsOf(log, name, partitions))
          story.transitions.push(codec.decode('MembershipTransition', value!))
      if (/^connect\.[^.]+$/.test(name))
        for await (const { value } of recordsOf(log, name, partitions))
          story.activations.push(codec.decode('Activation', value!))
    }
    return story
  }

  get members(): readonly string[] {
    const members = new Set<string>()
    for (const { profileId, segmentId, status } of this.transitions) {
      if (status === 'entered') members.add(`${segmentId} ${profileId}`)
      else members.delete(`${segmentId} ${profileId}`)
    }
    return [...members].sort()
  }

  /** Statuses alternate, seqs have no gap; a destination is told to add who it does not hold, and to remove who it does. */
  check(): void {
    const seqs = new Map<string, number>()
    for (const { profileId, segmentId, seq, status } of this.transitions) {
      const key = `${segmentId} ${profileId}`
      expect([key, seq, status]).toEqual([key, (seqs.get(key) ?? 0) + 1, seq % 2 === 1 ? 'entered' : 'exited'])
      seqs.set(key, seq)
    }
    const keys = this.activations.map(({ idempotencyKey }) => idempotencyKey)
    expect(new Set(keys).size).toBe(keys.length)
    const held = new Set<string>()
    for (const { op, destinationId, segmentId, profileId } of this.activations) {
      const key = `${destinationId} ${segmentId} ${profileId}`
      if (op === 'add') expect([op, key, held.has(key)]).toEqual([op, key, false])
      if (op === 'add' || op === 'rekey') held.add(key)
      if (op === 'remove') held.delete(key)
    }
  }
}

const asDifference = ({ segmentId, profileId, status }: MembershipTransition): string =>
  `${segmentId} ${profileId} ${status}`

function differencesOf(before: readonly string[], after: readonly string[]): readonly string[] {
  const [was, is] = [new Set(before), new Set(after)]
  return [
    ...before.filter((member) => !is.has(member)).map((member) => `${member} exited`),
    ...after.filter((member) => !was.has(member)).map((member) => `${member} entered`),
  ].sort()
}

async function generationsOfProfiles(log: Log, codec: Codec): Promise<readonly number[]> {
  const last = new Map<string, number>()
  for await (const { key, value } of recordsOf(log, 'profiles', 3)) {
    if (value) last.set(key, codec.decode('Profile', value).generation)
    else last.delete(key)
  }
  return [...new Set(last.values())]
}

const differing = ({ segments, profiles }: Comparison): string[] =>
  Object.entries({ ...segments, profiles: profiles! }).flatMap(([what, { onlyLive, onlyReplay }]) =>
    onlyLive + onlyReplay > 0 ? [what] : [],
  )
