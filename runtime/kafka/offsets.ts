/** Where a partition begins and ends. */
import type { Channel } from './channel.ts'
import { requireNoFault } from './faults.ts'

/** What stands for an offset in place of a time. */
export const earliest = -2
export const latest = -1

/** Which end: that of what is committed, or of all that is there. */
export const isolation = { committed: 1, uncommitted: 0 } as const

/** The first offset, or the last stable one, as the leader of the partition knows it. Throws KafkaFault. */
export async function listOffset(
  leader: Channel,
  topic: string,
  partition: number,
  which: number,
  isolationLevel: 0 | 1 = isolation.committed,
): Promise<number> {
  const topics = [{ topic, partitions: [{ partition, timestamp: which }] }]
  const answer = await leader.send('ListOffsets', { replicaId: -1, isolationLevel, topics })
  const [found] = answer.responses[0]!.partitions
  requireNoFault('ListOffsets', found!.errorCode)
  return Number(found!.offset)
}
