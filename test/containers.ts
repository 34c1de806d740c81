/** The parts in containers, by testcontainers: those services of docker-compose.yml, one of each for a whole run of tests. */
import { fileURLToPath } from 'node:url'
import type { StartedDockerComposeEnvironment } from 'testcontainers'
import type { Addresses } from '../deploy/local/addresses.ts'
import { dockerAnswers } from '../deploy/local/in-docker.ts'
import { anyFreePort, host } from '../deploy/local/ports.ts'
import { redisUrl } from '../deploy/local/redis.ts'
import { registryUrl } from '../deploy/local/registry.ts'
import { partNames } from '../deploy/local/settings.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

type Started = { readonly environment: StartedDockerComposeEnvironment; readonly addresses: Addresses }

/** They end with the process that has started them, even if that is killed. */
export class Containers {
  #started: Promise<Started | null> | undefined

  /** Starts them, the first time. Null where no engine answers. */
  async addresses(): Promise<Addresses | null> {
    this.#started ??= start()
    return (await this.#started)?.addresses ?? null
  }

  async stop(): Promise<void> {
    await (await this.#started)?.environment.down({ removeVolumes: true })
  }
}

async function start(): Promise<Started | null> {
  if (!(await dockerAnswers())) return null
  // Loaded for those who have an engine: it takes a second, and there is one such process.
  const { DockerComposeEnvironment, Wait } = await import('testcontainers')
  const [kafka, registry, redis] = [await anyFreePort(), await anyFreePort(), await anyFreePort()]
  const ports = { KAFKA_PORT: String(kafka), REGISTRY_PORT: String(registry), REDIS_PORT: String(redis) }
  const environment = await new DockerComposeEnvironment(root, 'docker-compose.yml')
    .withEnvironment(ports)
    .withDefaultWaitStrategy(Wait.forHealthCheck())
    .up([...partNames])
  const addresses = {
    KAFKA_BROKERS: `${host}:${kafka}`,
    SCHEMA_REGISTRY_URL: registryUrl(registry),
    REDIS_URL: redisUrl(redis),
  }
  return { environment, addresses }
}
