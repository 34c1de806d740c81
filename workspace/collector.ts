/** collector.yaml: how the collector answers. A workspace need not have it. */
import { z } from 'zod'
import { choice, environmentVariable, flag, list, mapping, text } from './shape.ts'
import type { Source } from './source.ts'

export type CollectorSettings = {
  /** Paths of one's own for those of the collector, against lists that block trackers. */
  readonly paths: Readonly<Record<string, string>>
  /** Domains the cookie `sp` may be set for: the first that the page lies in, else the fallback. */
  readonly cookies: { readonly domains: readonly string[]; readonly fallbackDomain?: string }
  /** Believe X-Forwarded-For and Forwarded: only behind a proxy that sets them. */
  readonly trustProxy: boolean
  /** strict: a POST fails as a whole, as Snowplow's does, when one of its events breaks the tracker protocol. */
  readonly compat: 'per-event' | 'strict'
  /** The environment variable with the write keys of Segment's SDKs; null: any will do. */
  readonly writeKeysEnv: string | null
}

export const defaultCollector: CollectorSettings = {
  paths: {},
  cookies: { domains: [] },
  trustProxy: false,
  compat: 'per-event',
  writeKeysEnv: null,
}

const domain = text('a domain, such as shop.example', 253).regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, {
  error: 'a domain, such as shop.example',
})
const target = '/com.snowplowanalytics.snowplow/tp2, or another /vendor/version'

const shape = mapping({
  paths: z.record(z.string(), text(target).regex(/^\/[\w.-]+\/[\w.-]+$/, { error: target })).optional(),
  cookies: mapping({ domains: list(domain, 'domains', 50).optional(), fallbackDomain: domain.optional() }).optional(),
  trustProxy: flag.optional(),
  compat: choice('per-event', 'strict').optional(),
  writeKeys: mapping({ env: environmentVariable }).optional(),
})

/** Null after a problem was noted. */
export function readCollector(source: Source): CollectorSettings | null {
  const file = source.value === undefined ? null : source.read(shape, [], source.value)
  if (!file) return null
  const { paths = {}, cookies = {}, trustProxy = false, compat = 'per-event', writeKeys } = file
  let sound = true
  for (const path of Object.keys(paths)) {
    if (/^(\/[\w.~-]+){1,8}$/.test(path)) continue
    source.reportKey(['paths', path], `the path ${path}`, 'a path such as /acme/track, without a querystring')
    sound = false
  }
  const { domains = [], fallbackDomain } = cookies
  const settled = { domains, ...(fallbackDomain !== undefined && { fallbackDomain }) }
  return sound ? { paths, cookies: settled, trustProxy, compat, writeKeysEnv: writeKeys?.env ?? null } : null
}
