/**
 * The collector: Snowplow trackers speak to it over HTTP, and each of their events becomes a record of `events.raw`.
 * The surface is that of Snowplow's collector (https://docs.snowplow.io/docs/api-reference/stream-collector/): tp2 by
 * POST, the pixel by GET, the `sp` cookie, SP-Anonymous, CORS. It reads no more of an event than whose it is; what is
 * wrong with one VALIDATE says, in a bad row. So a tracker has no reason to send a payload twice: it is answered 200 once
 * the log has it, and anything else only when it has not been written.
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import type { Codec } from '../../runtime/codec.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { Origin, Sourced } from '../raw-event.ts'
import { eventOfGet, eventsOfPost, payloadBytesMax } from '../request.ts'
import { callBytesMax, splitCalls } from '../segment.ts'
import { type Micro, serveMicro } from './micro.ts'
import { callKinds, mayWrite } from './segment.ts'
import { type CookieDomains, setCookie, textOf, type Visitor, visitorOf } from './visitor.ts'

/** Where events go. */
export type Target = {
  readonly log: Pick<Log, 'append'>
  readonly codec: Codec
  /** Of the topic. */
  readonly partitions: number
}

export type CollectorOptions = {
  /** Undefined while it is not there yet: trackers are asked to come back (503). */
  readonly target: () => Target | undefined
  readonly topic?: string
  /** Whose event it is, by the host and path it was sent to. */
  readonly tenantOf: (request: { readonly host: string | null; readonly path: string }) => string
  /** Other paths for `/vendor/version`: `{ '/acme/track': '/com.snowplowanalytics.snowplow/tp2' }`. */
  readonly paths?: Readonly<Record<string, string>>
  readonly cookies?: CookieDomains
  /** Names of cookies that are written to the log with the event; all others never are. */
  readonly keptCookies?: readonly string[]
  /** Believe X-Forwarded-For and Forwarded: only behind a proxy that sets them. */
  readonly trustProxy?: boolean
  /** strict: one event that breaks the tracker protocol spoils its POST, as it does Snowplow's. Else it fails alone. */
  readonly compat?: 'per-event' | 'strict'
  /** Of Segment's calls, one of which each must have; without it whoever can reach us may send them. */
  readonly writeKeys?: readonly string[]
  /** What /micro/… answers; without it there is none. */
  readonly micro?: Micro
  /** What /metrics answers; without it there is none. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** Told of what went wrong on our side. */
  readonly report?: (error: unknown) => void
  readonly now?: () => number
  readonly newId?: () => string
}

/** Since the start. requests = those that were answered for their events; events = raw events written, failures among them. */
export type CollectorCounters = {
  readonly requests: number
  readonly events: number
  readonly failures: number
  /** Requests that were refused, so that nothing of them was written. */
  readonly tooLarge: number
  readonly busy: number
  readonly unavailable: number
}

export type Collector = {
  readonly counters: CollectorCounters
  /** Answers the port, which differs from the one asked for only when that is 0. PORT_TAKEN when it is in use. */
  listen(port: number, host?: string): Promise<number>
  /** Takes no more, and ends once what was taken is in the log. */
  close(): Promise<void>
}

/** Of a body above this we do not even read the rest (413); above `payloadBytesMax` it is one size violation. */
export const refusedBytesMin = 2 * payloadBytesMax

/** Bytes of bodies that wait for the log; beyond it a tracker is asked to come back (503). */
const waitingBytesMax = 64 * 1024 * 1024

