/**
 * The real parts that tests talk to: those the environment names (KAFKA_BROKERS, SCHEMA_REGISTRY_URL, REDIS_URL); else
 * one of each for a whole run of tests, started when the first test file asks: by testcontainers where an engine answers,
 * otherwise from jars and packages as `millrace up` does. Where there is neither, the answer is undefined, with the reason
 * on the console: the tests are to be skipped. With CI set that fails.
 *
 *     const brokers = await kafkaForTests()
 *     describe.skipIf(!brokers)('…', () => { … })
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { inject } from 'vitest'
import type { Addresses } from '../deploy/local/addresses.ts'
import { type KafkaSettings, LocalKafka, type NodePorts } from '../deploy/local/kafka.ts'
import { type KafkaVersion, requireJava } from '../deploy/local/maven.ts'
import { up, variables } from '../deploy/local/parts.ts'
import { anyFreePort } from '../deploy/local/ports.ts'
import type { PartName } from '../deploy/local/settings.ts'
import { MillraceError } from '../runtime/errors.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** What is started during this run is kept below it, and stopped at the end by test/parts.setup.ts. */
    partsFolder: string
    /** Answers where the parts in containers are, as JSON; null where no engine answers. */
    containersUrl: string
  }
}

/** Each is host:port. Topics and groups need names of the test file's own. */
export async function kafkaForTests(): Promise<readonly string[] | undefined> {
  return (await addressOf('kafka'))?.split(',')
}

export async function registryForTests(): Promise<string | undefined> {
  return addressOf('registry')
}

export async function redisForTests(): Promise<string | undefined> {
  return addressOf('redis')
}

export type OwnKafka = {
  readonly version?: KafkaVersion
  readonly nodes?: number
  /** Name to password. With users there is a listener for them: `saslBrokers`. */
  readonly users?: KafkaSettings['users']
  /** With keys there is a listener for those who have a certificate: `tlsBrokers`. */
  readonly tls?: KafkaSettings['tls']
}

/**
 * A Kafka of the test's own, from jars, which the test may kill, pause and start again: `kafka.nodes[0].kill()`,
 * `.signal('SIGSTOP')`, `.signal('SIGCONT')`, `kafka.start()`. It runs; to be stopped with `kafka.stop()`.
 */
export async function ownKafka({
  version = '4.2.0',
  nodes = 1,
  users,
  tls,
}: OwnKafka = {}): Promise<LocalKafka | undefined> {
  return unlessMissing('a Kafka of its own', async () => {
    await requireJava()
    const ports: NodePorts[] = []
    for (let i = 0; i < nodes; i++) {
      const sasl = users && { sasl: await anyFreePort() }
      const withTls = tls && { tls: await anyFreePort() }
      ports.push({ client: await anyFreePort(), controller: await anyFreePort(), ...sasl, ...withTls })
    }
    const folder = join(inject('partsFolder'), `kafka-${randomUUID()}`)
    const kafka = new LocalKafka(folder, { version, nodes: ports, ...(users && { users }), ...(tls && { tls }) })
    await kafka.start()
    return kafka
  })
}

async function addressOf(part: PartName): Promise<string | undefined> {
  const variable = variables[part]
  return (
    process.env[variable] ||
    (await containers())?.[variable] ||
    unlessMissing(part, async () => {
      const addresses = await up(inject('partsFolder'), { with: 'jars', parts: [part], ports: { [part]: 0 } })
      return addresses[variable]
    })
  )
}

async function containers(): Promise<Addresses | null> {
  const answer = await fetch(inject('containersUrl'))
  if (!answer.ok) throw new MillraceError('PART_FAILED', await answer.text())
  return (await answer.json()) as Addresses | null
}

async function unlessMissing<Part>(what: string, start: () => Promise<Part>): Promise<Part | undefined> {
  try {
    return await start()
  } catch (error) {
    if (process.env['CI'] || !(error instanceof MillraceError) || error.code !== 'PART_MISSING') throw error
    console.warn(`SKIPPED, for want of ${what}: ${error.message}`)
    return undefined
  }
}
