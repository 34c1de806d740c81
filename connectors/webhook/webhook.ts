/** Activations to an HTTP endpoint, signed as Standard Webhooks 1.0.0 says. Redirections are not followed. */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { type Connector, DeliveryError } from '../connector.ts'
import { type Answer, failureOf } from './answer.ts'
import { guardedLookup, requireOutside } from './guard.ts'
import { messageOf } from './message.ts'
import type { WebhookSettings } from './settings.ts'
import { signatureOf } from './signature.ts'

export type WebhookConnectorOptions = {
  readonly id: string
  readonly settings: WebhookSettings
  readonly now?: () => number
}

/** Of an answer, this much is read; the rest is of no use. */
const answerBytesMax = 16 * 1024

export function createWebhookConnector({ id, settings, now = Date.now }: WebhookConnectorOptions): Connector {
  const agent = new (settings.url.protocol === 'https:' ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 8 })
  return {
    id,
    batchMax: settings.batch,

    async deliver(batch) {
      const { id: messageId, body } = messageOf(
        batch.map(({ activation }) => activation),
        settings.batch === 1,
      )
      const timestampS = Math.floor(now() / 1000)
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'millrace-webhook/1',
        'webhook-id': messageId,
        'webhook-timestamp': timestampS,
        'webhook-signature': signatureOf(settings.keys, { id: messageId, timestampS, body }),
      }
      const failure = failureOf(await post(settings, agent, headers, body), now())
      if (failure) throw failure
    },

    async close() {
      agent.destroy()
    },
  }
}

type Headers = Readonly<Record<string, string | number>>

/** Sends and waits for the answer, all within the timeout. Throws DeliveryError when there is none. */
function post(
  { url, timeoutMs, allowLoopback }: WebhookSettings,
  agent: HttpAgent,
  headers: Headers,
  body: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    requireOutside(url.hostname, allowLoopback)
    const signal = AbortSignal.timeout(timeoutMs)
    const fail = (error: Error): void => {
      if (error instanceof DeliveryError) reject(error)
      else if (signal.aborted) reject(new DeliveryError('transient', `it did not answer within ${timeoutMs / 1000} s`))
      else reject(new DeliveryError('transient', `it could not be reached: ${error.message}`, { cause: error }))
    }
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, {
      method: 'POST',
      agent,
      headers: { ...headers },
      lookup: guardedLookup(allowLoopback),
      signal,
    })
    request.on('error', fail)
    request.on('response', (response) => {
      readHead(response).then((text) => {
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], text })
      }, fail)
    })
    request.end(body)
  })
}

/** The beginning of an answer; its end is awaited only while it is short, so that the connection can serve again. */
async function readHead(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > answerBytesMax) break // leaving the loop destroys the response
  }
  return Buffer.concat(chunks).toString('utf8', 0, answerBytesMax)
}
