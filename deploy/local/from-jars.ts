/** The parts as processes of this machine: Kafka and the registry from jars, Redis as it is installed. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LocalKafka } from './kafka.ts'
import { requireJava } from './maven.ts'
import type { Machinery, Tell } from './parts.ts'
import { LocalRedis } from './redis.ts'
import { LocalRegistry } from './registry.ts'
import { type PartName, partNames, type Settings } from './settings.ts'

type Part = {
  readonly running: boolean
  readonly partlyRunning: boolean
  start(fetching: () => void): Promise<void>
  stop(): Promise<void>
}

export class FromJars implements Machinery {
  readonly #folder: string
  readonly #parts: ReadonlyMap<PartName, Part>

  constructor(folder: string, { kafka, kafkaVersion, registry, redis }: Settings) {
    this.#folder = folder
    const parts = new Map<PartName, Part>()
    if (kafka.length > 0)
      parts.set('kafka', new LocalKafka(join(folder, 'kafka'), { version: kafkaVersion, nodes: kafka }))
    if (registry) parts.set('registry', new LocalRegistry(join(folder, 'registry'), registry))
    if (redis) parts.set('redis', new LocalRedis(join(folder, 'redis'), redis))
    this.#parts = parts
  }

  async running(): Promise<readonly PartName[]> {
    return partNames.filter((name) => this.#parts.get(name)?.running)
  }

  async partlyRunning(): Promise<readonly PartName[]> {
    return partNames.filter((name) => this.#parts.get(name)?.partlyRunning)
  }

  async start(parts: readonly PartName[], tell: Tell): Promise<void> {
    if (parts.some((name) => name !== 'redis')) await requireJava()
    const outcomes = await Promise.allSettled(
      parts.map(async (name) => {
        tell(name, 'starting')
        await this.#parts.get(name)!.start(() => tell(name, 'fetching'))
        tell(name, 'ready')
      }),
    )
    // All have come to an end: nothing goes on behind the back of whoever reads the failure.
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
  }

  async stop(purge: boolean): Promise<void> {
    await Promise.all([...this.#parts.values()].map((part) => part.stop()))
    if (!purge) return
    for (const name of partNames) await rm(join(this.#folder, name), { recursive: true, force: true })
  }
}
