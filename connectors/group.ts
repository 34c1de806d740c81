/**
 * The place of this process among those that deliver to one destination: a member of its group, with the partitions that
 * the plans give it.
 *
 * A partition goes from one process to another in two plans. The first takes it away from who has it, who ends the call
 * that is under way, writes its position, and asks for the next, which gives it to the other. So two never deliver it at
 * a time, unless one was stopped for longer than its session in the middle of a call.
 */
import { assign, type Member, type Plan } from '../runtime/assignment.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Coordinator } from '../runtime/coordinator.ts'
import { type Assignment, Membership, type MembershipSettings } from '../runtime/membership.ts'
import { ConnectorRunner, type ConnectorRunnerParts, type ConnectorStatus } from './runner.ts'

export type ConnectorGroupParts = Omit<ConnectorRunnerParts, 'prove' | 'clock'> & {
  /** Names the deployment; the group is `<app>.connect.<destination>`. */
  readonly app: string
  /** The id of the state folder. */
  readonly process: string
  /** host:port where this process can be asked. */
  readonly endpoint: string
  /** The release it runs. */
  readonly version: string
  readonly coordinator: Coordinator
  readonly time: Clock
  readonly membership: MembershipSettings
  assigned(assignment: Assignment): void
  /** What no waiting mends, of the membership: the process should end. */
  failed(error: unknown): void
}

const showPositionsMs = 5000

export class ConnectorGroup {
  readonly #parts: ConnectorGroupParts
  readonly #leaving = new AbortController()
  #runner!: ConnectorRunner
  #membership!: Membership
  #hasPlan = false

  private constructor(parts: ConnectorGroupParts) {
    this.#parts = parts
  }

  /** Joins in the background; partitions come with the plans. */
  static async join(parts: ConnectorGroupParts): Promise<ConnectorGroup> {
    const group = new ConnectorGroup(parts)
    const { app, process, endpoint, version, coordinator, time, topic } = parts
    group.#runner = await ConnectorRunner.start({ ...parts, prove: () => group.#membership.prove() })
    group.#membership = Membership.join({
      group: `${app}.${topic.name}`,
      topic: topic.name,
      process,
      coordinator,
      clock: time,
      settings: parts.membership,
      describe: async () => {
        const held = group.#runner.partitions.map((partition) => ({ partition, role: 'active', lag: 0 }) as const)
        return { endpoint, version, held }
      },
      plan: (members) => planOf(members, topic.partitions),
      assigned: (assignment) => void group.#assigned(assignment).catch(parts.failed),
      failed: parts.failed,
    })
    void group.#showPositions()
    return group
  }

  get hasPlan(): boolean {
    return this.#hasPlan
  }

  get partitions(): readonly number[] {
    return this.#runner.partitions
  }

  get status(): ConnectorStatus {
    return this.#runner.status
  }

  positionOf(partition: number): number | undefined {
    return this.#runner.positionOf(partition)
  }

  /** Lets go of all partitions, and then of the place: others take over at once. */
  async leave(): Promise<void> {
    this.#leaving.abort()
    await this.#runner.stop()
    await this.#membership.leave({ keepPlace: false })
    await this.#runner.close()
  }

  async #assigned(assignment: Assignment): Promise<void> {
    if (this.#leaving.signal.aborted) return
    this.#hasPlan = true
    this.#parts.assigned(assignment)
    const { active } = assignment.own
    const letsGo = this.#runner.partitions.some((partition) => !active.includes(partition))
    await this.#runner.assign(active)
    if (letsGo) this.#membership.rejoin()
  }

  /** For tools that watch the lag of groups; what counts is in `connectors.positions`. */
  async #showPositions(): Promise<void> {
    const { signal } = this.#leaving
    for (;;) {
      await this.#parts.time.sleep(showPositionsMs, signal)
      if (signal.aborted) return
      const positions = this.partitions.flatMap((partition) => {
        const position = this.positionOf(partition)
        return position === undefined ? [] : [[partition, position] as const]
      })
      await this.#membership.show(new Map(positions))
    }
  }
}

/** Spread evenly, moving as few as it can; a partition that somebody else still has waits for the plan after this. */
export function planOf(members: readonly Member[], partitions: number): Plan {
  const settings = { standbys: 0, warmupsMax: 0, acceptableLag: Number.POSITIVE_INFINITY }
  const has = ({ held }: Member, partition: number) => held.some((each) => each.partition === partition)
  const isFree = (process: string, partition: number): boolean =>
    members.some((member) => member.process === process && has(member, partition)) ||
    !members.some((member) => has(member, partition))
  return new Map(
    [...assign(members, partitions, settings)].map(([process, { active }]) => [
      process,
      { active: active.filter((partition) => isFree(process, partition)), standby: [], warmup: [] },
    ]),
  )
}
