/** An HTTP proxy whose failures a test decides. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Stands before a server; `cut` hangs up on whoever comes, `answer` is a status that it gives itself. */
export class HttpProxy {
  cut = false
  answer: number | null = null
  requests = 0
  readonly url: string
  readonly #server: Server

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async before(target: string): Promise<HttpProxy> {
    const server = createServer((incoming, outgoing) => proxy.#pass(target, incoming, outgoing)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const proxy: HttpProxy = new HttpProxy(server, `http://127.0.0.1:${port}${new URL(target).pathname}`)
    return proxy
  }

  #pass(target: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.requests++
    if (this.cut) {
      incoming.socket.destroy()
    } else if (this.answer !== null) {
      outgoing.writeHead(this.answer).end('<html>not what you look for</html>')
    } else {
      const to = { method: incoming.method, headers: { ...incoming.headers, host: new URL(target).host } }
      const onward = request(new URL(incoming.url!, target), to, (answered) => {
        outgoing.writeHead(answered.statusCode!, answered.headers)
        answered.pipe(outgoing)
      })
      incoming.pipe(onward)
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
