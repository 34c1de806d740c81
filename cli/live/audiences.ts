/** Members per segment and the latest transitions: read from the log at the start, then kept up with what is committed. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import type { MembershipTransition } from '../../schemas/avro/types.ts'
import { recordsOf } from '../topics.ts'

export const membershipsTopic = 'segments.memberships'

const latestMax = 64

export class Audiences {
  readonly #codec: Codec
  readonly #members = new Map<string, number>()
  /** Oldest first. */
  #latest: MembershipTransition[] = []

  constructor(codec: Codec) {
    this.#codec = codec
  }

  /** Folds the whole topic; to be called before the tasks run. */
  async load(log: Log, partitions: number): Promise<void> {
    for await (const { kind, value } of recordsOf(log, membershipsTopic, partitions)) {
      if (kind === 'transition' && value) this.#take(this.#codec.decode('MembershipTransition', value))
    }
    this.#latest.sort((a, b) => a.evaluatedAtMs - b.evaluatedAtMs)
  }

  /** Takes the transitions among committed records. Answers those. */
  follow(outputs: readonly AddressedRecord[]): readonly { transition: MembershipTransition; logTimeMs: number }[] {
    const followed = []
    for (const { topic, kind, value, timestampMs } of outputs) {
      if (topic !== membershipsTopic || kind !== 'transition' || !value) continue
      const transition = this.#codec.decode('MembershipTransition', value)
      this.#take(transition)
      followed.push({ transition, logTimeMs: timestampMs })
    }
    return followed
  }

  members(segmentId: string): number {
    return this.#members.get(segmentId) ?? 0
  }

  /** Newest first. */
  get latest(): readonly MembershipTransition[] {
    return this.#latest.toReversed()
  }

  #take(transition: MembershipTransition): void {
    const { segmentId, status } = transition
    this.#members.set(segmentId, this.members(segmentId) + (status === 'entered' ? 1 : -1))
    this.#latest.push(transition)
    if (this.#latest.length >= 2 * latestMax) this.#latest = this.#latest.slice(-latestMax)
  }
}
