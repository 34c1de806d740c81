/**
 * The place of this process in the group of a stage.
 *
 *                      ┌─ rebalance · rejoin · lost ─┐
 *                      ▼                             │
 *     outside ───► joining ───────── plan ───────► member
 *                    │ │                            │ │
 *                    │ └──────► left ◄── leave ─────┘ │
 *                    └───────► failed ◄── replaced ───┘
 *
 * Heartbeats have a timer of their own. Tasks run on while the group is rebalanced: what keeps two owners of a task
 * apart is the fencing of its writer, not this.
 */
import type { Held, Member, Plan, Share } from './assignment.ts'
import type { Clock } from './clock.ts'
import { type Coordinator, GroupFault, type Seat } from './coordinator.ts'
import { invariant, MillraceError } from './errors.ts'

/** What a process tells of itself when it joins. */
export type Description = {
  /** host:port where it can be asked. */
  readonly endpoint: string
  /** The release it runs. */
  readonly version: string
  readonly held: readonly Held[]
}

export type MemberState = Member & Description

/** What a generation decided: the whole plan, so that everyone knows where each task is. */
export type Assignment = {
  readonly generation: number
  /** From the moment this process began to join. */
  readonly tookMs: number
  readonly own: Share
  readonly members: readonly (Share & { readonly process: string; readonly endpoint: string })[]
}

export type MembershipSettings = {
  /** Silent for longer, a process is taken for dead. */
  readonly sessionTimeoutMs: number
  readonly heartbeatMs: number
  /** How long the others wait for a process that does not join the next generation. */
  readonly rebalanceTimeoutMs: number
}

export const defaultMembership: MembershipSettings = {
  sessionTimeoutMs: 10_000,
  heartbeatMs: 500,
  rebalanceTimeoutMs: 15_000,
}

export type MembershipParts = {
  readonly group: string
  /** The inbox of the stage. */
  readonly topic: string
  readonly process: string
  readonly coordinator: Coordinator
  readonly clock: Clock
  readonly settings: MembershipSettings
  /** Asked before each join. */
  describe(): Promise<Description>
  /** Called when this process leads. */
  plan(members: readonly MemberState[]): Plan
  assigned(assignment: Assignment): void
  /** For good: PROCESS_REPLACED, or what no waiting mends. */
  failed(error: unknown): void
}

type State = 'outside' | 'joining' | 'member' | 'left' | 'failed'

const transitions: Readonly<Record<State, readonly State[]>> = {
  outside: ['joining', 'left'],
  joining: ['member', 'left', 'failed'],
  member: ['joining', 'left', 'failed'],
  left: [],
  failed: ['left'],
}

const backOffMaxMs = 2000

export class Membership {
  readonly #parts: MembershipParts
  readonly #stopped = new AbortController()
  #state: State = 'outside'
  #memberId = ''
  #generation = -1
  /** Joins so far: makes each description differ from the one before, which is what begins a new generation. */
  #joins = 0
  /** Ends the wait for the next heartbeat. */
  #wake = new AbortController()
  #rejoin = false
  #waiting: (() => void)[] = []

  private constructor(parts: MembershipParts) {
    this.#parts = parts
  }

  /** Joins in the background; `assigned` tells when it is done. */
  static join(parts: MembershipParts): Membership {
    const membership = new Membership(parts)
    void membership.#run()
    return membership
  }

  get state(): State {
    return this.#state
  }

  /** Asks for a new plan: what this process holds has changed. */
  rejoin(): void {
    this.#rejoin = true
    this.#wake.abort()
  }

  /**
   * Proves by a heartbeat, now, that this process has its place: who was stopped for long must not take up what is another's.
   * While the group is rebalanced it waits for the plan. MEMBERSHIP_LOST when the place is gone.
   */
  async prove(): Promise<void> {
    while (this.#state === 'outside' || this.#state === 'joining')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      if (this.#state !== 'member') throw new GroupFault('unknown', this.#parts.group)
      await this.#parts.coordinator.heartbeat(this.#seat())
    } catch (cause) {
      if (!(cause instanceof GroupFault)) throw cause
      this.#wake.abort()
      if (cause.kind === 'rebalancing') return
      throw new MillraceError(
        'MEMBERSHIP_LOST',
        `${this.#parts.process} is no longer a member of ${this.#parts.group}`,
        {
          cause,
        },
      )
    }
  }

