/** The tasks of an engine: in this thread, or in threads of their own over the log of this one. */
import { MessageChannel, Worker } from 'node:worker_threads'
import { serveLog } from '../runtime/embedded/remote-log.ts'
import { type ErrorCode, errorCodes, invariant, MillraceError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import type { Runner } from '../runtime/runner.ts'
import type { Task, TaskObserver } from '../runtime/task.ts'
import { inboxOf, type Topology } from '../runtime/topology.ts'
import { youngGenerationMiB } from './heap.ts'
import type { StageThreadCommand, StageThreadData, StageThreadMessage } from './stage-thread.ts'

export type TaskStatus = Pick<Task, 'name' | 'counters' | 'inputOffset'>

/** Some stages, in a thread of their own. What it says of its tasks is as of their last commit. */
class StageThread {
  readonly #worker: Worker
  readonly #tasks = new Map<string, TaskStatus>()
  #stopped: () => void = () => {}
  #failed: (error: unknown) => void = () => {}

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  static async start(log: Log, data: Omit<StageThreadData, 'port'>, observer: TaskObserver): Promise<StageThread> {
    const { port1, port2 } = new MessageChannel()
    serveLog(log, port1)
    const worker = new Worker(new URL('./stage-thread.js', import.meta.url), {
      workerData: { ...data, port: port2 } satisfies StageThreadData,
      transferList: [port2],
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMiB },
    })
    const thread = new StageThread(worker)
    await new Promise<void>((resolve, reject) => {
      thread.#failed = reject
      worker.on('error', (error) => thread.#failed(error))
      worker.on('message', (message: StageThreadMessage) => {
        if (message.kind === 'started') resolve()
        else thread.#take(message, observer)
      })
    })
    return thread
  }

  get tasks(): readonly TaskStatus[] {
    return [...this.#tasks.values()]
  }

  run(onFatal: (error: unknown) => void): void {
    this.#failed = onFatal
    this.#command('run')
  }

  async stop(): Promise<void> {
    const stopped = new Promise<void>((resolve, reject) => {
      this.#stopped = resolve
      this.#failed = reject
    })
    this.#command('stop')
    await stopped
    await this.#worker.terminate()
  }

  #take(message: StageThreadMessage, observer: TaskObserver): void {
    if (message.kind === 'committed') {
      const { task, records, outputs, changelog, changelogBytes, inputOffset, counters } = message
      this.#tasks.set(task, { name: task, inputOffset, counters })
      const revived = outputs.map((output) => ({ ...output, value: output.value && Buffer.from(output.value) }))
      if (records > 0) observer.committed?.(task, { records, outputs: revived, changelog, changelogBytes })
    } else if (message.kind === 'failed') this.#failed(errorOf(message))
    else this.#stopped()
  }

  #command(command: StageThreadCommand): void {
    this.#worker.postMessage(command)
  }
}

function errorOf({ code, message }: { readonly code: string | null; readonly message: string }): Error {
  return code !== null && Object.hasOwn(errorCodes, code)
    ? new MillraceError(code as ErrorCode, message)
    : new Error(message)
}

export class EngineTasks {
  readonly #topology: Topology
  readonly #log: Log
  readonly #runner: Runner
  readonly #threads: readonly StageThread[]
  #stopped: Promise<void> | undefined

  private constructor(topology: Topology, log: Log, runner: Runner, threads: readonly StageThread[]) {
    this.#topology = topology
    this.#log = log
    this.#runner = runner
    this.#threads = threads
  }

  /** A thread for each element of `threads`, with what it needs; `runner` has the stages of none of them. */
  static async start(parts: {
    readonly topology: Topology
    readonly log: Log
    readonly runner: Runner
    readonly observer: TaskObserver
    readonly threads: readonly Omit<StageThreadData, 'port'>[]
  }): Promise<EngineTasks> {
    const { topology, log, runner, observer } = parts
    const threads = await Promise.all(parts.threads.map((data) => StageThread.start(log, data, observer)))
    return new EngineTasks(topology, log, runner, threads)
  }

  get tasks(): readonly TaskStatus[] {
    return [...this.#runner.tasks, ...this.#threads.flatMap(({ tasks }) => tasks)]
  }

  /** The tasks of this thread. */
  get local(): readonly Task[] {
    return this.#runner.tasks
  }

  /** Sums over all tasks of what they counted, in committed work. */
  counters(): Map<string, number> {
    const sums = new Map<string, number>()
    for (const { counters } of this.tasks) {
      for (const [name, counted] of counters) sums.set(name, (sums.get(name) ?? 0) + counted)
    }
    return sums
  }

  /** Records in the inboxes that have not been processed. */
  async lag(): Promise<number> {
    let lag = 0
    for (const { name, inputOffset } of this.tasks) {
      const [stage, partition] = name.split('/')
      const declaration = this.#topology.stages.find((each) => each.name === stage)
      invariant(declaration, `the topology has the stage of task ${name}`)
      const { stable } = await this.#log.ends(inboxOf(this.#topology, declaration).name, Number(partition))
      lag += stable - inputOffset
    }
    return lag
  }

  /** Steps until nothing is left, one task at a time: repeatable. Only without threads. */
  drain(): Promise<void> {
    invariant(this.#threads.length === 0, 'repeatable work runs in one thread')
    return this.#runner.drain()
  }

  run(onFatal: (error: unknown) => void): void {
    this.#runner.run(onFatal)
    for (const thread of this.#threads) thread.run(onFatal)
  }

  /** Each second, the log's own time goes into the source inboxes. */
  tick(): void {
    this.#runner.tick()
  }

  /** Lets tasks finish what is in their inboxes, for at most `graceMs`, and stops, once. Nothing is lost either way. */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs)
    return this.#stopped
  }

  async #stop(graceMs: number): Promise<void> {
    const deadline = performance.now() + graceMs
    while (performance.now() < deadline && (await this.lag()) > 0) await pause(20)
    await this.#runner.stop()
    await Promise.all(this.#threads.map((thread) => thread.stop()))
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
