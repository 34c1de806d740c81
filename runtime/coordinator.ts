/**
 * The port of who keeps the members of groups: the classic group protocol of Kafka. A generation begins when all
 * members have joined; its leader hands in what each is given; a member that is silent for a session is out.
 * Adapters: Kafka's own coordinators, and one in memory.
 */

export type JoinRequest = {
  readonly group: string
  /** Empty the first time, then what was answered. */
  readonly memberId: string
  /** Outlives the process: who comes back under it in time takes its old place, with no new generation. */
  readonly instance: string
  /** The topic the group is about, for tools. */
  readonly topic: string
  /** What the leader is to know of the member. A change of it begins a new generation. */
  readonly state: Buffer
  readonly sessionTimeoutMs: number
  /** How long the others wait for a member to join the next generation. */
  readonly rebalanceTimeoutMs: number
}

export type Joined = {
  readonly memberId: string
  readonly generation: number
  /** All of the generation, if this one leads it. */
  readonly members: readonly { readonly memberId: string; readonly state: Buffer }[] | null
}

/** A place in a group, as of a generation. */
export type Seat = {
  readonly group: string
  readonly memberId: string
  readonly instance: string
  readonly generation: number
}

export type Given = {
  readonly memberId: string
  /** For tools: the partitions of the topic that the member reads. */
  readonly partitions: readonly number[]
  readonly bytes: Buffer
}

/** All methods throw GroupFault, or a retryable MillraceError when the coordinator is moving or away. */
export type Coordinator = {
  /** Answers once all members have joined. */
  join(request: JoinRequest): Promise<Joined>
  /** The leader hands in what all are given, the others nothing; answers what this member is given. */
  sync(seat: Seat, topic: string, given: readonly Given[]): Promise<Buffer>
  heartbeat(seat: Seat): Promise<void>
  /** Shows how far the partitions of the topic have been read, to those who watch the lag of groups. Nobody here reads it. */
  show(seat: Seat, topic: string, positions: ReadonlyMap<number, number>): Promise<void>
  /** Gives the place up at once; without it a place is kept for a session. */
  leave(seat: Seat): Promise<void>
}

/**
 * rebalancing: join again, as the same member. unknown: the member is out, and joins as a new one. replaced: another
 * process has come under the same instance.
 */
export type GroupFaultKind = 'rebalancing' | 'unknown' | 'replaced'

export class GroupFault extends Error {
  override readonly name = 'GroupFault'
  readonly kind: GroupFaultKind

  constructor(kind: GroupFaultKind, group: string) {
    super(`group ${group}: ${kind}`)
    this.kind = kind
  }
}
