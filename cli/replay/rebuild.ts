/**
 * All stages once more, from the events of events.raw: in the order of their log time, over as many partitions as one
 * likes, under the definitions that are in force now. What else is in events.raw is made anew: what was learned by the
 * stages themselves, ticks by the events' own time.
 */
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { type AddressedRecord, controlKinds } from '../../runtime/record.ts'
import { Runner } from '../../runtime/runner.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { allTopics, definitionsTopic, inboxOf, type Topology, topicOf } from '../../runtime/topology.ts'
import { Turns, tasksHere } from '../../runtime/turns.ts'
import type { Partitions } from '../../topologies/customer-data.ts'
import { deployedTopology, replayTopology } from '../deployed-topology.ts'
import { type FeedItem, type FeedParts, feed, feedPositions } from '../feed.ts'
import { totalsOf } from '../totals.ts'
import type { Live } from './live.ts'
import { manifestsOf } from './manifests.ts'
import { type Bounds, type Range, rangesOf, recordsIn, sizeOf } from './ranges.ts'
import {
  type Progressing,
  type ReplayResult,
  replayLog,
  requireSame,
  requireUnpromoted,
  storesFolder,
} from './replay.ts'

const rawTopic = 'events.raw'

export type RebuildOptions = Progressing &
  Bounds & {
    readonly name: string
    /** Of the stages named; the others have as many as live. */
    readonly partitions: Partial<Partitions>
  }

/**
 * Begins a replay, goes on with one that was interrupted, or catches up with what has come since. TOPIC_MISMATCH when it
 * was begun with other partitions, INPUT_INVALID when it is to begin elsewhere, OFFSET_OUT_OF_RANGE when retention has
 * passed the place where it stopped.
 */
export async function rebuild(live: Live, options: RebuildOptions): Promise<ReplayResult> {
  const startedAt = performance.now()
  const { name, onStart, onProgress } = options
  const { codec, definitions } = live
  await requireUnpromoted(live, name)
  const shadow = replayLog(live.base, name)
  const topology = replayTopology(live.topics, options.partitions)
  await requireSame(topology, shadow, name, null)
  await shadow.createTopics(allTopics(topology).filter((topic) => topic.name !== definitionsTopic))
  const ranges = await nextPortion(live, shadow, options)
  const stores = new RocksStores(await storesFolder(live, name))
  try {
    await bringIntoForce(live, shadow, topology)
    const parts = { topology, log: shadow, stores, codec, definitions, limits: defaultLimits, observer: {} }
    const runner = await Runner.start(parts)
    onStart?.(sizeOf(ranges))
    const turns = new Turns({ ...parts, tasks: tasksHere(runner.tasks) })
    const records = await feedPortion(live.log, { log: shadow, codec, topology, turns }, ranges, onProgress)
    const totals = totalsOf(runner.tasks)
    await runner.stop()
    const seconds = Math.round(performance.now() - startedAt) / 1000
    return { name, stage: null, records, ...totals, seconds }
  } finally {
    await stores.close()
  }
}

/** Feeds the events of ranges of `from` into the log of a replay, once. Answers how many records were read now. */
export async function feedPortion(
  from: Log,
  to: FeedParts,
  ranges: readonly Range[],
  onProgress: Progressing['onProgress'],
): Promise<number> {
  const history = new History(from, ranges)
  await feed(to, {
    id: portionId(ranges),
    items: history.events(),
    // As far as live was: what was due by then has fired.
    endMs: () => history.lastMs,
    onProgress: () => onProgress?.(history.read),
  })
  return history.read
}

/** How many records of events.raw a replay has not read yet. */
export async function rebuildLag(log: Log, codec: Live['codec'], name: string): Promise<number> {
  const last = lastPortion((await feedPositions(replayLog(log, name), codec)).keys())
  let lag = 0
  for (const [partition, { to }] of (last ?? []).entries()) lag += (await log.ends(rawTopic, partition)).stable - to
  return lag
}

// --- what is read ---

/** The events of a part of events.raw, merged by log time; the same ones in the same order whenever they are read. */
class History {
  /** Records so far, of all kinds. */
  read = 0
  /** Their log time. */
  lastMs = Number.NEGATIVE_INFINITY
  readonly #log: Log
  readonly #ranges: readonly Range[]

  constructor(log: Log, ranges: readonly Range[]) {
    this.#log = log
    this.#ranges = ranges
  }

