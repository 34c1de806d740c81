/** A process that outlives the program that started it, and is found again through a file in its folder. */
import { spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../../runtime/errors.ts'

export type Command = {
  readonly file: string
  readonly args: readonly string[]
  /** Where it runs, when that matters; its own folder otherwise. */
  readonly cwd?: string
}

/** A pid alone is not enough: it is given again after its process has ended. The mark is when the process began. */
type Identity = { readonly pid: number; readonly mark: string }

const pollMs = 50

export class LocalProcess {
  readonly folder: string

  /** One process a folder: `process.json` names it, `output.log` has what it said since its last start. */
  constructor(folder: string) {
    this.folder = folder
  }

  get name(): string {
    return basename(this.folder)
  }

  get log(): string {
    return join(this.folder, 'output.log')
  }

  get running(): boolean {
    return this.#pid !== undefined
  }

  /** Starts it, once. Throws what spawn throws: ENOENT when there is no such program. */
  async start({ file, args, cwd }: Command): Promise<void> {
    if (this.running) return
    await mkdir(this.folder, { recursive: true })
    const output = openSync(this.log, 'w')
    try {
      const child = spawn(file, args, { cwd: cwd ?? this.folder, detached: true, stdio: ['ignore', output, output] })
      await once(child, 'spawn')
      child.unref()
      await writeIdentity(this.#file, child.pid!)
    } finally {
      closeSync(output)
    }
  }

  /** Waits until it answers. PART_FAILED with the end of its output when it ends before that, or takes longer. */
  async answering(answers: () => Promise<boolean>, boundMs: number): Promise<void> {
    const deadlineMs = Date.now() + boundMs
    while (!(await answers().catch(() => false))) {
      const late = Date.now() > deadlineMs
      if (this.running && !late) {
        await sleep(pollMs)
        continue
      }
      const what = late ? `does not answer after ${boundMs / 1000} s` : 'ended while it started'
      throw new MillraceError('PART_FAILED', `${this.name} ${what}; the end of ${this.log}:\n${this.#lastOutput()}`)
    }
  }

  /** SIGTERM, and SIGKILL for what is still there after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.signal('SIGCONT') // what is paused hears no SIGTERM
    this.signal('SIGTERM')
    if (!(await this.#ended(graceMs))) await this.kill()
    await rm(this.#file, { force: true })
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    if (!(await this.#ended(10_000))) throw new MillraceError('PART_FAILED', `${this.name} survives a SIGKILL`)
  }

  /** SIGSTOP pauses it, SIGCONT lets it go on. Nothing happens when it does not run. */
  signal(signal: NodeJS.Signals): void {
    const pid = this.#pid
    if (pid === undefined) return
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  get #file(): string {
    return join(this.folder, 'process.json')
  }

  get #pid(): number | undefined {
    return holderOf(this.#file)
  }

  async #ended(boundMs: number): Promise<boolean> {
    for (const deadlineMs = Date.now() + boundMs; this.running; await sleep(pollMs)) {
      if (Date.now() > deadlineMs) return false
    }
    return true
  }

  #lastOutput(): string {
    return readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-12).join('\n')
  }
}

/**
 * Runs `work` while no other process does so for the same file. A lock whose holder has ended is taken over.
 * DATA_LOCKED after `boundMs` of waiting.
 */
export async function locked<Result>(file: string, boundMs: number, work: () => Promise<Result>): Promise<Result> {
  const own = `${file}.${randomUUID()}`
  await claim(own)
  try {
    for (const deadlineMs = Date.now() + boundMs; !(await taken(own, file)); await sleep(pollMs)) {
      if (Date.now() > deadlineMs) throw new MillraceError('DATA_LOCKED', `another process holds ${file}`)
    }
    try {
      return await work()
    } finally {
      await rm(file, { force: true })
    }
  } finally {
    await rm(own, { force: true })
  }
}

async function taken(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  if (holderOf(file) !== undefined) return false
  // Two may find the same stale lock: each puts its own in place, the last one stays, and both look again.
  await link(own, `${own}.over`)
  await rename(`${own}.over`, file)
  await sleep(2 * pollMs)
  return statSync(file).ino === statSync(own).ino
}

/** Says in a file that this process is behind something. */
export async function claim(file: string): Promise<void> {
  await writeIdentity(file, process.pid)
}

async function writeIdentity(file: string, pid: number): Promise<void> {
  const identity: Identity = { pid, mark: markOf(pid) ?? 'ended at once' }
  await writeFile(`${file}.new`, JSON.stringify(identity))
  await rename(`${file}.new`, file)
}

/** The process that a file names, if it still runs. */
export function holderOf(file: string): number | undefined {
  try {
    const { pid, mark }: Identity = JSON.parse(readFileSync(file, 'utf8'))
    return markOf(pid) === mark ? pid : undefined
  } catch {
    return undefined
  }
}

/** When a process began, in the words of the system; undefined when it has ended, reaped or not. */
function markOf(pid: number): string | undefined {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
    const [state, ...began] = stdout.trim().split(/\s+/)
    return !state || state.startsWith('Z') ? undefined : began.join(' ')
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may hold anything
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
