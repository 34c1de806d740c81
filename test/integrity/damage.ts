/** Ways for what a deployment leaves behind to be wrong. Each changes one thing, at random, in a copy of a right world. */
import type { WrittenRecord } from '../../runtime/memory/log.ts'
import type { Random } from '../../runtime/random.ts'
import { allTopics, changelogOf, deadOf, taskName } from '../../runtime/topology.ts'
import { ticksUnseenMax } from './audit.ts'
import type { Copy } from './copies.ts'
import type { World } from './world.ts'

export type Damage = (world: World, random: Random) => World

/** Changes the list of some place, at the index. */
type Change = (list: readonly WrittenRecord[], at: number) => readonly WrittenRecord[]

const drop: Change = (list, at) => list.toSpliced(at, 1)
const repeat: Change = (list, at) => list.toSpliced(at, 0, list[at]!)
const replace =
  (by: (record: WrittenRecord) => Partial<WrittenRecord>): Change =>
  (list, at) =>
    list.with(at, { ...list[at]!, ...by(list[at]!) })

const lastOfKey = (list: readonly WrittenRecord[], at: number): boolean =>
  !list.slice(at + 1).some(({ kind, key }) => kind === list[at]!.kind && key === list[at]!.key)
/** Not by a source, or by who applies definitions. */
const byTask = ({ writer }: WrittenRecord): boolean => writer.includes('/')
const hasValue = ({ value }: WrittenRecord): boolean => value !== null

/** What tasks have written to topics. Of a compacted one only the last of a key need be there. */
const outputs = (world: World): Place[] =>
  placesOf(world, topicsOf(world), (list, at, compacted) => byTask(list[at]!) && (!compacted || lastOfKey(list, at)))
const events = (world: World): Place[] =>
  placesOf(world, ['events.raw'], (list, at) => !byTask(list[at]!) && list[at]!.kind === 'event')
const changedRows = (world: World): Place[] =>
  placesOf(
    world,
    changelogsOf(world),
    (list, at) => list[at]!.kind === 'row' && hasValue(list[at]!) && lastOfKey(list, at),
  )
const checkpoints = (world: World): Place[] =>
  placesOf(world, changelogsOf(world), (list, at) => list[at]!.kind === 'checkpoint')

