/** A small HTTP server that takes webhooks in place of the tools a demo does not have: it answers 200 and counts. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Receiver = {
  /** Where it listens, on this machine only. */
  readonly url: string
  /** Messages taken so far. */
  readonly messages: number
  close(): Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  let messages = 0
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      messages++
      response.end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    get messages() {
      return messages
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
