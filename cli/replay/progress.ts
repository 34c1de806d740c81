/** How far the tasks of a stage are, live or in a replay. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { changelogOf } from '../../runtime/topology.ts'
import type { Checkpoint } from '../../schemas/avro/types.ts'
import { batchesOf } from '../topics.ts'

/** Key and kind of the checkpoint in a changelog. */
export const checkpointKey = 'checkpoint'

const tailRecords = 10_000

/** Next offsets of the inbox, by partition, as the last checkpoints tell; 0 where there is none. */
export async function inputOffsetsOf(
  log: Log,
  codec: Codec,
  stage: string,
  partitions: number,
): Promise<readonly number[]> {
  const checkpoints = await checkpointsOf(log, codec, stage, partitions)
  return checkpoints.map((checkpoint) => checkpoint?.inputOffset ?? 0)
}

/** The last checkpoint of each task of a stage. */
export async function checkpointsOf(
  log: Log,
  codec: Codec,
  stage: string,
  partitions: number,
): Promise<readonly (Checkpoint | undefined)[]> {
  const topic = changelogOf(stage)
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { start, stable } = await log.ends(topic, partition)
      // Each commit ends with one: most often the last records have it.
      const tail = Math.max(start, stable - tailRecords)
      return (
        (await lastFrom(log, codec, topic, partition, tail)) ?? (await lastFrom(log, codec, topic, partition, start))
      )
    }),
  )
}

async function lastFrom(
  log: Log,
  codec: Codec,
  topic: string,
  partition: number,
  offset: number,
): Promise<Checkpoint | undefined> {
  let last: Buffer | null | undefined
  for await (const batch of batchesOf(log, topic, partition, offset))
    for (const { key, value } of batch) if (key === checkpointKey) last = value
  return last ? codec.decode('Checkpoint', last) : undefined
}
