/** A cluster as seen from here: who leads which partition, who coordinates what, and channels to them. */
import type { ConnectionOptions } from 'node:tls'
import { type ErrorPlace, MillraceError } from '../errors.ts'
import { type Address, Channel } from './channel.ts'
import { asMillraceError, codes, KafkaFault, patienceMs, requireNoFault } from './faults.ts'

export type Sasl = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export type KafkaOptions = {
  /** host:port of some brokers; the others are learned from them. */
  readonly brokers: readonly string[]
  readonly clientId?: string
  /** TLS, with `cert` and `key` for mTLS; null: plain text. */
  readonly ssl?: ConnectionOptions | null
  readonly sasl?: Sasl | null
  readonly connectTimeoutMs?: number
  readonly requestTimeoutMs?: number
  /** How long leaders may move and brokers be away before a request ends in KAFKA_UNAVAILABLE. */
  readonly patienceMs?: number
}

type Node = Address & { readonly nodeId: number }
type Coordinated = 'group' | 'transaction'

/**
 * Connections are told apart by lane: requests of one lane to one broker share a channel and are answered in order.
 * What is known of the cluster is remembered until `forget`, which `retrying` calls after every failure.
 */
export class KafkaConnection {
  readonly #options: Required<KafkaOptions>
  readonly #channels = new Map<string, Promise<Channel>>()
  readonly #leaders = new Map<string, Promise<readonly number[]>>()
  readonly #coordinators = new Map<string, Promise<Node>>()
  #nodes: ReadonlyMap<number, Node> = new Map()
  #closed = false

