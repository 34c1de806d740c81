/** A group coordinator in memory, as Kafka's: generations, sessions, instances that come back. For tests and the simulator. */
import type { Clock } from '../clock.ts'
import { type Coordinator, type Given, GroupFault, type Joined, type JoinRequest, type Seat } from '../coordinator.ts'
import { MillraceError } from '../errors.ts'

type Member = {
  id: string
  readonly instance: string
  request: JoinRequest
  expiresAtMs: number
  /** Answers the join or sync that is under way. */
  joining: Waiting<Joined> | undefined
  syncing: Waiting<Buffer> | undefined
  bytes: Buffer
}

type Waiting<T> = { resolve(value: T): void; reject(error: unknown): void }

/** empty ─ join ─► preparing ─ all joined ─► completing ─ leader synced ─► stable ─ join, leave, expiry ─► preparing */
type Group = {
  state: 'preparing' | 'completing' | 'stable'
  generation: number
  leader: string
  readonly members: Map<string, Member>
  readonly shown: Map<number, number>
  /** What a coordinator that takes the group over finds: the last generation that had its plan. */
  written: { readonly generation: number; readonly leader: string; readonly members: readonly Member[] }
}

export class MemoryCoordinator implements Coordinator {
  readonly #clock: Clock
  readonly #groups = new Map<string, Group>()
  #names = 0
  #away = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** While it is away every request fails, and may be tried again. Sessions go on. */
  set away(away: boolean) {
    this.#away = away
  }

  /**
   * The groups move to another coordinator, which loads what the one before had written: joins and syncs under way are
   * answered by nobody, a generation without a plan never was, and sessions begin anew.
   */
  move(): void {
    for (const [name, group] of this.#groups) {
      for (const member of group.members.values()) {
        const moved = new MillraceError('KAFKA_UNAVAILABLE', `the coordinator of ${name} has moved`)
        member.joining?.reject(moved)
        member.syncing?.reject(moved)
      }
      group.members.clear()
      const { generation, leader, members } = group.written
      const loaded: Group = {
        state: members.length > 0 ? 'stable' : 'preparing',
        generation,
        leader,
        members: new Map(),
        shown: group.shown,
        written: group.written,
      }
      this.#groups.set(name, loaded)
      for (const member of members) this.#admit(loaded, { ...member })
    }
  }

  /** Instances in a group, as of now. */
  instances(group: string): string[] {
    return [...(this.#groups.get(group)?.members.values() ?? [])].map(({ instance }) => instance).sort()
  }

  /** How far each partition has been read, as far as it was shown. */
  shown(group: string): ReadonlyMap<number, number> {
    return this.#group(group).shown
  }

  async join(request: JoinRequest): Promise<Joined> {
    this.#answer()
    const group = this.#group(request.group)
    const member = this.#memberFor(group, request)
    const restarted = group.state === 'stable' && request.memberId === '' && member.bytes.length > 0
    const unchanged = member.request.state.equals(request.state) && member.bytes.length > 0
    member.request = request
    this.#touch(member)
    if (restarted || (group.state === 'stable' && unchanged && member.id !== group.leader))
      return { memberId: member.id, generation: group.generation, members: null }
    return new Promise((resolve, reject) => {
      member.joining?.reject(new GroupFault('unknown', request.group))
      member.joining = { resolve, reject }
      this.#prepare(group, request.group)
      this.#completeJoin(group)
    })
  }

  async sync(seat: Seat, _topic: string, given: readonly Given[]): Promise<Buffer> {
    this.#answer()
    const { group, member } = this.#seated(seat)
    if (group.state === 'preparing') throw new GroupFault('rebalancing', seat.group)
    if (group.state === 'stable') return member.bytes
    return new Promise((resolve, reject) => {
      member.syncing = { resolve, reject }
      if (member.id !== group.leader) return
      group.state = 'stable'
      for (const each of group.members.values()) {
        each.bytes = given.find(({ memberId }) => memberId === each.id)?.bytes ?? Buffer.alloc(0)
        this.#touch(each)
        each.syncing?.resolve(each.bytes)
        each.syncing = undefined
      }
      write(group)
    })
  }

  async heartbeat(seat: Seat): Promise<void> {
    this.#answer()
    const { group, member } = this.#seated(seat)
    this.#touch(member)
    if (group.state === 'preparing') throw new GroupFault('rebalancing', seat.group)
  }

  async show({ group }: Seat, _topic: string, positions: ReadonlyMap<number, number>): Promise<void> {
    this.#answer()
    for (const [partition, offset] of positions) this.#group(group).shown.set(partition, offset)
  }

  async leave(seat: Seat): Promise<void> {
    this.#answer()
    const { group, member } = this.#seated(seat)
    this.#remove(group, member)
  }

  #answer(): void {
    if (this.#away) throw new MillraceError('KAFKA_UNAVAILABLE', 'the group coordinator is away')
  }

  #group(name: string): Group {
    const found = this.#groups.get(name)
    if (found) return found
    const made: Group = {
      state: 'preparing',
      generation: 0,
      leader: '',
      members: new Map(),
      shown: new Map(),
      written: nothing,
    }
    this.#groups.set(name, made)
    return made
  }

  /** The member that asks: known, come back under its instance with a new id, or new. */
  #memberFor(group: Group, request: JoinRequest): Member {
    const known = group.members.get(request.instance)
    if (request.memberId !== '') {
      if (!known) throw new GroupFault('unknown', request.group)
      if (known.id !== request.memberId) throw new GroupFault('replaced', request.group)
      return known
    }
    const id = `${request.instance}-${this.#names++}`
    if (known) {
      if (group.leader === known.id) group.leader = id
      known.joining?.reject(new GroupFault('replaced', request.group))
      known.joining = undefined
      known.id = id
      if (group.state === 'stable') write(group)
      return known
    }
    const none = { joining: undefined, syncing: undefined, bytes: Buffer.alloc(0), expiresAtMs: 0 }
    const member: Member = { id, instance: request.instance, request, ...none }
    this.#admit(group, member)
    return member
  }

