/**
 * The API of Snowplow Micro (https://docs.snowplow.io/docs/testing/snowplow-micro/), by which teams test what their
 * trackers send: GET or POST `/micro/all`, `/micro/good`, `/micro/bad`, `/micro/reset`.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'

export type MicroGood = {
  readonly rawEvent: object
  readonly eventType: string | null
  readonly schema: string
  readonly contexts: readonly string[]
  /** All columns, null where nothing was sent; timestamps in ISO 8601. */
  readonly event: object
}

export type MicroBad = {
  readonly collectorPayload: object | null
  readonly rawEvent: { readonly api: { readonly vendor: string; readonly version: string } } | null
  readonly errors: readonly string[]
}

export type MicroTotals = { readonly total: number; readonly good: number; readonly bad: number }

/** Events since the last reset, the newest first. Each waits until what was received before it has been processed. */
export type Micro = {
  totals(): Promise<MicroTotals>
  good(): Promise<readonly MicroGood[]>
  bad(): Promise<readonly MicroBad[]>
  reset(): Promise<void>
}

type Filters = {
  readonly event_type?: unknown
  readonly schema?: unknown
  readonly contexts?: unknown
  readonly vendor?: unknown
  readonly version?: unknown
  readonly limit?: unknown
}

export function serveMicro(server: FastifyInstance, micro: Micro): void {
  const route = (path: string, answer: (filters: Filters) => Promise<unknown>) => {
    server.get(path, async (request) => answer(request.query as Filters))
    server.post(path, async (request) => answer(filtersIn(request)))
  }
  route('/micro/all', () => micro.totals())
  route('/micro/reset', async () => {
    await micro.reset()
    return micro.totals()
  })
  route('/micro/good', async (filters) => {
    const contexts = Array.isArray(filters.contexts) ? filters.contexts : []
    const wanted = (await micro.good()).filter(
      (event) =>
        fits(filters.event_type, event.eventType) &&
        fits(filters.schema, event.schema) &&
        contexts.every((schema) => event.contexts.includes(schema as string)),
    )
    return wanted.slice(0, limitOf(filters))
  })
  route('/micro/bad', async (filters) => {
    const wanted = (await micro.bad()).filter(
      ({ rawEvent }) => fits(filters.vendor, rawEvent?.api.vendor) && fits(filters.version, rawEvent?.api.version),
    )
    return wanted.slice(0, limitOf(filters))
  })
}

const fits = (wanted: unknown, found: unknown): boolean => wanted === undefined || wanted === null || wanted === found

function limitOf({ limit }: Filters): number | undefined {
  const count = Number(limit)
  return limit !== undefined && Number.isInteger(count) && count >= 0 ? count : undefined
}

/** Of a body that is a JSON object; any other asks for nothing in particular. */
function filtersIn({ body }: FastifyRequest): Filters {
  try {
    const value: unknown = JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : '')
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
