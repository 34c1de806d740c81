/** Real Apache Kafka of one node or more, from its jars. Each node is broker and controller. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { MillraceError } from '../../runtime/errors.ts'
import { type KafkaVersion, kafkaJars } from './maven.ts'
import { host } from './ports.ts'
import { LocalProcess } from './process.ts'

const run = promisify(execFile)

/** Further listeners, where clients prove who they are: `sasl` by password (SASL_PLAINTEXT), `tls` by certificate (mTLS). */
export type NodePorts = {
  readonly client: number
  readonly controller: number
  readonly sasl?: number
  readonly tls?: number
}

export type KafkaSettings = {
  readonly version: KafkaVersion
  readonly nodes: readonly NodePorts[]
  /** Name to password, for the listener `sasl`: SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN. Known from the first start on. */
  readonly users?: Readonly<Record<string, string>>
  /** For the listener `tls`, PEM files: the brokers' key and certificate, and who signs the certificates of clients. */
  readonly tls?: { readonly keyStore: string; readonly trustStore: string }
}

const startMsMax = 120_000
const stopMsMax = 15_000

export class LocalKafka {
  /** One a node, to be killed, paused and continued. */
  readonly nodes: readonly LocalProcess[]
  readonly #folder: string
  readonly #settings: KafkaSettings

  /** Everything is kept below the folder; the settings of its first start are those for ever, ports excepted. */
  constructor(folder: string, settings: KafkaSettings) {
    this.#folder = folder
    this.#settings = settings
    this.nodes = settings.nodes.map((_, i) => new LocalProcess(join(folder, `node-${i + 1}`)))
  }

  get brokers(): string {
    return brokersOf(this.#settings.nodes)
  }

  get saslBrokers(): string {
    return this.#settings.nodes.map(({ sasl }) => `${host}:${sasl}`).join(',')
  }

  get tlsBrokers(): string {
    return this.#settings.nodes.map(({ tls }) => `${host}:${tls}`).join(',')
  }

  /** All of it: a cluster that lacks a node is started again. */
  get running(): boolean {
    return this.nodes.every((node) => node.running)
  }

  get partlyRunning(): boolean {
    return this.nodes.some((node) => node.running)
  }

  /** Starts the nodes that do not run, and waits until all are members of the cluster. PART_FAILED with the log's end. */
  async start(fetching?: () => void): Promise<void> {
    const jars = await kafkaJars(this.#settings.version, fetching)
    const clusterId = await this.#clusterId()
    await Promise.all(this.nodes.map((node, i) => this.#startNode(node, i, jars, clusterId)))
    await Promise.all(
      this.nodes.map((node, i) => node.answering(() => this.#seesAll(this.#settings.nodes[i]!), startMsMax)),
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop(stopMsMax)))
  }

  /** Asked of each node, since the others go on naming one that has just been killed. */
  async #seesAll(node: NodePorts): Promise<boolean> {
    const brokers = [brokersOf([node])]
    const retry = { retries: 0 }
    const admin = new Kafka({ brokers, retry, connectionTimeout: 1000, logLevel: logLevel.NOTHING }).admin()
    try {
      await admin.connect()
      return (await admin.describeCluster()).brokers.length === this.nodes.length
    } finally {
      await admin.disconnect()
    }
  }

  async #startNode(node: LocalProcess, i: number, jars: string, clusterId: string): Promise<void> {
    if (node.running) return
    const properties = join(node.folder, 'server.properties')
    await mkdir(node.folder, { recursive: true })
    await writeFile(properties, propertiesOf(this.#settings, i, join(node.folder, 'data')))
    const java = ['-cp', join(jars, '*'), '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
    if (!existsSync(join(node.folder, 'data', 'meta.properties'))) {
      const format = ['format', '--cluster-id', clusterId, '--config', properties, ...scramOf(this.#settings.users)]
      await run('java', [...java, 'kafka.tools.StorageTool', ...format]).catch((cause) => {
        throw new MillraceError('PART_FAILED', `Kafka could not prepare ${node.folder}:\n${cause.stderr}`, { cause })
      })
    }
    const heap = this.nodes.length === 1 ? '-Xmx1g' : '-Xmx512m'
    const tuning = (process.env['KAFKA_JVM_PERFORMANCE_OPTS'] ?? '').split(' ').filter((option) => option !== '')
    await node.start({ file: 'java', args: [heap, ...tuning, ...java, 'kafka.Kafka', properties] })
  }

  /** Made once. 16 random bytes; a leading dash would be taken for an option. */
  async #clusterId(): Promise<string> {
    const file = join(this.#folder, 'cluster-id')
    await mkdir(this.#folder, { recursive: true })
    const fresh = `M${randomBytes(16).toString('base64url').slice(1)}`
    await writeFile(file, fresh, { flag: 'wx' }).catch(() => {}) // there is one
    return readFile(file, 'utf8')
  }
}

/** The nodes' listeners for clients, as KAFKA_BROKERS has them. */
export function brokersOf(nodes: readonly NodePorts[]): string {
  return nodes.map(({ client }) => `${host}:${client}`).join(',')
}

function propertiesOf({ nodes, users, tls: stores }: KafkaSettings, i: number, dataFolder: string): string {
  const { client, controller, sasl, tls } = nodes[i]!
  const clients = [
    `PLAINTEXT://${host}:${client}`,
    ...(sasl ? [`SASL://${host}:${sasl}`] : []),
    ...(tls ? [`TLS://${host}:${tls}`] : []),
  ]
  const replicas = Math.min(nodes.length, 3)
  const properties: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': i + 1,
    'controller.quorum.voters': nodes.map(({ controller }, i) => `${i + 1}@${host}:${controller}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL',
    listeners: [...clients, `CONTROLLER://${host}:${controller}`].join(','),
    'advertised.listeners': clients.join(','),
    'log.dirs': dataFolder,
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'default.replication.factor': replicas,
    'min.insync.replicas': Math.max(1, replicas - 1),
    // A broker that was killed is let in again only when its former session has ended; by itself that takes 9 s.
    'broker.heartbeat.interval.ms': 1000,
    'broker.session.timeout.ms': 5000,
    // 50 partitions of each are made at the first use otherwise, which takes a second.
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': Math.max(1, replicas - 1),
  }
  if (sasl) {
    const plainUsers = Object.entries(users ?? {}).map(([name, password]) => `user_${name}="${password}"`)
    const login = 'org.apache.kafka.common.security'
    Object.assign(properties, {
      'listener.name.sasl.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN',
      'listener.name.sasl.scram-sha-256.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
      'listener.name.sasl.scram-sha-512.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
      'listener.name.sasl.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
    })
  }
  if (tls) {
    Object.assign(properties, {
      'listener.name.tls.ssl.client.auth': 'required',
      'listener.name.tls.ssl.keystore.type': 'PEM',
      'listener.name.tls.ssl.keystore.location': stores?.keyStore,
      'listener.name.tls.ssl.truststore.type': 'PEM',
      'listener.name.tls.ssl.truststore.location': stores?.trustStore,
    })
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('')
}

function scramOf(users: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  )
}
