/** One way to one broker, over a connection of kafkajs. */
import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import Broker, { type ProtocolRequest } from 'kafkajs/src/broker/index.js'
import loggers from 'kafkajs/src/loggers/index.js'
import ConnectionPool from 'kafkajs/src/network/connectionPool.js'
import apiKeys from 'kafkajs/src/protocol/requests/apiKeys.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import type { Apis } from './apis.ts'
import type { KafkaOptions } from './connection.ts'
import { ConnectionFault, TlsFault } from './faults.ts'

/** A request with an encoding of our own. */
export type OwnRequest<T> = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  readonly body: Buffer
  readonly decode: (answer: Buffer) => T
}

export type Address = { readonly host: string; readonly port: number }

/**
 * A broker takes up the next request of a connection only when it has answered the one before. So whoever may wait long
 * for an answer (a member that joins, a writer of a replicated topic) has a channel of its own.
 * Requests throw ConnectionFault when no answer came; the channel is then of no more use.
 */
export class Channel {
  readonly nodeId: number
  readonly #pool: ConnectionPool
  readonly #broker: Broker
  #closed = false

  private constructor(nodeId: number, pool: ConnectionPool, broker: Broker) {
    this.nodeId = nodeId
    this.#pool = pool
    this.#broker = broker
  }

  /** Connected and authenticated. Throws ConnectionFault, or the refusal of the credentials. */
  static async open(nodeId: number, { host, port }: Address, options: Required<KafkaOptions>): Promise<Channel> {
    const pool = new ConnectionPool({
      host,
      port,
      logger: silent,
      socketFactory,
      ssl: options.ssl,
      sasl: options.sasl && { ...options.sasl },
      clientId: options.clientId,
      connectionTimeout: options.connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
    })
    const broker = new Broker({ connectionPool: pool, logger: silent, nodeId, allowAutoTopicCreation: false })
    const channel = new Channel(nodeId, pool, broker)
    await channel.#answered(() => broker.connect())
    return channel
  }

  /** No longer when the broker has closed it, as it does with what is idle: kafkajs may connect twice at once then. */
  get usable(): boolean {
    return !this.#closed && this.#pool.isConnected()
  }

  /** The answer as it came: its error codes are for the caller to read. */
  async send<Api extends keyof Apis>(api: Api, request: Apis[Api]['request']): Promise<Apis[Api]['response']> {
    const asked = this.#broker.lookupRequest(apiKeys[api]!, protocol.requests[api]!)(request)
    const response = { decode: asked.response.decode, parse: unparsed }
    return this.#guard(() => this.#pool.send({ ...asked, response })) as Promise<Apis[Api]['response']>
  }

  async sendOwn<T>({ apiKey, apiVersion, apiName, body, decode }: OwnRequest<T>): Promise<T> {
    const asked: ProtocolRequest = {
      request: { apiKey, apiVersion, apiName, encode: async () => ({ buf: body, buffer: body }) },
      response: { decode: async (answer) => answer, parse: unparsed },
    }
    return decode((await this.#guard(() => this.#pool.send(asked))) as Buffer)
  }

  /** Whatever is under way ends with a ConnectionFault. */
  close(): void {
    this.#closed = true
    for (const connection of this.#pool.pool) {
      connection.rejectRequests(new ConnectionFault('the connection was closed'))
      void connection.disconnect()
      connection.socket?.destroy()
    }
  }

  async #guard<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.usable) throw new ConnectionFault('the connection was closed')
    return this.#answered(ask)
  }

  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      // What is left half read or unanswered cannot be told from what comes next.
      this.close()
      if (error instanceof Error && connectionErrors.test(error.name)) {
        const { code } = error as NodeJS.ErrnoException
        if (code && tlsRefusals.test(code)) throw new TlsFault(tlsReason(error.message), { cause: error })
        throw new ConnectionFault(error.message, { cause: error })
      }
      throw error
    }
  }
}

const connectionErrors = /^KafkaJS(Connection|ConnectionClosed|RequestTimeout|LockTimeout)/
/** Of Node and OpenSSL: a certificate that one side does not trust, or lacks, or none of TLS at all. */
const tlsRefusals = /^ERR_(SSL|TLS)_|CERT|UNABLE_TO_VERIFY/
/** OpenSSL's own words are in the middle of where in its code they are from; an alert is what the broker says. */
function tlsReason(message: string): string {
  const reason = /SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message.replace(/^Connection error: /, '')
  const [, alert] = /\balert (.*)$/.exec(reason) ?? []
  return alert ? `the broker refuses us by TLS: ${alert}` : `TLS with the broker failed: ${reason}`
}

const unparsed = async (decoded: object): Promise<object> => decoded
const silent = loggers.createLogger({ level: 0, logCreator: () => () => undefined })

/** As that of kafkajs, with nothing held back to fill a segment: a commit is a chain of small requests. */
function socketFactory({
  host,
  port,
  ssl,
  onConnect,
}: Address & { ssl: object | null; onConnect: () => void }): object {
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : connectTcp({ host, port }, onConnect)
  return socket.setNoDelay(true).setKeepAlive(true, 60_000)
}
