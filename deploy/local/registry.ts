/** A schema registry that speaks Confluent's API: Apicurio, from its jars. */
import { join } from 'node:path'
import { registryJars, registryVersion } from './maven.ts'
import { host } from './ports.ts'
import { LocalProcess } from './process.ts'

const startMsMax = 120_000
const stopMsMax = 10_000

export class LocalRegistry {
  readonly process: LocalProcess
  readonly #port: number

  constructor(folder: string, port: number) {
    this.process = new LocalProcess(folder)
    this.#port = port
  }

  get url(): string {
    return registryUrl(this.#port)
  }

  get running(): boolean {
    return this.process.running
  }

  get partlyRunning(): boolean {
    return this.running
  }

  async start(fetching?: () => void): Promise<void> {
    const jars = await registryJars(fetching)
    await this.process.start({
      file: 'java',
      args: [
        '-Xmx512m',
        ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'], // up in half the time
        `-Dquarkus.http.host=${host}`,
        `-Dquarkus.http.port=${this.#port}`,
        // Topics hold the ids it gives: what it answered must survive a kill -9, which H2's delayed writes do not.
        `-Dapicurio.datasource.url=jdbc:h2:file:${join(this.process.folder, 'data', 'registry')};WRITE_DELAY=0`,
        '-jar',
        join(jars, `apicurio-registry-app-${registryVersion}-runner.jar`),
      ],
    })
    await this.process.answering(async () => (await fetch(`${this.url}/subjects`)).ok, startMsMax)
  }

  async stop(): Promise<void> {
    await this.process.stop(stopMsMax)
  }
}

export function registryUrl(port: number): string {
  return `http://${host}:${port}/apis/ccompat/v7`
}
