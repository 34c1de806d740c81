/** One process of a simulated fleet: a worker behind a gate, with a disk, and a schema registry that it asks over the network. */
import type { Role } from '../assignment.ts'
import { Codec, fixedSchemaIds, type SchemaIds } from '../codec.ts'
import { MillraceError } from '../errors.ts'
import type { Phase } from '../hosted-task.ts'
import type { FetchLimits, Log } from '../log.ts'
import type { Assignment } from '../membership.ts'
import type { MemoryStores } from '../stores/memory.ts'
import { taskName } from '../topology.ts'
import { Worker, type WorkerObserver, type WorkerParts } from '../worker.ts'
import { Gate } from './gate.ts'
import type { FleetMarks } from './marks.ts'

const pageRecords = 40

/** ended: nothing it does is heard any more. */
export type HostState = 'up' | 'paused' | 'stopping' | 'ended'

export type HostParts = Omit<WorkerParts, 'codec' | 'observer' | 'stores' | 'failed'> & {
  readonly stores: MemoryStores
  readonly marks: FleetMarks
  /** Every call of the process comes by here, and every answer, which is of no port. */
  befalls(host: SimulatedHost, port: string, call: string): Promise<void>
  failed(host: SimulatedHost, error: unknown): void
  /** Whether the schema registry answers. */
  registryIsUp(): boolean
  said(what: string): void
}

export class SimulatedHost {
  readonly name: string
  readonly stores: MemoryStores
  state: HostState = 'up'
  worker: Worker | undefined
  readonly #gate: Gate
  readonly #marks: FleetMarks
  readonly #said: (what: string) => void
  /** What a task was, and is, here. */
  readonly #phases = new Map<string, Phase>()
  readonly #roles = new Map<string, Role>()
  readonly #promoted = new Map<string, Role>()
  #wasPaused = false

  private constructor({ process, stores, befalls, marks, said }: HostParts) {
    this.name = process
    this.stores = stores
    this.#gate = new Gate({
      before: (port, call) => befalls(this, port, call),
      after: (_, call) => befalls(this, '', call),
    })
    this.#marks = marks
    this.#said = said
  }

  /** Begins to start; the worker is there when it has looked at its disk. */
  static start(parts: HostParts): SimulatedHost {
    const host = new SimulatedHost(parts)
    const gate = host.#gate
    const clock = gate.through(parts.clock, 'clock')
    const never = new AbortController().signal
    const failed = (error: unknown): void => parts.failed(host, error)
    const ids = new RemoteIds(() => clock.sleep(5, never), parts.registryIsUp)
    void Worker.start({
      ...parts,
      log: gate.through(inShortPages(parts.log), 'log'),
      coordinator: gate.through(parts.coordinator, 'coordinator'),
      clock,
      stores: gate.through(parts.stores, 'store'),
      codec: new Codec(ids),
      observer: host.#observer(),
      failed,
    }).then((worker) => {
      host.worker = worker
    }, failed)
    return host
  }

  kill(): void {
    this.state = 'ended'
    this.#gate.stop()
  }

  pause(): void {
    this.state = 'paused'
    this.#wasPaused = true
    this.#gate.stop()
  }

  continue(): void {
    if (this.state !== 'paused') return
    this.state = 'up'
    this.#gate.continue()
  }

  #observer(): WorkerObserver {
    return {
      moved: (task, phase) => this.#moved(task, phase),
      assigned: (stage, assignment) => this.#assigned(stage, assignment),
      wiped: (task) => {
        this.#marks.add('wiped')
        this.#said(`${task} wiped`)
      },
      fault: (task, error) => {
        const code = error instanceof MillraceError ? error.code : String(error)
        this.#said(`${task} ${code}`)
        if (code === 'FENCED') this.#marks.add(this.#wasPaused ? 'zombieFenced' : 'fenced')
        if (code === 'MEMBERSHIP_LOST') this.#marks.add('membershipLost')
        if (code === 'REGISTRY_UNAVAILABLE') this.#marks.add('registryAway')
      },
      committed: (task, { records, outputs }) => this.#said(`${task} committed ${records} ${outputs.length}`),
    }
  }

  #moved(task: string, phase: Phase): void {
    const before = this.#phases.get(task)
    this.#phases.set(task, phase)
    this.#said(`${task} ${phase}`)
    if (before === 'restoring' && (phase === 'opening' || phase === 'closing')) this.#marks.add('restoreInterrupted')
    if (phase === 'closed') this.#promoted.delete(task)
    if (phase !== 'running') return
    const was = this.#promoted.get(task)
    this.#promoted.delete(task)
    if (was) this.#marks.add(was === 'standby' ? 'standbyPromoted' : 'warmupPromoted')
  }

  #assigned(stage: string, { own, generation }: Assignment): void {
    this.#said(`${stage} plan ${generation} ${JSON.stringify(own)}`)
    const isOfStage = (task: string): boolean => task.startsWith(`${stage}/`)
    if ([...this.#phases].some(([task, phase]) => isOfStage(task) && phase === 'restoring'))
      this.#marks.add('rebalanceInRestore')
    const before = new Map(this.#roles)
    for (const task of before.keys()) if (isOfStage(task)) this.#roles.delete(task)
    for (const role of ['active', 'standby', 'warmup'] as const) {
      for (const partition of own[role]) {
        const task = taskName(stage, partition)
        const was = before.get(task)
        this.#roles.set(task, role)
        if (role === 'active' && was && was !== 'active') this.#promoted.set(task, was)
      }
    }
  }
}

/** Few records to an answer, so that a restore has many, and may end between any two. */
function inShortPages(log: Log): Log {
  return new Proxy(log, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      if (name !== 'fetch') return member.bind(target)
      return (topic: string, partition: number, offset: number, limits: FetchLimits) =>
        target.fetch(topic, partition, offset, { ...limits, maxRecords: Math.min(limits.maxRecords, pageRecords) })
    },
  })
}

/** A registry that is asked once for each schema, and answers a moment later, or not. */
class RemoteIds implements SchemaIds {
  readonly #fixed = fixedSchemaIds()
  readonly #answers = new Map<number, 'known' | 'unavailable' | Promise<void>>()
  readonly #latency: () => Promise<void>
  readonly #isUp: () => boolean

  constructor(latency: () => Promise<void>, isUp: () => boolean) {
    this.#latency = latency
    this.#isUp = isUp
  }

  idOf(name: Parameters<SchemaIds['idOf']>[0]): number {
    return this.#fixed.idOf(name)
  }

  schemaOf(id: number): ReturnType<SchemaIds['schemaOf']> {
    const answer = this.#answers.get(id)
    if (answer === 'known') return this.#fixed.schemaOf(id)
    if (answer === 'unavailable') {
      this.#answers.delete(id)
      throw new MillraceError('REGISTRY_UNAVAILABLE', 'the registry is away')
    }
    if (!answer) this.#answers.set(id, this.#ask(id))
    throw new MillraceError('SCHEMA_MISSING', `schema ${id} is being fetched`)
  }

  async fetched(): Promise<void> {
    await Promise.all<unknown>(this.#answers.values())
  }

  async #ask(id: number): Promise<void> {
    await this.#latency()
    this.#answers.set(id, this.#isUp() ? 'known' : 'unavailable')
  }
}
