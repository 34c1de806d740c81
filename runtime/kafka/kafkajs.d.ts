/** The modules beneath kafkajs that we use, of 2.2.4 to the letter: the version is pinned for their sake. */

declare module 'kafkajs/src/broker/index.js' {
  import type ConnectionPool from 'kafkajs/src/network/connectionPool.js'

  /** Connects, authenticates, and knows which versions of each request its broker speaks. */
  export default class Broker {
    constructor(options: {
      connectionPool: ConnectionPool
      logger: object
      nodeId: number | null
      allowAutoTopicCreation: boolean
    })
    connect(): Promise<void>
    /** How to ask, in the newest version that both sides speak. */
    lookupRequest(apiKey: number, definition: object): (request: object) => ProtocolRequest
  }

  export type ProtocolRequest = {
    request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<{ buf: Buffer; buffer: Buffer }> }
    response: { decode(payload: Buffer): Promise<object>; parse(decoded: object): Promise<unknown> }
    /** Only makes it longer than that of the connection. */
    requestTimeout?: number
    logResponseError?: boolean
  }
}

declare module 'kafkajs/src/network/connectionPool.js' {
  import type { ProtocolRequest } from 'kafkajs/src/broker/index.js'

  type Connection = {
    /** Ends what is under way with this error. */
    rejectRequests(error: Error): void
    disconnect(): Promise<unknown>
    readonly socket?: { destroy(): void }
  }

  /** Two connections, each opened when first used: one for fetches, one for all else. */
  export default class ConnectionPool {
    constructor(options: {
      host: string
      port: number
      logger: object
      socketFactory: (place: { host: string; port: number; ssl: object | null; onConnect: () => void }) => object
      ssl: object | null
      sasl: object | null
      clientId: string
      connectionTimeout: number
      requestTimeout: number
    })
    readonly pool: readonly Connection[]
    isConnected(): boolean
    send(request: ProtocolRequest): Promise<unknown>
  }
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  const definitions: { readonly requests: Readonly<Record<string, object>> }
  export default definitions
}

declare module 'kafkajs/src/protocol/error.js' {
  const table: { readonly errorCodes: readonly { readonly type: string; readonly code: number }[] }
  export default table
}

declare module 'kafkajs/src/protocol/requests/apiKeys.js' {
  const apiKeys: Readonly<Record<string, number>>
  export default apiKeys
}

declare module 'kafkajs/src/loggers/index.js' {
  const loggers: { createLogger(options: { level: number; logCreator: () => () => void }): object }
  export default loggers
}
