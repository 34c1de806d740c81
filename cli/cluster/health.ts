/** The HTTP face of a process: whether it lives, whether it is ready, and what it measures. */
import Fastify from 'fastify'
import { MillraceError } from '../../runtime/errors.ts'
import type { Health } from '../../runtime/worker.ts'

/** A page for Prometheus. */
export type Exposition = { readonly contentType: string; text(): Promise<string> }

export type HealthServer = { readonly port: number; close(): Promise<void> }

/** PORT_TAKEN when somebody has the port; port 0 takes any. `/healthz` and `/readyz` answer 503 with the reasons. */
export async function serveHealth(
  { host, port }: { readonly host: string; readonly port: number },
  { health, metrics }: { readonly health: () => Health; readonly metrics: Exposition },
): Promise<HealthServer> {
  const server = Fastify({ logger: false })
  server.get('/healthz', (_request, reply) => {
    const { live, reasons } = health()
    return reply.code(live ? 200 : 503).send(live ? { status: 'ok' } : { status: 'stuck', reasons })
  })
  server.get('/readyz', (_request, reply) => {
    const { ready, reasons } = health()
    return reply.code(ready ? 200 : 503).send(ready ? { status: 'ready' } : { status: 'not ready', reasons })
  })
  server.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  try {
    const address = await server.listen({ host, port })
    return { port: Number(new URL(address).port), close: () => server.close() }
  } catch (error) {
    await server.close()
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new MillraceError('PORT_TAKEN', `the port ${port} of ${host} is taken`)
  }
}