  /**
   * A record that is behind the one before it in its partition, because the clocks of two collectors disagree, has the
   * log time of that one: so far its task's clock had come when it was live, too.
   */
  async *events(): AsyncGenerator<FeedItem> {
    const heads = await Promise.all(this.#ranges.map((range, partition) => this.#open(range, partition)))
    for (;;) {
      let first: Head | undefined
      for (const head of heads)
        if (head.item && (!first?.item || head.item.logTimeMs < first.item.logTimeMs)) first = head
      if (!first?.item) return
      yield first.item
      await first.next()
    }
  }

  async #open(range: Range, partition: number): Promise<Head> {
    const records = recordsIn(this.#log, rawTopic, partition, range)
    let clockMs = Number.NEGATIVE_INFINITY
    const head: Head = {
      item: undefined,
      next: async () => {
        head.item = undefined
        for (;;) {
          const { value: record, done } = await records.next()
          if (done) return
          this.read++
          // Has the time of whoever applied it, or gave it, and moves no clock.
          if (record.kind === controlKinds.marker || record.kind === controlKinds.turn) continue
          clockMs = Math.max(clockMs, record.timestampMs)
          this.lastMs = Math.max(this.lastMs, clockMs)
          if (record.kind !== 'event' || !record.value) continue
          head.item = { logTimeMs: clockMs, key: record.key, raw: record.value }
          return
        }
      },
    }
    await head.next()
    return head
  }
}

/** The next event of a partition; undefined when it has no more. */
type Head = { item: FeedItem | undefined; next(): Promise<void> }

// --- portions: a replay reads fixed ranges of offsets, one after the other, and each is a feed ---

/** Of what is in `log`, the live one: what the replay was reading when it was interrupted, or what it has not read yet. */
export async function nextPortion(
  { log, codec }: Pick<Live, 'log' | 'codec'>,
  shadow: Log,
  bounds: Bounds & { readonly name: string },
): Promise<readonly Range[]> {
  const topic = topicOf(deployedTopology(await log.topics()), rawTopic)
  const positions = await feedPositions(shadow, codec)
  const last = lastPortion(positions.keys())
  if (!last) return rangesOf(log, topic, bounds)
  if (bounds.from)
    throw new MillraceError(
      'INPUT_INVALID',
      `the replay ${bounds.name} has begun, and goes on from where it is; leave out --from, or choose another name`,
    )
  const ended = positions.get(portionId(last))?.ended
  const places = new Map(last.map(({ from, to }, partition) => [partition, ended ? to : from]))
  const left = await rangesOf(log, topic, { ...bounds, from: { offsets: places } })
  const passed = left.findIndex(({ from }, partition) => from > places.get(partition)!)
  if (passed >= 0)
    throw new MillraceError(
      'OFFSET_OUT_OF_RANGE',
      `the replay ${bounds.name} needs offset ${places.get(passed)} of ${rawTopic}/${passed}, which retention has passed; begin another`,
      { place: { topic: rawTopic, partition: passed } },
    )
  return ended ? left : last
}

const portionId = (ranges: readonly Range[]): string =>
  `replay of ${rawTopic} ${ranges.map(({ from, to }) => `${from}-${to}`).join(' ')}`

/** The one that reaches farthest. */
function lastPortion(ids: Iterable<string>): readonly Range[] | undefined {
  const portions = [...ids].map((id) =>
    [...id.matchAll(/(\d+)-(\d+)/g)].map(([, from, to]) => ({ from: Number(from), to: Number(to) })),
  )
  const end = (ranges: readonly Range[]) => ranges.reduce((sum, { to }) => sum + to, 0)
  return portions.sort((a, b) => end(a) - end(b)).at(-1)
}

/** A marker in every inbox of the replay: under what is in force live now it goes on. */
async function bringIntoForce({ log, codec }: Live, shadow: Log, topology: Topology): Promise<void> {
  const outputs: AddressedRecord[] = []
  for (const { tenant, version, hash, timestampMs } of await manifestsOf(log, codec)) {
    const marker = { kind: controlKinds.marker, key: tenant, timestampMs }
    const value = codec.encode('Marker', { tenant, version, hash })
    for (const stage of topology.stages) {
      const { name: topic, partitions } = inboxOf(topology, stage)
      for (let partition = 0; partition < partitions; partition++) outputs.push({ topic, partition, ...marker, value })
    }
  }
  const writer = await shadow.writer('definitions')
  await writer.commit({ outputs })
  await writer.close()
}