  #admit(group: Group, member: Member): void {
    group.members.set(member.instance, member)
    this.#touch(member)
    void this.#watch(group, member)
  }

  #seated({ group: name, instance, memberId, generation }: Seat): { group: Group; member: Member } {
    const group = this.#group(name)
    const member = group.members.get(instance)
    if (!member) throw new GroupFault('unknown', name)
    if (member.id !== memberId) throw new GroupFault('replaced', name)
    if (group.generation !== generation) throw new GroupFault('rebalancing', name)
    return { group, member }
  }

  #prepare(group: Group, name: string): void {
    if (group.state === 'preparing') return
    group.state = 'preparing'
    for (const member of group.members.values()) {
      member.syncing?.reject(new GroupFault('rebalancing', name))
      member.syncing = undefined
    }
  }

  #completeJoin(group: Group): void {
    const members = [...group.members.values()]
    if (group.state !== 'preparing' || members.length === 0 || members.some(({ joining }) => !joining)) return
    group.state = 'completing'
    group.generation++
    if (!members.some(({ id }) => id === group.leader)) group.leader = members[0]!.id
    const all = members.map(({ id, request }) => ({ memberId: id, state: request.state }))
    for (const member of members) {
      this.#touch(member)
      const leads = member.id === group.leader
      member.joining!.resolve({ memberId: member.id, generation: group.generation, members: leads ? all : null })
      member.joining = undefined
    }
  }

  #touch(member: Member): void {
    member.expiresAtMs = this.#clock.nowMs() + member.request.sessionTimeoutMs
  }

  /** Takes the member out when its session is over; one that waits for an answer is alive. */
  async #watch(group: Group, member: Member): Promise<void> {
    const never = new AbortController().signal
    while (group.members.get(member.instance) === member) {
      const leftMs = member.expiresAtMs - this.#clock.nowMs()
      if (leftMs > 0) await this.#clock.sleep(leftMs, never)
      else if (member.joining || member.syncing) this.#touch(member)
      else this.#remove(group, member)
    }
  }

  #remove(group: Group, member: Member): void {
    group.members.delete(member.instance)
    if (group.members.size === 0) write(group)
    this.#prepare(group, member.request.group)
    this.#completeJoin(group)
  }
}

const nothing: Group['written'] = { generation: 0, leader: '', members: [] }

function write(group: Group): void {
  const { generation, leader } = group
  const members = [...group.members.values()].map((each) => ({ ...each, joining: undefined, syncing: undefined }))
  group.written = { generation, leader, members }
}
