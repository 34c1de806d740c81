/** A deployment as users run it: `bin/millrace run`, two processes a stage, each with a state folder of its own. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { launch } from '../cli/millrace.ts'

/** What `run --log-level debug` tells, a JSON object a line. */
type Line = { readonly msg: string; readonly [field: string]: unknown }

/** Records of inboxes that running tasks have before them, and of changelogs that copies lack. */
export type Lags = { readonly inbox: number; readonly copies: number }

export type DeploymentParts = {
  readonly folder: string
  /** Cluster, registry, prefix and workspace, as flags of the command line. */
  readonly flags: readonly string[]
  /** By stage, how many tasks it has. */
  readonly tasks: Readonly<Record<string, number>>
}

/** One process of one stage. It is started, killed, stopped and continued; its folder stays. */
export class StageProcess {
  readonly stage: string
  readonly folder: string
  readonly #flags: readonly string[]
  readonly #phases = new Map<string, string>()
  /** Codes of what ended a turn without a commit. */
  readonly faults: string[] = []
  #child: ChildProcess | undefined
  #paused = false
  #retired = false
  #hasPlan = false
  #port = 0
  #complaints = ''

  constructor(stage: string, folder: string, flags: readonly string[]) {
    this.stage = stage
    this.folder = folder
    this.#flags = flags
  }

  start(): void {
    if (this.#retired) throw new Error(`${this.folder} is not started any more`)
    const place = ['--stage', this.stage, '--data', this.folder, '--port', '0', '--log-level', 'debug']
    const child = launch(['run', ...place, ...this.#flags])
    this.#child = child
    this.#complaints = ''
    this.#phases.clear()
    this.#hasPlan = false
    child.stdout!.pipe(createWriteStream(`${this.folder}.log`, { flags: 'a' }))
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (this.#child === child) this.#hear(JSON.parse(line))
    })
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      this.#complaints += text
    })
  }

  /** Tasks of the stage that run here, as far as it has told; none while it is paused or gone. */
  get running(): readonly string[] {
    if (!this.alive || this.#paused) return []
    return [...this.#phases].flatMap(([task, phase]) => (phase === 'running' ? [task] : []))
  }

  /** Awake, and not yet told by its group what to do. */
  get joining(): boolean {
    return this.alive && !this.#paused && !this.#hasPlan
  }

  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** How a process that ended by itself explained it. */
  get obituary(): string | undefined {
    return this.#child && !this.alive ? this.#complaints.trim() : undefined
  }

  pause(): void {
    this.#paused = true
    this.#child?.kill('SIGSTOP')
  }

  /** `expelled`: its group went on without it meanwhile, and it has to join anew. */
  resume({ expelled = false }: { readonly expelled?: boolean } = {}): void {
    this.#paused = false
    if (expelled) this.#hasPlan = false
    this.#child?.kill('SIGCONT')
  }

  /** Ends it; answers once it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.alive) return
    const gone = once(this.#child!, 'exit')
    if (this.#paused) this.resume()
    this.#child!.kill(signal)
    await gone
    this.#child = undefined
  }

  /** Ends it for good, whoever may still want to start it. */
  async retire(): Promise<void> {
    this.#retired = true
    await this.end('SIGKILL')
  }

  /** What its running tasks have before them in their inboxes, and what the copies it keeps lack. */
  async lags(): Promise<Lags> {
    const page = await fetch(`http://127.0.0.1:${this.#port}/metrics`).then((answer) => answer.text())
    const sum = (metric: string): number =>
      [...page.matchAll(new RegExp(`^${metric}\\{.*\\} (\\d+)$`, 'gm'))].reduce((sum, [, n]) => sum + Number(n), 0)
    return { inbox: sum('millrace_consumer_lag_records'), copies: sum('millrace_standby_lag_records') }
  }

  #hear({ msg, ...told }: Line): void {
    if (msg === 'assigned') this.#hasPlan = true
    else if (msg === 'moved') this.#phases.set(String(told['task']), String(told['phase']))
    else if (msg === 'started') this.#port = Number(told['port'])
    else if (msg === 'a turn ended without a commit')
      this.faults.push(String((told['err'] as { code?: unknown } | undefined)?.code ?? 'UNEXPECTED'))
  }
}

export class Deployment {
  /** Those that are to stay to the end. */
  readonly residents: readonly StageProcess[]
  readonly #parts: DeploymentParts
  readonly #tenantKey: Uint8Array
  readonly #guests: StageProcess[] = []

