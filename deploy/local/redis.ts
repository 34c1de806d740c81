/** Redis, as the system has it installed. */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { missing } from './maven.ts'
import { host } from './ports.ts'
import { LocalProcess } from './process.ts'

const startMsMax = 30_000
const stopMsMax = 10_000

export class LocalRedis {
  readonly process: LocalProcess
  readonly #port: number

  constructor(folder: string, port: number) {
    this.process = new LocalProcess(folder)
    this.#port = port
  }

  get url(): string {
    return redisUrl(this.#port)
  }

  get running(): boolean {
    return this.process.running
  }

  get partlyRunning(): boolean {
    return this.running
  }

  /** What it holds is written to its folder each second. PART_MISSING when it is not installed. */
  async start(): Promise<void> {
    const data = join(this.process.folder, 'data')
    await mkdir(data, { recursive: true })
    const args = ['--bind', host, '--port', String(this.#port), '--dir', data, '--appendonly', 'yes', '--save', '']
    await this.process.start({ file: 'redis-server', args }).catch((error) => {
      throw error.code === 'ENOENT' ? missing('redis-server', error, 'redis-server', 'redis') : error
    })
    await this.process.answering(() => this.#pongs(), startMsMax)
  }

  async stop(): Promise<void> {
    await this.process.stop(stopMsMax)
  }

  async #pongs(): Promise<boolean> {
    const socket = connect(this.#port, host).setTimeout(1000, () => socket.destroy(new Error('no answer')))
    try {
      socket.write('PING\r\n')
      const [answer] = await once(socket, 'data')
      return String(answer).startsWith('+PONG')
    } finally {
      socket.destroy()
    }
  }
}

export function redisUrl(port: number): string {
  return `redis://${host}:${port}`
}
