/**
 * Hand-overs under way, as the survivor sees them. GRAPH's order and the parts of the hand-over come by different ways,
 * in any order; the pair is settled, and forgotten, when the order and all parts have been seen.
 *
 *   order ──► announced ──all parts──► settled          pending: some part is still to come
 *   part  ──► under way ──all parts──► complete ──order──► settled
 *
 * A profile that leaves takes what it waits for along: the order it saw counts for the one it goes to, and the parts
 * come after it by the same way, so that they cannot overtake.
 */
import { invariant } from '../../runtime/errors.ts'
import type { Handover, MergeOrder, PendingHandover } from '../../schemas/avro/types.ts'

export function announce(handovers: readonly PendingHandover[], order: MergeOrder): readonly PendingHandover[] {
  return note(handovers, { mergeId: order.mergeId, from: order.from, announced: true, partsSeen: 0, parts: 0 })
}

/** Notes a part, and what the profile that comes was itself waiting for. */
export function arrive(handovers: readonly PendingHandover[], handover: Handover): readonly PendingHandover[] {
  const { mergeId, from, parts } = handover
  const noted = note(handovers, { mergeId, from, announced: false, partsSeen: 1, parts })
  return handover.handovers.reduce(note, noted)
}

/** Whether events are missing that are known to be on their way. */
export function isPending(handovers: readonly PendingHandover[]): boolean {
  return handovers.some(({ parts, partsSeen }) => parts === 0 || partsSeen < parts)
}

function note(handovers: readonly PendingHandover[], news: PendingHandover): readonly PendingHandover[] {
  const known = handovers.find(({ mergeId }) => mergeId === news.mergeId)
  const next: PendingHandover = known
    ? {
        ...known,
        announced: known.announced || news.announced,
        partsSeen: known.partsSeen + news.partsSeen,
        parts: Math.max(known.parts, news.parts),
      }
    : news
  invariant(next.parts === 0 || next.partsSeen <= next.parts, 'each part of a hand-over comes once')
  const others = known ? handovers.filter((each) => each !== known) : handovers
  const settled = next.announced && next.parts > 0 && next.partsSeen === next.parts
  return settled ? others : [...others, next]
}
