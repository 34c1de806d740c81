/**
 * A replay: what the log holds, run once more into topics and stores of its own, beside those that are live. What a
 * replay writes for destinations no connector reads: nobody is activated.
 */
import { join } from 'node:path'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log, TopicSpec } from '../../runtime/log.ts'
import { PrefixedLog } from '../../runtime/prefixed-log.ts'
import { changelogOf, type Topology } from '../../runtime/topology.ts'
import { makeFolder } from '../engine.ts'
import { generationsOf, replayPrefix } from '../generation.ts'
import type { Totals } from '../totals.ts'
import type { Live } from './live.ts'

export type ReplayResult = Totals & {
  readonly name: string
  /** Whose inbox was read again; null: all stages, from events.raw. */
  readonly stage: string | null
  /** Records that this run has read, control records included. */
  readonly records: number
  readonly seconds: number
}

export type Progressing = {
  /** Called once, with the records to read. */
  readonly onStart?: (records: number) => void
  /** Called with those that are done. */
  readonly onProgress?: (records: number) => void
}

export const replayLog = (log: Log, name: string): PrefixedLog => new PrefixedLog(log, replayPrefix(name))

/** Which stage a replay is of, as its topics tell; null: of all. NOT_FOUND when there is no replay of the name. */
export async function replayedStage(topology: Topology, shadow: PrefixedLog, name: string): Promise<string | null> {
  const found = stagesIn(topology, await shadow.topics())
  if (found.length === 0)
    throw new MillraceError('NOT_FOUND', `there is no replay ${name}; \`millrace replay --name ${name}\` makes one`)
  return found.length === 1 ? found[0]! : null
}

/** INPUT_INVALID when the replay was begun as one of something else. */
export async function requireSame(
  topology: Topology,
  shadow: PrefixedLog,
  name: string,
  stage: string | null,
): Promise<void> {
  const found = stagesIn(topology, await shadow.topics())
  if (found.length === 0 || (stage === null ? found.length > 1 : found.length === 1 && found[0] === stage)) return
  const what = found.length === 1 ? `the stage ${found[0]}` : 'all stages'
  throw new MillraceError('INPUT_INVALID', `the replay ${name} was begun as one of ${what}; choose another name`)
}

/** INPUT_INVALID when the replay is a generation, or was one: its topics are no longer those of a replay. */
export async function requireUnpromoted({ base }: Live, name: string): Promise<void> {
  if ((await generationsOf(base)).some((generation) => generation.name === name))
    throw new MillraceError('INPUT_INVALID', `the replay ${name} was promoted; choose another name`)
}

function stagesIn({ stages }: Topology, topics: readonly TopicSpec[]): readonly string[] {
  const names = new Set(topics.map(({ name }) => name))
  return stages.map(({ name }) => name).filter((name) => names.has(changelogOf(name)))
}

/** Where the stores of a replay are, below the folder of a process. */
export const replayStores = (folder: string, name: string): string => join(folder, 'replay', name)

export async function storesFolder({ folder }: Live, name: string): Promise<string> {
  const stores = replayStores(folder, name)
  await makeFolder(stores)
  return stores
}
