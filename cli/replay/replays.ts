/** The replays and generations that a deployment keeps: listed, and deleted with all that is of them. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../runtime/errors.ts'
import type { TopicSpec } from '../../runtime/log.ts'
import { deployedTopology } from '../deployed-topology.ts'
import {
  firstGeneration,
  generationLog,
  generationsOf,
  ownTopics,
  replayPrefix,
  storesFolderOf,
} from '../generation.ts'
import type { Deployment } from '../place.ts'
import { rebuildLag } from './rebuild.ts'
import { replayedStage, replayLog, replayStores } from './replay.ts'

export type ListedReplay = {
  readonly name: string
  /** Of the promotion; null for a replay. */
  readonly generation: number | null
  readonly inForce: boolean
  /** Whose inbox it reads; null: all stages. */
  readonly stage: string | null
  readonly topics: number
}

/** Where stores are, on this machine. */
export type StoreFolders = { readonly folder: string; readonly storesFolder: string }

/** Generations first, in their order; those that were deleted are not among them. */
export async function listReplays({ base, log, generation }: Deployment): Promise<readonly ListedReplay[]> {
  const topics = await base.topics()
  const topology = deployedTopology(await log.topics())
  const generations = await generationsOf(base)
  const promoted = generations.map(({ name }) => name)
  const replays = new Set(topics.flatMap(({ name }) => /^replay\.([^.]+)\./.exec(name)?.[1] ?? []))
  const names = [...promoted, ...[...replays].filter((name) => !promoted.includes(name)).sort()]
  const listed: ListedReplay[] = []
  for (const name of names) {
    const own = topicsOf(name, topics)
    if (own.length === 0) continue
    const number = promoted.indexOf(name)
    const stage = number < 0 ? await replayedStage(topology, replayLog(base, name), name) : null
    listed.push({
      name,
      generation: number < 0 ? null : number,
      inForce: number === generation.number,
      stage,
      topics: own.length,
    })
  }
  return listed
}

/**
 * Deletes topics and, on this machine, stores. Answers how many topics there were. NOT_FOUND when there is nothing of the
 * name; INPUT_INVALID when it is in force, or events have come to it that the one in force has not taken over.
 */
export async function deleteReplay(
  { base, codec, generation }: Deployment,
  { folder, storesFolder }: StoreFolders,
  name: string,
): Promise<number> {
  const topics = topicsOf(name, await base.topics())
  if (topics.length === 0) throw new MillraceError('NOT_FOUND', `there is no replay ${name}`)
  if (generation.name === name)
    throw new MillraceError('INPUT_INVALID', `${name} is in force; another one has to be promoted first`)
  const generations = await generationsOf(base)
  const former = generations.find((each) => each.name === name)
  if (former?.number === generation.number - 1) {
    const behind = await rebuildLag(generationLog(base, former), codec, generation.name)
    if (behind > 0)
      throw new MillraceError(
        'INPUT_INVALID',
        `${behind} records have come to ${name} since; \`millrace replay promote --name ${generation.name}\` takes them over`,
      )
  }
  await base.deleteTopics(topics)
  await rm(replayStores(folder, name), { recursive: true, force: true })
  if (former && former.number > 0) await rm(storesFolderOf(storesFolder, former), { recursive: true, force: true })
  if (former?.number === 0) await removeTasks(storesFolder)
  return topics.length
}

/** All below its prefix; of the first generation, which has none, those that each has of its own. */
function topicsOf(name: string, topics: readonly TopicSpec[]): readonly string[] {
  const names = topics.map(({ name }) => name)
  if (name === firstGeneration.name) return names.filter((topic) => ownTopics.has(topic))
  const prefix = replayPrefix(name)
  return names.filter((topic) => topic.startsWith(prefix))
}

/** The stores of the first generation stand beside what else is in the folder. */
async function removeTasks(storesFolder: string): Promise<void> {
  const entries = await readdir(storesFolder).catch(() => [])
  for (const entry of entries)
    if (/^(identify|graph|profile)-\d+$/.test(entry)) await rm(join(storesFolder, entry), { recursive: true })
}