export function createCollector(options: CollectorOptions): Collector {
  const { target, tenantOf, topic = 'events.raw', paths = {}, cookies = {}, trustProxy = false } = options
  const { writeKeys } = options
  const strict = options.compat === 'strict'
  const { report = () => {}, now = Date.now, newId = randomUUID } = options
  const ready = () => target() !== undefined
  const counters = { requests: 0, events: 0, failures: 0, tooLarge: 0, busy: 0, unavailable: 0 }
  const keptCookies: ReadonlySet<string> = new Set(options.keptCookies)
  const aliases = new Map(Object.entries(paths))
  let waitingBytes = 0

  const server = Fastify({
    bodyLimit: refusedBytesMin,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: (_error, _request, reply) => void plain(reply as FastifyReply, 400, 'bad request'),
  })
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  server.setNotFoundHandler((_request, reply) => plain(reply, 404, 'not found'))
  server.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    // the words are ours: nothing of a request comes back in an answer
    if (error.statusCode === 413) {
      counters.tooLarge++
      return plain(reply, 413, 'payload too large')
    }
    const status = error.statusCode ?? 500
    if (status >= 500) report(error)
    return status < 500 ? plain(reply, status, 'bad request') : plain(reply, 500, 'internal error')
  })

  server.decorateRequest('sentType', null)
  server.addHook('onRequest', async (request, reply) => {
    // Fastify refuses what is no media type before any parser sees it; here that is for VALIDATE to say
    request.sentType = textOf(request.headers['content-type'])
    if (request.sentType !== null) request.raw.headers['content-type'] = 'application/octet-stream'
    reply.header('access-control-allow-origin', request.headers.origin?.split(/[\s,]/, 1)[0] || '*')
    reply.header('access-control-allow-credentials', 'true')
  })
  server.options('*', (_request, reply) =>
    reply
      .header('access-control-allow-headers', 'Content-Type, SP-Anonymous')
      .header('access-control-allow-methods', 'POST, GET, OPTIONS')
      .header('access-control-max-age', '3600')
      .send(),
  )

  server.get('/health', (_request, reply) => plain(reply, 200, 'ok'))
  server.get('/sink-health', (_request, reply) => (ready() ? plain(reply, 200, 'ok') : plain(reply, 503, 'not ready')))
  server.get('/healthz', () => ({ status: 'ok' }))
  server.get('/readyz', (_request, reply) =>
    reply.code(ready() ? 200 : 503).send({ status: ready() ? 'ok' : 'not ready' }),
  )
  const { metrics } = options
  if (metrics) {
    server.get('/metrics', async (_request, reply) => {
      const { contentType, text } = await metrics()
      return reply.type(contentType).send(text)
    })
  }
  server.get('/robots.txt', (_request, reply) => plain(reply, 200, 'User-agent: *\nDisallow: /\n'))

  if (options.micro) serveMicro(server, options.micro)

  const pixelEndpoint = { vendor: 'com.snowplowanalytics.snowplow', version: 'tp1' }
  server.get('/i', (request, reply) => get(request, reply, pixelEndpoint))
  server.get('/ice.png', (request, reply) => get(request, reply, pixelEndpoint))
  for (const path of aliases.keys()) {
    if (/^\/[^/]+\/[^/]+$/.test(path)) continue // the general route takes it
    server.get(path, (request, reply) => get(request, reply, endpointOf(request)))
    server.post(path, (request, reply) => post(request, reply, endpointOf(request)))
  }
  server.get('/:vendor/:version', (request, reply) => get(request, reply, endpointOf(request)))
  server.post('/:vendor/:version', (request, reply) => post(request, reply, endpointOf(request)))

  for (const [name, kind] of callKinds) {
    server.post(`/v1/${name}`, { bodyLimit: 2 * callBytesMax }, (request, reply) => postCalls(request, reply, kind))
  }

  async function get(request: FastifyRequest, reply: FastifyReply, endpoint: Endpoint): Promise<FastifyReply> {
    const origin = visitedBy(request, reply, endpoint)
    const written = await write([eventOfGet(origin)], origin.querystring?.length ?? 0)
    if (!written) return unavailable(reply)
    return reply
      .header('cache-control', 'no-cache, no-store, must-revalidate')
      .header('content-type', 'image/gif')
      .send(transparentPixel)
  }

  /** A body we could read is answered 200, whatever VALIDATE will say of it: an SDK would send a refused one for ever. */
  async function postCalls(request: FastifyRequest, reply: FastifyReply, kind: string): Promise<FastifyReply> {
    const body = bodyOf(request)
    if (writeKeys && !mayWrite(request, body, writeKeys)) return plain(reply, 401, 'unknown write key')
    const visitor = { ...visitorIn(request), networkUserId: null } // these SDKs have ids of their own
    const origin = originOf(request, { vendor: 'com.segment', version: 'v1' }, visitor)
    const written = await write(splitCalls(origin, body.toString('utf8'), kind), body.length)
    return written ? reply.send({ success: true }) : unavailable(reply)
  }

  async function post(request: FastifyRequest, reply: FastifyReply, endpoint: Endpoint): Promise<FastifyReply> {
    const origin = visitedBy(request, reply, endpoint)
    const body = bodyOf(request)
    const written = await write(eventsOfPost(origin, body, { strict }), body.length)
    return written ? plain(reply, 200, 'ok') : unavailable(reply)
  }

  /** All or nothing; false when nothing was written. */
  async function write(events: readonly Sourced[], bytes: number): Promise<boolean> {
    const to = target()
    if (!to) {
      counters.unavailable++
      return false
    }
    if (waitingBytes + bytes > waitingBytesMax) {
      counters.busy++
      return false
    }
    const records = events.map(({ raw, key }) => ({
      topic,
      partition: partitionOf(key, to.partitions),
      kind: 'event',
      key,
      value: to.codec.encode('RawEvent', raw),
      // the log says when it was
      timestampMs: Number.NaN,
    }))
    waitingBytes += bytes
    try {
      await to.log.append(records)
    } catch (error) {
      // the tracker keeps its events and comes back
      counters.unavailable++
      report(error)
      return false
    } finally {
      waitingBytes -= bytes
    }
    counters.requests++
    counters.events += events.length
    for (const { raw } of events) if (raw.failure) counters.failures++
    return true
  }

  /** What is known of a tracker's request before its body is looked at. Sets the visitor's cookie on the way. */
  function visitedBy(request: FastifyRequest, reply: FastifyReply, endpoint: Endpoint): Origin {
    const visitor = visitorIn(request)
    const cookie = setCookie(visitor, request.headers, cookies)
    if (cookie !== null) reply.header('set-cookie', cookie)
    return originOf(request, endpoint, visitor)
  }

  function visitorIn(request: FastifyRequest): Visitor {
    const { querystring } = partsOf(request)
    const headers = { ...request.headers, 'content-type': request.sentType ?? undefined }
    const socketAddress = request.socket.remoteAddress ?? 'unknown'
    return visitorOf({ headers, querystring, socketAddress }, trustProxy, newId, keptCookies)
  }

  function originOf(
    request: FastifyRequest,
    { vendor, version }: Endpoint,
    { ipAddress, headers, networkUserId }: Pick<Origin, 'ipAddress' | 'headers' | 'networkUserId'>,
  ): Origin {
    const { path, querystring } = partsOf(request)
    const host = request.headers.host ?? null
    return {
      tenant: tenantOf({ host, path }),
      source: 'collector',
      payloadId: newId(),
      collectorTstampMs: now(),
      vendor,
      version,
      collector: null,
      contentType: request.sentType,
      hostname: host?.replace(/:\d+$/, '') ?? null,
      ipAddress,
      userAgent: textOf(request.headers['user-agent']),
      refererUri: textOf(request.headers['referer']),
      networkUserId,
      headers,
      querystring,
    }
  }

  function endpointOf(request: FastifyRequest): Endpoint {
    const { path } = partsOf(request)
    const [, vendor = '', version = ''] = (aliases.get(path) ?? path).split('/')
    return { vendor, version }
  }

  return {
    counters,
    async listen(port, host = '127.0.0.1') {
      try {
        await server.listen({ port, host })
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
        throw new MillraceError('PORT_TAKEN', `port ${port} on ${host} is in use by another program`, { cause })
      }
      const address = server.server.address()
      return typeof address === 'object' && address !== null ? address.port : port
    },
    close: () => server.close(),
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The content type as it was sent. */
    sentType: string | null
  }
}

type Endpoint = { readonly vendor: string; readonly version: string }

/** Path and querystring as they were sent: nothing decoded, nothing lost. */
function partsOf(request: FastifyRequest): { readonly path: string; readonly querystring: string | null } {
  const url = request.raw.url ?? '/'
  const mark = url.indexOf('?')
  return mark < 0
    ? { path: url, querystring: null }
    : { path: url.slice(0, mark), querystring: url.slice(mark + 1) || null }
}

const bodyOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0))

const plain = (reply: FastifyReply, status: number, text: string): FastifyReply =>
  reply.code(status).header('content-type', 'text/plain; charset=utf-8').send(text)

const unavailable = (reply: FastifyReply): FastifyReply => plain(reply.header('retry-after', '1'), 503, 'unavailable')

const transparentPixel = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')