export const damages: Readonly<Record<string, Damage>> = {
  'a record of a topic is dropped': (world, random) => changed(world, random, outputs(world), drop),
  'a record of a topic is there twice': (world, random) => changed(world, random, outputs(world), repeat),
  'a value of a topic is another': (world, random) => {
    // What a dead letter says is not compared.
    const places = outputs(world).filter(({ record }) => hasValue(record) && record.kind !== 'dead')
    return changed(
      world,
      random,
      places,
      replace(({ value }) => ({ value: flipped(value!, random) })),
    )
  },
  'a record of a topic has another time': (world, random) =>
    changed(
      world,
      random,
      outputs(world),
      replace(({ timestampMs }) => ({ timestampMs: timestampMs + 1 })),
    ),
  'a record of a topic has another key': (world, random) =>
    changed(
      world,
      random,
      outputs(world),
      replace(({ key }) => ({ key: `${key}x` })),
    ),
  'a record is in another partition': (world, random) => {
    const { topic, partition, at, record } = picked(outputs(world), random)
    const to = `${topic}/${partition === 0 ? 1 : 0}`
    const without = change(world, `${topic}/${partition}`, (list) => drop(list, at))
    return change(without, to, (list) => [...list, { ...record, offset: world.stableEnds.get(to)! }])
  },
  'two records of a key are in the wrong order': (world, random) => {
    const pairs = outputs(world).flatMap((later) => {
      const list = world.records.get(placeOf(later))!
      const earlier = list.findIndex((record, at) => at < later.at && isPair(record, later.record))
      return earlier < 0 ? [] : [{ later, earlier }]
    })
    const { later, earlier } = random.pick(pairs)
    return change(world, placeOf(later), (list) => {
      const [a, b] = [list[earlier]!, list[later.at]!]
      return list.with(earlier, { ...b, offset: a.offset }).with(later.at, { ...a, offset: b.offset })
    })
  },
  'an event that was fed is not in the log': (world, random) => changed(world, random, events(world), drop),
  'an event that was fed once is there twice': (world, random) => changed(world, random, events(world), repeat),
  'two events that were fed are in the wrong order': (world, random) => {
    const first = picked(events(world), random)
    const list = world.records.get(placeOf(first))!
    const others = events(world).filter(
      ({ partition, at, record }) =>
        partition === first.partition && at !== first.at && !record.value!.equals(first.record.value!),
    )
    const second = random.pick(others)
    return change(world, placeOf(first), () =>
      list
        .with(first.at, { ...second.record, offset: first.record.offset })
        .with(second.at, { ...first.record, offset: second.record.offset }),
    )
  },
  'a row is lost, in changelog and stores alike': (world, random) => {
    const { topic, partition, at, record } = picked(changedRows(world), random)
    const damaged = change(world, `${topic}/${partition}`, (list) => list.filter(({ key }) => key !== list[at]!.key))
    return copiesChanged(damaged, taskOf(topic, partition), (copy) => ({ ...copy, rows: without(copy, record.key) }))
  },
  'a row is another, in changelog and stores alike': (world, random) => {
    const { topic, partition, at, record } = picked(changedRows(world), random)
    const value = flipped(record.value!, random)
    const damaged = change(
      world,
      `${topic}/${partition}`,
      replace(() => ({ value })),
      at,
    )
    return copiesChanged(damaged, taskOf(topic, partition), (copy) => ({
      ...copy,
      rows: new Map(copy.rows).set(record.key, value),
    }))
  },
  'a row of the changelog is dropped': (world, random) => changed(world, random, changedRows(world), drop),
  'a tombstone of the changelog is missing': (world, random) => {
    const { topic, partition, at, record } = picked(changedRows(world), random)
    const extra = { ...record, key: `${record.key}x` }
    return change(world, `${topic}/${partition}`, (list) => list.toSpliced(at, 0, extra))
  },
  'a commit is in the changelog twice': (world, random) => changed(world, random, checkpoints(world), repeat),
  'a count is wrong, in changelog and stores alike': (world, random) => {
    const { topic, partition, at, record } = picked(
      checkpoints(world).filter((place) => lastOfKey(world.records.get(placeOf(place))!, place.at)),
      random,
    )
    const checkpoint = world.codec.decode('Checkpoint', record.value!)
    const counters = { ...checkpoint.counters, accepted: (checkpoint.counters['accepted'] ?? 0) + 1 }
    const value = world.codec.encode('Checkpoint', { ...checkpoint, counters })
    const damaged = change(
      world,
      `${topic}/${partition}`,
      replace(() => ({ value })),
      at,
    )
    return copiesChanged(damaged, taskOf(topic, partition), (copy) => ({ ...copy, checkpoint: value }))
  },
  'a store lacks a row': (world, random) =>
    copyChanged(world, random, (copy) => ({ ...copy, rows: without(copy, random.pick([...copy.rows.keys()])) })),
  'a row of a store is another': (world, random) =>
    copyChanged(world, random, (copy) => {
      const [key, value] = random.pick([...copy.rows])
      return { ...copy, rows: new Map(copy.rows).set(key, flipped(value, random)) }
    }),
  'a store has a row too many': (world, random) =>
    copyChanged(world, random, (copy) => {
      const [key, value] = random.pick([...copy.rows])
      return { ...copy, rows: new Map(copy.rows).set(`${key}x`, value) }
    }),
  'a store has another checkpoint': (world, random) =>
    copyChanged(world, random, (copy) => ({ ...copy, checkpoint: flipped(copy.checkpoint!, random) })),
  'a store lists a timer no more': (world, random) => {
    const isListed = ({ timers }: Copy): boolean => timers.size > 0
    return copyChanged(
      world,
      random,
      (copy) => {
        const listed = [...copy.rows].flatMap(([key, bytes]) => {
          const { indexedAtMs } = world.codec.decode('Row', bytes)
          return indexedAtMs === null ? [] : [key]
        })
        const key = random.pick(listed)
        return { ...copy, timers: new Set([...copy.timers].filter((entry) => !entry.endsWith(`|${key}`))) }
      },
      isListed,
    )
  },
  'a standby is behind': (world, random) =>
    copyChanged(
      world,
      random,
      (copy, task) => copyAt(world, copy, task, random),
      (_, task) => commitsToLack(world, task).length > 0,
    ),
  'a store is lost': (world, random) =>
    copyChanged(world, random, ({ name }) => ({
      name,
      offset: 0,
      checkpoint: undefined,
      rows: new Map(),
      timers: new Set(),
    })),
  'a store is ahead of its changelog': (world, random) =>
    copyChanged(world, random, (copy) => ({ ...copy, offset: copy.offset + 2 })),
}

