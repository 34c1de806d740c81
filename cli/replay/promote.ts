/**
 * Switching over to a replay: from then on the deployment goes on where the replay is, and what readers knew before counts
 * as said.
 *
 *   stopped ─► caught up ─► told what readers know ─► in force
 *
 * One record brings it into force. Whatever ends the work before has changed nothing, but for the replay itself; whatever
 * ends it after, nothing is left to do. So it may be run again at any time.
 */
import { mkdir, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Codec } from '../../runtime/codec.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { type AddressedRecord, controlKinds } from '../../runtime/record.ts'
import { changelogOf, inboxOf, type Topology, taskName } from '../../runtime/topology.ts'
import { deployedTopology, replayTopology } from '../deployed-topology.ts'
import { noTurns } from '../feed.ts'
import {
  type Generation,
  generationLog,
  generationRecord,
  generationsOf,
  generationsTopic,
  storesFolderOf,
} from '../generation.ts'
import { adoptionsOf } from './adoptions.ts'
import type { Live } from './live.ts'
import { checkpointsOf } from './progress.ts'
import { sizeOf } from './ranges.ts'
import { feedPortion, nextPortion, rebuild, rebuildLag } from './rebuild.ts'
import { type Progressing, replayedStage, replayLog, replayStores } from './replay.ts'

export type Promotion = {
  readonly name: string
  readonly generation: number
  /** Of profiles and aliases that the replay was told of; 0 when it was in force before. */
  readonly adopted: number
  /** Records of events.raw that had come to where the generation before reads, and were taken over now. */
  readonly takenOver: number
}

export type PromoteOptions = Progressing & {
  readonly name: string
  /** Called at each step; tests end the work there. */
  readonly at?: (step: 'caught up' | 'told' | 'in force') => void
}

const catchUpsMax = 3
const chunkRecords = 1000
const chunkBytes = 4 << 20

/**
 * NOT_FOUND when there is no replay of the name, INPUT_INVALID when it is of one stage alone or was a generation before,
 * STILL_RUNNING when the deployment runs or has been started meanwhile, FENCED or GENERATION_ENDED when there has been
 * another promotion meanwhile. Run again on the one in force it takes over what a collector that was not stopped still sent
 * to the generation before.
 */
export async function promote(live: Live, options: PromoteOptions): Promise<Promotion> {
  const { base, log, codec } = live
  const { name, at } = options
  if (live.generation.number > 0 && live.generation.name === name) return takeOver(live)
  const shadow = replayLog(base, name)
  if ((await replayedStage(deployedTopology(live.topics), shadow, name)) !== null)
    throw new MillraceError('INPUT_INVALID', `the replay ${name} is one of a single stage; only one of all can go on`)

  // Of two promotions the later one ends the other.
  const writer = await base.writer('promote')
  const generations = await generationsOf(base)
  if (generations.length > live.generation.number + 1)
    throw new MillraceError('GENERATION_ENDED', `the replay ${generations.at(-1)!.name} was promoted meanwhile`)
  await live.requireStopped()
  await fence(live)
  const deployed = deployedTopology(live.topics)
  const before = await commitsOf(log, deployed)
  const { partitions, topology } = await ofReplay(live, shadow)
  for (let i = 0; i === 0 || (i < catchUpsMax && (await rebuildLag(log, codec, name)) > 0); i++)
    await rebuild(live, { ...options, partitions })
  at?.('caught up')

  const next: Generation = { number: generations.length, name }
  await base.createTopics([generationsTopic])
  const replayed = await commitsOf(shadow, topology)
  const adopted = await tell(live, shadow, topology, next)
  at?.('told')
  await live.requireStopped()
  if ((await commitsOf(log, deployed)) !== before || (await commitsOf(shadow, topology)) !== replayed)
    throw new MillraceError(
      'STILL_RUNNING',
      'the deployment or the replay has been started meanwhile; stop it, and promote again',
    )
  await writer.commit({ outputs: [generationRecord(next, Date.now())] })
  await writer.close()
  at?.('in force')

  await moveStores(live, next)
  return { name, generation: next.number, adopted, takenOver: 0 }
}

