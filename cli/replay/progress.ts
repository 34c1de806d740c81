/** How far the tasks of a stage are, live or in a replay. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import type { Checkpoint } from '../../schemas/avro/types.ts'
import { ChangelogTail } from '../changelog-tail.ts'

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
export function checkpointsOf(
  log: Log,
  codec: Codec,
  stage: string,
  partitions: number,
): Promise<readonly (Checkpoint | undefined)[]> {
  const tasks = Array.from({ length: partitions }, (_, partition) => partition)
  return Promise.all(tasks.map((partition) => new ChangelogTail(log, codec, stage, partition).checkpoint()))
}