type Place = {
  readonly topic: string
  readonly partition: number
  readonly at: number
  readonly record: WrittenRecord
}

const placeOf = ({ topic, partition }: Pick<Place, 'topic' | 'partition'>): string => `${topic}/${partition}`
const taskOf = (changelog: string, partition: number): string => taskName(changelog.split('.')[0]!, partition)
const changelogsOf = ({ topology }: World): string[] => topology.stages.map(({ name }) => changelogOf(name))
const topicsOf = ({ topology }: World): string[] => [
  ...topology.topics.map(({ name }) => name),
  ...topology.stages.map(({ name }) => deadOf(name)),
]

function placesOf(
  { topology, records }: World,
  topics: readonly string[],
  isWanted: (list: readonly WrittenRecord[], at: number, compacted: boolean) => boolean,
): Place[] {
  return allTopics(topology)
    .filter(({ name }) => topics.includes(name))
    .flatMap(({ name: topic, partitions, cleanup }) =>
      Array.from({ length: partitions }, (_, partition) => {
        const list = records.get(`${topic}/${partition}`)!
        return list.flatMap((record, at) =>
          isWanted(list, at, cleanup === 'compact') ? [{ topic, partition, at, record }] : [],
        )
      }).flat(),
    )
}

/** Each topic as likely as another, however much it holds. */
function picked(places: readonly Place[], random: Random): Place {
  const topic = random.pick([...new Set(places.map(({ topic }) => topic))])
  return random.pick(places.filter((place) => place.topic === topic))
}

function changed(world: World, random: Random, places: readonly Place[], by: Change): World {
  const place = picked(places, random)
  return change(world, placeOf(place), by, place.at)
}

function change(world: World, place: string, by: Change, at = 0): World {
  return { ...world, records: new Map(world.records).set(place, by(world.records.get(place)!, at)) }
}

/** Written by one task, so that their order is no chance. */
function isPair(a: WrittenRecord, b: WrittenRecord): boolean {
  const differs = a.timestampMs !== b.timestampMs || !(a.value ?? empty).equals(b.value ?? empty)
  return a.writer === b.writer && a.kind === b.kind && a.key === b.key && differs
}

const empty = Buffer.alloc(0)

function flipped(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  const at = random.between(0, bytes.length - 1)
  copy[at] = copy[at]! ^ (1 << random.between(0, 7))
  return copy
}

function without({ rows }: Copy, key: string): ReadonlyMap<string, Buffer> {
  return new Map([...rows].filter(([other]) => other !== key))
}

function copiesChanged(world: World, task: string, by: (copy: Copy) => Copy): World {
  return { ...world, copies: new Map(world.copies).set(task, world.copies.get(task)!.map(by)) }
}

/** Of some task either the copy that ran or the standby. */
function copyChanged(
  world: World,
  random: Random,
  by: (copy: Copy, task: string) => Copy,
  isFit: (copy: Copy, task: string) => boolean = ({ rows }) => rows.size > 0,
): World {
  const [task, copies] = random.pick([...world.copies].filter(([task, [copy]]) => isFit(copy!, task)))
  const at = random.between(0, 1)
  return { ...world, copies: new Map(world.copies).set(task, copies.with(at, by(copies[at]!, task))) }
}

/** What the store held some commits ago. */
function copyAt(world: World, copy: Copy, task: string, random: Random): Copy {
  const last = random.pick(commitsToLack(world, task))
  const rows = new Map<string, Buffer>()
  for (const { kind, key, value } of changelogFor(world, task).slice(0, last + 1)) {
    if (kind === 'checkpoint') continue
    if (value) rows.set(key, value)
    else rows.delete(key)
  }
  const { offset, value } = changelogFor(world, task)[last]!
  return { ...copy, offset: offset + 1, checkpoint: value!, rows }
}

/** Where commits end in the changelog, after which there are more than a copy may lack. */
function commitsToLack(world: World, task: string): number[] {
  const ends = changelogFor(world, task).flatMap(({ kind }, at) => (kind === 'checkpoint' ? [at] : []))
  const source = task.startsWith(`${world.topology.stages[0]!.name}/`)
  return ends.slice(0, Math.max(0, ends.length - 1 - (source ? ticksUnseenMax : 0)))
}

function changelogFor({ records }: World, task: string): readonly WrittenRecord[] {
  const [stage, partition] = task.split('/')
  return records.get(`${changelogOf(stage!)}/${partition}`)!
}
