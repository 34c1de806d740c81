/** Runs the program as a user does: `bin/millrace`, as built by `npm run build`, which `npm test` does first. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../bin/millrace', import.meta.url))

export type Ended = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** Runs to the end. */
export async function millrace(args: readonly string[], stdin?: string): Promise<Ended> {
  const child = launch(args)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  child.stdin?.end(stdin ?? '')
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout, stderr }
}

/** Runs to the end, which must be a good one, and answers the one JSON value it printed. */
export async function millraceJson<Value = Record<string, unknown>>(
  args: readonly string[],
  stdin?: string,
): Promise<Value> {
  const { status, stdout, stderr } = await millrace([...args, '--json'], stdin)
  if (status !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${status}: ${stderr}`)
  return JSON.parse(stdout)
}

export function launch(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { env: { ...process.env, NO_COLOR: '1' } })
}

export type StatusLine = { readonly kind: string; readonly [name: string]: unknown }

/** A `millrace start --json` that runs. */
export class Running {
  readonly child: ChildProcess
  readonly #lines: StatusLine[] = []
  #stderr = ''

  constructor(args: readonly string[]) {
    this.child = launch(['start', '--json', '--port', '0', ...args])
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.#lines.push(JSON.parse(line))
      this.child.emit('told')
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text
    })
    this.child.on('close', () => this.child.emit('told'))
  }

  /** The first line, of those to come too, that will do. */
  async told(wanted: (line: StatusLine) => boolean): Promise<StatusLine> {
    for (;;) {
      const line = this.#lines.find(wanted)
      if (line) return line
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}: ${this.#stderr}`)
      await once(this.child, 'told')
    }
  }

  async url(): Promise<string> {
    return String((await this.told(({ kind }) => kind === 'started'))['url'])
  }

  /** Sends a signal; answers the exit status and the last line. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<{ readonly status: number | null; readonly last: StatusLine }> {
    const closed = once(this.child, 'close')
    this.child.kill(signal)
    const [status] = (await closed) as [number | null]
    return { status, last: this.#lines.at(-1)! }
  }
}

/** A folder for the time of a test. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
