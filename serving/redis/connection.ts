/** A connection to Redis that says in one sentence what is wrong with it. */
import { type ChainableCommander, Redis } from 'ioredis'
import { backoffMs } from '../../runtime/backoff.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { defineScripts } from './scripts.ts'

/** An answer that takes longer counts as none, and the connection is made anew. */
const answerWithinMs = 5_000
const reconnect = { baseMs: 50, capMs: 5_000 }

export class RedisConnection {
  /** Host and port; never the password. */
  readonly #name: string
  readonly #redis: Redis
  #lastFailure = 'it has not answered yet'

  private constructor(url: string, options: { readonly reconnects: boolean }) {
    this.#name = nameOf(url)
    this.#redis = new Redis(url, {
      connectionName: 'millrace',
      connectTimeout: answerWithinMs,
      socketTimeout: answerWithinMs,
      // Who asks waits and asks again: what is queued here would grow with the outage, and run when nobody awaits it.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      lazyConnect: true,
      retryStrategy: options.reconnects
        ? (attempt) => backoffMs(attempt, reconnect, reconnect.baseMs, Math.random)
        : null,
    })
    defineScripts(this.#redis)
    this.#redis.on('error', (error: Error) => {
      this.#lastFailure = reasonOf(error)
    })
  }

  /** One that connects again for as long as it is open; while Redis is away, what is asked fails. CONFIG_INVALID for no URL of Redis. */
  static lasting(url: string): RedisConnection {
    const connection = new RedisConnection(url, { reconnects: true })
    connection.#redis.connect().catch(() => {}) // it tries again, and `ask` says how it goes
    return connection
  }

  /** One that is there. REDIS_UNAVAILABLE when Redis does not answer now; CONFIG_INVALID for no URL of Redis. */
  static async open(url: string): Promise<RedisConnection> {
    const connection = new RedisConnection(url, { reconnects: false })
    await connection.#redis.connect().catch(() => {}) // 'error' has told the reason
    if (connection.#redis.status !== 'ready') throw connection.#unavailable(connection.#lastFailure)
    return connection
  }

  /** REDIS_UNAVAILABLE when Redis is away or refuses. */
  async ask<Answer>(command: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    if (this.#redis.status !== 'ready') throw this.#unavailable(this.#lastFailure)
    try {
      return await command(this.#redis)
    } catch (error) {
      throw this.#unavailable(reasonOf(error))
    }
  }

  /** Many commands in one go; their answers in order. REDIS_UNAVAILABLE when one of them fails, with others done perhaps. */
  async askAll(commands: (pipeline: ChainableCommander) => void): Promise<readonly unknown[]> {
    const answers = await this.ask((redis) => {
      const pipeline = redis.pipeline()
      commands(pipeline)
      return pipeline.exec()
    })
    return (answers ?? []).map(([error, answer]) => {
      if (error) throw this.#unavailable(reasonOf(error))
      return answer
    })
  }

  close(): void {
    this.#redis.disconnect()
  }

  /** Without the error itself: those of ioredis carry the command, and that the profile. */
  #unavailable(reason: string): MillraceError {
    return new MillraceError('REDIS_UNAVAILABLE', `Redis at ${this.#name}: ${reason}`)
  }
}

function nameOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed && ['redis:', 'rediss:'].includes(parsed.protocol) && parsed.hostname)
    return `${parsed.hostname}:${parsed.port || 6379}`
  throw new MillraceError('CONFIG_INVALID', 'the address of Redis is no URL as redis://host:6379 or rediss://host:6379')
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { readonly message?: string; readonly code?: string }
  return message || code || 'it cannot be reached' // several failed addresses make an error without a message
}