/** No task of the generation before commits from then on, unless somebody starts it again. */
async function fence({ log, topics }: Live): Promise<void> {
  const topology = deployedTopology(topics)
  for (const stage of topology.stages)
    for (let partition = 0; partition < inboxOf(topology, stage).partitions; partition++)
      await (await log.writer(taskName(stage.name, partition))).close()
}

/** A text that is another once any task has committed. */
async function commitsOf(log: Log, topology: Topology): Promise<string> {
  const ends: number[] = []
  for (const stage of topology.stages)
    for (let partition = 0; partition < inboxOf(topology, stage).partitions; partition++)
      ends.push((await log.ends(changelogOf(stage.name), partition)).stable)
  return ends.join(' ')
}

/** The partitions and the topology that it was begun with. */
async function ofReplay({ topics }: Live, shadow: Log) {
  const inboxes = new Map((await shadow.topics()).map(({ name, partitions }) => [name, partitions]))
  const { stages } = deployedTopology(topics)
  const partitions = Object.fromEntries(stages.map(({ name, inbox }) => [name, inboxes.get(inbox)!]))
  return { partitions, topology: replayTopology(topics, partitions) }
}

/** What it will be, and what readers know: in its inboxes, before all that is to come. Answers how many records it took. */
async function tell({ log, codec }: Live, shadow: Log, topology: Topology, generation: Generation): Promise<number> {
  const atMs = await clockOf(shadow, codec, topology)
  const writer = await shadow.writer('promote')
  await writer.commit({ outputs: generationRecords(topology, codec, generation, atMs) })
  let adopted = 0
  let chunk: AddressedRecord[] = []
  let bytes = 0
  const commit = async (): Promise<void> => {
    if (chunk.length > 0) await writer.commit({ outputs: chunk })
    adopted += chunk.length
    chunk = []
    bytes = 0
  }
  for await (const record of adoptionsOf(log, shadow, codec, { topology, atMs })) {
    chunk.push(record)
    bytes += record.value?.length ?? 0
    if (chunk.length >= chunkRecords || bytes >= chunkBytes) await commit()
  }
  await commit()
  await writer.close()
  return adopted
}

function generationRecords(
  topology: Topology,
  codec: Codec,
  { number }: Generation,
  timestampMs: number,
): AddressedRecord[] {
  const value = codec.encode('Generation', { number })
  return topology.stages.flatMap((stage) => {
    const { name: topic, partitions } = inboxOf(topology, stage)
    return Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      kind: controlKinds.generation,
      key: 'generation',
      value,
      timestampMs,
    }))
  })
}

/** As far as log time has come in the replay. */
async function clockOf(shadow: Log, codec: Codec, topology: Topology): Promise<number> {
  const [source] = topology.stages
  const { partitions } = inboxOf(topology, source!)
  const checkpoints = await checkpointsOf(shadow, codec, source!.name, partitions)
  return Math.max(0, ...checkpoints.flatMap((checkpoint) => Object.values(checkpoint?.clocks ?? {})))
}

/** The stores of the replay are those of the generation: what is not moved would be restored from its changelogs. */
async function moveStores({ folder, storesFolder }: Live, generation: Generation): Promise<void> {
  const to = storesFolderOf(storesFolder, generation)
  await mkdir(dirname(to), { recursive: true })
  await rename(replayStores(folder, generation.name), to)
}

/** What has come into events.raw of the generation before since the replay last read it. */
async function takeOver(live: Live): Promise<Promotion> {
  const { base, codec, generation } = live
  const former = (await generationsOf(base))[generation.number - 1]!
  const result = { name: generation.name, generation: generation.number, adopted: 0 }
  const log = generationLog(base, former)
  const shadow = replayLog(base, generation.name)
  const topology = deployedTopology(live.topics)
  if (!(await log.topics()).some(({ name }) => name === topology.stages[0]!.inbox)) return { ...result, takenOver: 0 }
  const ranges = await nextPortion({ log, codec }, shadow, { name: generation.name })
  if (sizeOf(ranges) === 0) return { ...result, takenOver: 0 }
  const to = { log: shadow, codec, topology, turns: noTurns }
  return { ...result, takenOver: await feedPortion(log, to, ranges, undefined) }
}
