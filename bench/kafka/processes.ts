/** Real processes on a real broker, for benchmarks: what they are, what they cost, and how far they are. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { down, up } from '../../deploy/local/parts.ts'

export type Deployment = {
  /** Its own broker and registry are below it. */
  readonly folder: string
  readonly brokers: readonly string[]
  readonly registryUrl: string
  close(): Promise<void>
}

/** A broker and a registry of the benchmark's own, fresh. */
export async function newDeployment(folder: string): Promise<Deployment> {
  const { KAFKA_BROKERS, SCHEMA_REGISTRY_URL } = await up(folder, {
    parts: ['kafka', 'registry'],
    with: 'jars',
    ports: { kafka: 0, registry: 0 },
  })
  if (!KAFKA_BROKERS || !SCHEMA_REGISTRY_URL) throw new Error('the parts did not say where they answer')
  const close = () => down(folder, { purge: true })
  return { folder, brokers: KAFKA_BROKERS.split(','), registryUrl: SCHEMA_REGISTRY_URL, close }
}

const program = fileURLToPath(new URL('../../../bin/millrace', import.meta.url))
const nodeFlags = ['--max-semi-space-size=32']

/** `bin/millrace` against a deployment, as a user starts it. */
export class Program {
  readonly child: ChildProcess
  readonly #said: string[] = []

  constructor({ brokers, registryUrl }: Deployment, prefix: string, args: readonly string[]) {
    const env = {
      ...process.env,
      KAFKA_BROKERS: brokers.join(','),
      SCHEMA_REGISTRY_URL: registryUrl,
      MILLRACE_PREFIX: prefix,
      MILLRACE_TENANT_KEY: 'the key of the benchmark, no secret',
    }
    delete (env as NodeJS.ProcessEnv)['REDIS_URL']
    this.child = spawn(process.execPath, [...nodeFlags, program, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.#said.push(line)
      this.child.emit('said')
    })
  }

  /** What the first line that matches says. */
  async said(pattern: RegExp): Promise<string> {
    for (let seen = 0; ; ) {
      for (; seen < this.#said.length; seen++) {
        const found = pattern.exec(this.#said[seen]!)
        if (found) return found[1] ?? found[0]
      }
      if (this.child.exitCode !== null) throw new Error(`a process ended with ${this.child.exitCode}`)
      await Promise.race([once(this.child, 'said'), once(this.child, 'exit')])
    }
  }

  async ended(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const [status] = await once(this.child, 'exit')
    if (status !== 0) throw new Error(`a process ended with ${status}`)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.kill(signal)
    await gone
  }
}

/** `millrace run --all`, with what its metrics say. */
export class Stages extends Program {
  #port: string | undefined

  constructor(deployment: Deployment, prefix: string, data: string, options: readonly string[] = []) {
    super(deployment, prefix, ['run', '--all', '--port', '0', '--data', data, ...options])
  }

  /** The sum of a metric over its labels, and how many there are. */
  async metric(name: string): Promise<{ readonly sum: number; readonly count: number }> {
    this.#port ??= await this.said(/"port":(\d+)/)
    const text = await (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text()
    const values = [...text.matchAll(new RegExp(`^millrace_${name}(?:\\{[^}]*\\})? (.+)$`, 'gm'))].map(([, v]) =>
      Number(v),
    )
    return { sum: values.reduce((sum, value) => sum + value, 0), count: values.length }
  }
}

/** Tasks that run in these processes, and what their inboxes hold. */
export async function lagOf(
  processes: readonly Stages[],
): Promise<{ readonly running: number; readonly records: number }> {
  const lags = await Promise.all(processes.map((each) => each.metric('consumer_lag_records')))
  return {
    running: lags.reduce((sum, { count }) => sum + count, 0),
    records: lags.reduce((sum, { sum: records }) => sum + records, 0),
  }
}

const ticksPerSecond = 100

/** Processor seconds so far, user and system, of a process and of the broker below a folder. Linux only. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export function brokerPid(folder: string): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      if (command.includes('kafka.Kafka') && command.includes(folder)) return Number(name)
    } catch {
      // it has ended meanwhile
    }
  }
  throw new Error('the broker is not among the processes')
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