  private constructor(options: KafkaOptions) {
    this.#options = {
      clientId: 'millrace',
      ssl: null,
      sasl: null,
      connectTimeoutMs: 2000,
      requestTimeoutMs: 5000,
      patienceMs: 8000,
      ...options,
    }
  }

  /** Throws CONFIG_INVALID, KAFKA_UNAVAILABLE when no broker answers, KAFKA_REFUSED when one does not let us in. */
  static async open(options: KafkaOptions): Promise<KafkaConnection> {
    const connection = new KafkaConnection(options)
    for (const broker of options.brokers) addressOf(broker)
    try {
      await connection.retrying('cannot connect to Kafka', {}, () => connection.controller())
      return connection
    } catch (error) {
      await connection.close() // some brokers may have let us in
      throw error
    }
  }

  /** How many partitions a topic has. Throws a KafkaFault, as all that asks the cluster. */
  async partitionsOf(topic: string): Promise<number> {
    return (await this.#leadersOf(topic)).length
  }

  async leaderOf(topic: string, partition: number, lane = 'main'): Promise<Channel> {
    const leader = (await this.#leadersOf(topic))[partition]
    if (leader === undefined) throw new KafkaFault('Metadata', codes.unknownTopicOrPartition)
    if (leader < 0) throw new KafkaFault('Metadata', codes.leaderNotAvailable)
    return this.#channelTo(leader, lane)
  }

  /** The broker that keeps a group's members or a transactional id's state, on a lane of its own. */
  async coordinatorOf(type: Coordinated, id: string): Promise<Channel> {
    const lane = `${type} ${id}`
    const coordinator = await remembered(this.#coordinators, lane, async () => {
      const request = { groupId: id, coordinatorType: type === 'group' ? 0 : 1 } as const
      const answer = await (await this.#anyBroker()).send('GroupCoordinator', request)
      requireNoFault('FindCoordinator', answer.errorCode)
      return answer.coordinator
    })
    return this.#channel(coordinator, lane)
  }

  /** The broker that takes changes of topics. */
  async controller(): Promise<Channel> {
    return this.#channelTo(await this.#refresh([]).then(({ controllerId }) => controllerId), 'main')
  }

  /** Metadata of these topics, fresh from a broker; of all there are if none is named. */
  async describe(topics: readonly string[]) {
    return (await this.#refresh(topics.length > 0 ? topics : null)).topicMetadata
  }

  /** Drops what is known of leaders and coordinators: the next one who asks learns it anew. */
  forget(): void {
    this.#leaders.clear()
    this.#coordinators.clear()
  }

  /**
   * Tries until it works, unless the fault is one that stays or patience is at its end: then it throws what
   * `asMillraceError` makes of it. Only for what may be done twice.
   */
  async retrying<T>(what: string, place: ErrorPlace, attempt: () => Promise<T>): Promise<T> {
    const startMs = Date.now()
    for (let waitMs = 5; ; waitMs = Math.min(250, waitMs * 1.5)) {
      try {
        return await attempt()
      } catch (error) {
        const patience = Math.min(this.#options.patienceMs, patienceMs(error))
        if (this.#closed || Date.now() + waitMs > startMs + patience) throw asMillraceError(error, what, place)
        this.forget()
        await pause(waitMs * (0.75 + Math.random() / 2))
      }
    }
  }

  /** Closes all channels; requests under way fail. */
  async close(): Promise<void> {
    this.#closed = true
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    for (const channel of channels)
      await channel.then(
        (open) => open.close(),
        () => undefined,
      )
  }

  async #leadersOf(topic: string): Promise<readonly number[]> {
    return remembered(this.#leaders, topic, async () => {
      const [found] = (await this.#refresh([topic])).topicMetadata
      requireNoFault('Metadata', found?.topicErrorCode ?? codes.unknownTopicOrPartition)
      const leaders: number[] = []
      for (const { partitionId, leader } of found!.partitionMetadata) leaders[partitionId] = leader
      return leaders
    })
  }

  /** Asks a broker for the nodes of the cluster, and for topics: null for all of them. */
  async #refresh(topics: readonly string[] | null) {
    // An empty list is taken for all topics; one that cannot exist asks for the nodes alone.
    const names = topics === null ? [] : topics.length > 0 ? topics : ['\u0000']
    const answer = await (await this.#anyBroker()).send('Metadata', { topics: names, allowAutoTopicCreation: false })
    this.#nodes = new Map(answer.brokers.map((node) => [node.nodeId, node]))
    return answer
  }

  /** The first that lets us in: of those known, else of those configured. */
  async #anyBroker(): Promise<Channel> {
    const configured = this.#options.brokers.map((broker, i) => ({ ...addressOf(broker), nodeId: -1 - i }))
    let failure: unknown
    for (const node of [...this.#nodes.values(), ...configured]) {
      try {
        return await this.#channel(node, 'main')
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async #channelTo(nodeId: number, lane: string): Promise<Channel> {
    const node = this.#nodes.get(nodeId)
    if (!node) throw new KafkaFault('Metadata', codes.leaderNotAvailable)
    return this.#channel(node, lane)
  }

  async #channel(node: Node, lane: string): Promise<Channel> {
    if (this.#closed) throw new MillraceError('KAFKA_UNAVAILABLE', 'the connection to Kafka was closed')
    const name = `${node.host}:${node.port} ${lane}`
    const opening = remembered(this.#channels, name, () => Channel.open(node.nodeId, node, this.#options))
    const channel = await opening
    if (channel.usable) return channel
    // A connection that broke, or was closed for being idle: whoever finds it so first opens another.
    if (this.#channels.get(name) === opening) this.#channels.delete(name)
    channel.close()
    return remembered(this.#channels, name, () => Channel.open(node.nodeId, node, this.#options))
  }
}

/** What is being learned once is not asked for again meanwhile, and a failure is not remembered. */
function remembered<T>(memory: Map<string, Promise<T>>, name: string, learn: () => Promise<T>): Promise<T> {
  const known = memory.get(name)
  if (known) return known
  const learned = learn()
  memory.set(name, learned)
  learned.catch(() => {
    if (memory.get(name) === learned) memory.delete(name)
  })
  return learned
}

function addressOf(broker: string): Address {
  const at = broker.lastIndexOf(':')
  const port = Number(broker.slice(at + 1))
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65535)
    throw new MillraceError('CONFIG_INVALID', `brokers: ${broker} is no host:port`)
  return { host: broker.slice(0, at), port }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
