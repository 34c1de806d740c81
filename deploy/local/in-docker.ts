/** The parts as containers: those services of docker-compose.yml at the root of the package, as a project of their own. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MillraceError } from '../../runtime/errors.ts'
import type { Machinery, Tell } from './parts.ts'
import { type PartName, partNames, type Settings } from './settings.ts'

const run = promisify(execFile)
const askMsMax = 10_000
/** At the root of the package: two folders up in the source tree, three in the build. */
const composeFile: string =
  ['../../', '../../../']
    .map((root) => fileURLToPath(new URL(`${root}docker-compose.yml`, import.meta.url)))
    .find(existsSync) ?? 'docker-compose.yml'
/** Images are pulled within it. */
const startMsMax = 15 * 60_000
const stopMsMax = 2 * 60_000

/** Whether an engine answers, and knows compose files. */
export async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: askMsMax })
    await run('docker', ['compose', 'version'], { timeout: askMsMax })
    return true
  } catch {
    return false
  }
}

export class InDocker implements Machinery {
  readonly #project: string
  readonly #env: NodeJS.ProcessEnv

  /** The data is in volumes of the project, which is named after the folder. */
  constructor(folder: string, { kafka, kafkaVersion, registry, redis }: Settings) {
    this.#project = `millrace-${createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 8)}`
    this.#env = {
      ...process.env,
      KAFKA_VERSION: kafkaVersion,
      ...(kafka[0] && { KAFKA_PORT: String(kafka[0].client) }),
      ...(registry && { REGISTRY_PORT: String(registry) }),
      ...(redis && { REDIS_PORT: String(redis) }),
    }
  }

  async running(): Promise<readonly PartName[]> {
    const services = (await this.#compose(askMsMax, 'ps', '--services', '--status', 'running')).split('\n')
    return partNames.filter((name) => services.includes(name))
  }

  async partlyRunning(): Promise<readonly PartName[]> {
    return this.running()
  }

  async start(parts: readonly PartName[], tell: Tell): Promise<void> {
    for (const name of parts) tell(name, 'starting')
    await this.#compose(startMsMax, 'up', '--detach', '--wait', ...parts)
    for (const name of parts) tell(name, 'ready')
  }

  async stop(purge: boolean): Promise<void> {
    await this.#compose(stopMsMax, 'down', ...(purge ? ['--volumes'] : []))
  }

  async #compose(timeout: number, ...args: readonly string[]): Promise<string> {
    const all = ['compose', '--file', composeFile, '--project-name', this.#project, ...args]
    try {
      return (await run('docker', all, { env: this.#env, timeout })).stdout
    } catch (error) {
      const { stderr } = error as { stderr?: string }
      const said = stderr?.trim().split('\n').slice(-8).join('\n') || 'it said nothing'
      throw new MillraceError('PART_FAILED', `docker compose ${args[0]} failed:\n${said}`, { cause: error })
    }
  }
}