  /** Shows those who watch the group how far its partitions have been read. Never throws: it is of no consequence. */
  async show(positions: ReadonlyMap<number, number>): Promise<void> {
    if (this.#state !== 'member' || positions.size === 0) return
    const { coordinator, topic } = this.#parts
    await coordinator.show(this.#seat(), topic, positions).catch(() => undefined)
  }

  /** Ends the membership. `keepPlace`: whoever comes back within the session finds its tasks untouched. Never throws. */
  async leave(options: { readonly keepPlace: boolean }): Promise<void> {
    if (this.#state === 'left') return
    const seat = this.#state === 'member' ? this.#seat() : undefined
    this.#move('left')
    this.#stopped.abort()
    this.#wake.abort()
    if (seat && !options.keepPlace) await this.#parts.coordinator.leave(seat).catch(() => undefined)
  }

  async #run(): Promise<void> {
    let failures = 0
    while (this.#goesOn()) {
      try {
        await this.#join()
        failures = 0
        await this.#beat()
      } catch (error) {
        if (!this.#goesOn()) return
        if (error instanceof GroupFault && error.kind !== 'replaced') {
          if (error.kind === 'unknown') this.#memberId = ''
        } else if (error instanceof MillraceError && error.retryable) {
          await this.#parts.clock.sleep(Math.min(backOffMaxMs, 50 * 2 ** failures++), this.#stopped.signal)
        } else {
          this.#fail(error)
        }
      }
    }
  }

  async #join(): Promise<void> {
    const { coordinator, group, topic, process, settings, clock, ...asked } = this.#parts
    if (this.#state !== 'joining') this.#move('joining')
    const startMs = clock.nowMs()
    this.#rejoin = false
    this.#wake = new AbortController()
    const state = encode({ process, generation: this.#generation, joins: this.#joins++, ...(await asked.describe()) })
    const request = { group, memberId: this.#memberId, instance: process, topic, state, ...settings }
    const joined = await coordinator.join(request)
    if (!this.#goesOn()) return
    this.#memberId = joined.memberId
    this.#generation = joined.generation
    const given = await coordinator.sync(this.#seat(), topic, joined.members ? this.#planFor(joined.members) : [])
    if (!this.#goesOn()) return
    const members = decode<Assignment['members']>(given)
    const own = members.find((member) => member.process === process)
    invariant(own, 'a plan has a share for each member')
    this.#move('member')
    asked.assigned({ generation: this.#generation, tookMs: clock.nowMs() - startMs, own, members })
  }

  #planFor(members: readonly { readonly memberId: string; readonly state: Buffer }[]) {
    const states = members.map(({ state }) => decode<MemberState>(state))
    const endpoints = new Map(states.map(({ process, endpoint }) => [process, endpoint]))
    const plan = this.#parts.plan(states)
    const bytes = encode([...plan].map(([process, share]) => ({ process, endpoint: endpoints.get(process), ...share })))
    return members.map(({ memberId }, i) => {
      const share = plan.get(states[i]!.process)
      invariant(share, 'a plan has a share for each member')
      return { memberId, partitions: share.active, bytes }
    })
  }

  /** Returns when it is time to join again. */
  async #beat(): Promise<void> {
    const { coordinator, clock, settings } = this.#parts
    while (this.#goesOn() && !this.#rejoin) {
      await clock.sleep(settings.heartbeatMs, this.#wake.signal)
      if (!this.#goesOn() || this.#rejoin) return
      if (this.#wake.signal.aborted) this.#wake = new AbortController()
      try {
        await coordinator.heartbeat(this.#seat())
      } catch (error) {
        // While no coordinator answers the place may be lost, or not; the next that answers knows.
        if (!(error instanceof MillraceError && error.retryable)) throw error
      }
    }
  }

  #seat(): Seat {
    const { group, process } = this.#parts
    return { group, memberId: this.#memberId, instance: process, generation: this.#generation }
  }

  #goesOn(): boolean {
    return this.#state !== 'left' && this.#state !== 'failed'
  }

  #fail(error: unknown): void {
    const { group, process, failed } = this.#parts
    this.#move('failed')
    const replaced = error instanceof GroupFault
    failed(replaced ? new MillraceError('PROCESS_REPLACED', `${group}: another process runs as ${process}`) : error)
  }

  #move(to: State): void {
    invariant(transitions[this.#state].includes(to), `a membership goes from ${this.#state} to ${to}`)
    this.#state = to
    if (to === 'joining') return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** Members of one group protocol write alike, and others are not let in. */
function decode<Value>(bytes: Buffer): Value {
  return JSON.parse(bytes.toString()) as Value
}