  private constructor(parts: DeploymentParts, tenantKey: Uint8Array, residents: readonly StageProcess[]) {
    this.#parts = parts
    this.#tenantKey = tenantKey
    this.residents = residents
  }

  /** Two processes a stage, all under one tenant key, and nothing started yet. */
  static async prepare(parts: DeploymentParts, tenantKey: Uint8Array): Promise<Deployment> {
    const residents = []
    for (const stage of Object.keys(parts.tasks))
      for (const name of ['a', 'b']) residents.push(await processIn(parts, tenantKey, stage, name))
    return new Deployment(parts, tenantKey, residents)
  }

  /** One process of a stage more, with an empty folder; nothing started yet. */
  async guest(stage: string): Promise<StageProcess> {
    const guest = await processIn(this.#parts, this.#tenantKey, stage, `guest-${this.#guests.length + 1}`)
    this.#guests.push(guest)
    return guest
  }

  /** All there have been, those who have left included. */
  get processes(): readonly StageProcess[] {
    return [...this.residents, ...this.#guests]
  }

  /** Residents of a stage. */
  of(stage: string): readonly StageProcess[] {
    return this.residents.filter((process) => process.stage === stage)
  }

  /**
   * Waits until each task of these stages runs in some process that is awake, and each such process has joined. Answers
   * how long that took.
   */
  async whole(stages: readonly string[] = Object.keys(this.#parts.tasks), withinMs = 90_000): Promise<number> {
    const startMs = performance.now()
    const missing = (stage: string): number =>
      this.#parts.tasks[stage]! -
      new Set(this.processes.filter((process) => process.stage === stage).flatMap(({ running }) => running)).size
    const joining = (stage: string): boolean =>
      this.processes.some((process) => process.stage === stage && process.joining)
    while (stages.some((stage) => missing(stage) > 0 || joining(stage))) {
      this.#requireNoDeaths()
      if (performance.now() - startMs > withinMs)
        throw new Error(`not whole within ${withinMs} ms: ${stages.map((stage) => `${stage} lacks ${missing(stage)}`)}`)
      await delay(10)
    }
    return Math.round(performance.now() - startMs)
  }

  /** Waits until the tasks of these stages have had nothing but ticks before them for two seconds. */
  drained(): Promise<void> {
    return this.#quiet(this.residents, ({ inbox }) => inbox <= ticksAtMost, 900_000)
  }

  /**
   * Ends all of it gracefully: first those who tick, then, when the others and their standbys have nothing left, those. So
   * the copies of the latter have all there is.
   */
  async end(): Promise<void> {
    const [ticking] = Object.keys(this.#parts.tasks)
    const [first, others] = [this.of(ticking!), this.residents.filter(({ stage }) => stage !== ticking)]
    await Promise.all(first.map((process) => process.end('SIGTERM')))
    await this.#quiet(others, ({ inbox, copies }) => inbox === 0 && copies === 0, 60_000)
    await Promise.all(others.map((process) => process.end('SIGTERM')))
  }

  async #quiet(processes: readonly StageProcess[], isQuiet: (lags: Lags) => boolean, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs
    for (let quiet = 0; quiet < 5; ) {
      await delay(400)
      const lags = await Promise.all(processes.map((process) => process.lags()))
      quiet = lags.every(isQuiet) ? quiet + 1 : 0
      if (performance.now() > deadlineMs) throw new Error(`not drained within ${withinMs} ms: ${JSON.stringify(lags)}`)
    }
  }

  async retire(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.retire()))
  }

  #requireNoDeaths(): void {
    for (const { stage, obituary } of this.processes)
      if (obituary !== undefined) throw new Error(`a process of ${stage} ended by itself: ${obituary}`)
  }
}

async function processIn(
  { folder, flags }: DeploymentParts,
  tenantKey: Uint8Array,
  stage: string,
  name: string,
): Promise<StageProcess> {
  const own = join(folder, `${stage}-${name}`)
  await mkdir(own, { recursive: true })
  await writeFile(join(own, 'tenant.key'), tenantKey, { mode: 0o600 })
  return new StageProcess(stage, own, flags)
}

/** Of a task of three writers, in the moment between two polls. */
const ticksAtMost = 12
