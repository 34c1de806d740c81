/** The refusals that all log adapters word alike. */
import { MillraceError } from './errors.ts'
import type { PartitionEnds, TopicSpec } from './log.ts'

/** TOPIC_MISMATCH unless a topic that exists has the partitions asked for. */
export function requireSamePartitions(existing: TopicSpec, asked: TopicSpec): void {
  if (existing.partitions === asked.partitions) return
  throw new MillraceError(
    'TOPIC_MISMATCH',
    `topic ${asked.name} has ${existing.partitions} partitions, expected ${asked.partitions}`,
    { place: { topic: asked.name } },
  )
}

/** OFFSET_OUT_OF_RANGE unless the offset is one a reader may fetch from. */
export function requireInRange(
  topic: string,
  partition: number,
  offset: number,
  { start, stable }: Pick<PartitionEnds, 'start' | 'stable'>,
): void {
  if (offset >= start && offset <= stable) return
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${offset} of ${topic}/${partition} is outside of what is there, ${start} to ${stable}`,
    { place: { topic, partition, offset } },
  )
}

export function unknownPartition(topic: string, partition: number): MillraceError {
  return new MillraceError('TOPIC_UNKNOWN', `there is no partition ${partition} of a topic ${topic}`, {
    place: { topic, partition },
  })
}
