/**
 * One stage once more, from its inbox. The inbox holds the whole interleaving, with markers and ticks at their places; so
 * what comes out is what came out, byte for byte, as long as the inbox is read from its beginning.
 */
import type { Log } from '../../runtime/log.ts'
import { Progress } from '../../runtime/progress.ts'
import { Runner } from '../../runtime/runner.ts'
import { stageOf } from '../../runtime/stage.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { allTopics, changelogOf, deadOf, taskName } from '../../runtime/topology.ts'
import { checkpointKey } from '../changelog-tail.ts'
import { deployedTopology } from '../deployed-topology.ts'
import { totalsOf } from '../totals.ts'
import { InboxLog } from './inbox-log.ts'
import type { Live } from './live.ts'
import { manifestsOf } from './manifests.ts'
import { inputOffsetsOf } from './progress.ts'
import { type Bounds, firstFrom, type Range, rangesOf, sizeOf } from './ranges.ts'
import {
  type Progressing,
  type ReplayResult,
  replayLog,
  requireSame,
  requireUnpromoted,
  storesFolder,
} from './replay.ts'

export type ReprocessOptions = Progressing & Bounds & { readonly name: string; readonly stage: string }

/** Begins a replay, goes on with one that was interrupted, or catches up with what has come since; `from` counts for a beginning alone. */
export async function reprocess(live: Live, options: ReprocessOptions): Promise<ReplayResult> {
  const startedAt = performance.now()
  const { name, stage, onStart, onProgress } = options
  const { log, codec, definitions } = live
  await requireUnpromoted(live, name)
  const shadow = replayLog(live.base, name)
  const topology = deployedTopology(live.topics)
  await requireSame(topology, shadow, name, stage)
  const declared = topology.stages.find((each) => each.name === stage)!
  const { inbox } = stageOf(topology, stage)
  const own = new Set([...declared.emits, changelogOf(stage), deadOf(stage)].filter((topic) => topic !== inbox.name))
  await shadow.createTopics(allTopics(topology).filter((topic) => own.has(topic.name)))
  const ranges = await processedOf(live, stage, inbox.partitions, await rangesOf(log, inbox, options))
  for (const [partition, range] of ranges.entries()) await begin(live, shadow, stage, inbox.name, partition, range)

  const stores = new RocksStores(await storesFolder(live, name))
  try {
    let records = 0
    const runner = await Runner.start({
      topology,
      log: new InboxLog(log, shadow, inbox.name, ranges),
      stores,
      codec,
      definitions,
      limits: defaultLimits,
      observer: {
        committed: (_, batch) => {
          records += batch.records
          onProgress?.(records)
        },
      },
      stages: [stage],
    })
    const done = runner.tasks.map(({ inputOffset }, partition) => ({ from: ranges[partition]!.from, to: inputOffset }))
    onStart?.(sizeOf(ranges) - sizeOf(done))
    await runner.drain()
    const totals = totalsOf(runner.tasks)
    await runner.stop()
    return { name, stage, records, ...totals, seconds: Math.round(performance.now() - startedAt) / 1000 }
  } finally {
    await stores.close()
  }
}

/** As far as the live stage has come: beyond there is nothing yet that the replay could be compared with. */
async function processedOf(
  { log, codec }: Live,
  stage: string,
  partitions: number,
  ranges: readonly Range[],
): Promise<readonly Range[]> {
  const processed = await inputOffsetsOf(log, codec, stage, partitions)
  return ranges.map(({ from, to }, partition) => ({ from, to: Math.max(from, Math.min(to, processed[partition]!)) }))
}

/** A task that is not to begin at the first offset gets a checkpoint to begin from: with no state, and the definitions of then. */
async function begin(
  { log, codec, generation }: Live,
  shadow: Log,
  stage: string,
  inbox: string,
  partition: number,
  { from }: Range,
): Promise<void> {
  const topic = changelogOf(stage)
  if (from === 0 || (await shadow.ends(topic, partition)).stable > 0) return
  const first = await firstFrom(log, inbox, partition, from)
  const progress = new Progress()
  progress.inputOffset = from
  progress.generation = generation.number
  for (const { tenant, hash } of await manifestsOf(log, codec, first?.timestampMs))
    progress.definitions.set(tenant, hash)
  const value = codec.encode('Checkpoint', progress.checkpoint())
  const writer = await shadow.writer(taskName(stage, partition))
  const record = {
    topic,
    partition,
    kind: checkpointKey,
    key: checkpointKey,
    value,
    timestampMs: first?.timestampMs ?? 0,
  }
  await writer.commit({ outputs: [record] })
  await writer.close()
}
