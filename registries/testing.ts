/** A registry as the world outside has them: over HTTP, static or an Iglu Server, that can be put out of order. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export class TestRegistry {
  /** Texts by path `vendor/name/jsonschema/M-R-A`. */
  readonly schemas = new Map<string, string>()
  /** Paths asked for, in order. */
  readonly asked: string[] = []
  /** Answers this instead, while it is set; hang: nothing at all. */
  trouble: number | 'hang' | null = null
  readonly #apiKey: string | null
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  private constructor(apiKey: string | null) {
    this.#apiKey = apiKey
  }

  /** With a key it is an Iglu Server, that knows nothing and takes nothing without it. */
  static async open(apiKey: string | null = null): Promise<TestRegistry> {
    const registry = new TestRegistry(apiKey)
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve))
    return registry
  }

  get uri(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${this.#apiKey === null ? '' : '/api'}`
  }

  put(key: string, schema: object): void {
    const path = key.replace('iglu:', '')
    const [vendor, name, format, version] = path.split('/')
    const $schema = 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#'
    this.schemas.set(path, JSON.stringify({ $schema, self: { vendor, name, format, version }, ...schema }))
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url!, 'http://localhost')
    const path = pathname.replace(/^(?:\/api)?\/schemas\//, '')
    this.asked.push(path)
    const end = (status: number, body = ''): void => void response.writeHead(status).end(body)
    if (this.trouble === 'hang') return
    if (this.trouble !== null) return end(this.trouble)
    const known = this.#apiKey === null || request.headers['apikey'] === this.#apiKey
    if (request.method === 'PUT') {
      if (!known || this.#apiKey === null) return end(403, '{"message":"Not enough permissions"}')
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const existed = this.schemas.has(path)
      if (existed) return end(409, '{"message":"Schema already exists"}')
      this.schemas.set(path, Buffer.concat(chunks).toString('utf8'))
      return end(201, JSON.stringify({ message: 'Schema created', location: path }))
    }
    const text = known ? this.schemas.get(path) : undefined
    if (this.#apiKey !== null && request.headers['apikey'] !== undefined && !known) return end(403)
    return text === undefined ? end(404) : end(200, text)
  }
}
