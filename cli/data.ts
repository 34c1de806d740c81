/** Looking into a data folder while nothing runs on it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Codec } from '../runtime/codec.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { openLog } from './engine.ts'
import type { Deployment } from './place.ts'

/** Opens the log for the time of `use`. NOT_FOUND when the folder holds none; DATA_LOCKED when something runs on it. */
export function withLog<Result>(dataFolder: string, use: (log: Log, codec: Codec) => Promise<Result>): Promise<Result> {
  return withFolder(dataFolder, ({ log, codec }) => use(log, codec))
}

/** As `withLog`, with all there is to know of it. */
export async function withFolder<Result>(
  dataFolder: string,
  use: (deployment: Deployment) => Promise<Result>,
): Promise<Result> {
  if (!existsSync(join(dataFolder, 'log')))
    throw new MillraceError('NOT_FOUND', `there is no data in ${dataFolder} yet; \`millrace start\` makes some`)
  const opened = await openLog(dataFolder)
  try {
    return await use(opened)
  } finally {
    await opened.base.close()
  }
}

/** The number of a topic's partitions. TOPIC_UNKNOWN, with the topics there are. */
export async function partitionsOf(log: Log, topic: string): Promise<number> {
  const topics = await log.topics()
  const found = topics.find(({ name }) => name === topic)
  if (found) return found.partitions
  const names = topics.map(({ name }) => `  ${name}`).sort()
  throw new MillraceError('TOPIC_UNKNOWN', [`there is no topic ${topic}; there are:`, ...names].join('\n'))
}
