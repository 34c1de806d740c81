/** How schemas are used: `schemas` in millrace.yaml, and `iglu.json`, a resolver configuration as Iglu's clients have it. */
import { z } from 'zod'
import { type IgluRules, igluDefaults, type Registries, type Repository } from '../schemas/definitions.ts'
import { choice, mapping, text, whole } from './shape.ts'
import type { Source } from './source.ts'

const nulls = choice('keep', 'drop')

/** Under `schemas` in millrace.yaml. */
export const schemaRulesShape = mapping({
  compat: choice('iglu', 'standard').optional(),
  integers: choice('lenient', 'as_written').optional(),
  nulls: nulls.optional(),
  nullsOf: z
    .record(
      z.string().regex(/^iglu:[a-zA-Z0-9_.*-]+\/[a-zA-Z0-9_*-]+\/jsonschema\/(?:\d+|\*)-(?:\d+|\*)-(?:\d+|\*)$/, {
        error: 'a criterion such as iglu:com.acme/order/jsonschema/1-*-*',
      }),
      nulls,
      { error: 'a mapping of criteria, such as iglu:com.acme/order/jsonschema/1-*-*, to keep or drop' },
    )
    .optional(),
})

export function schemaRules(
  given: z.infer<typeof schemaRulesShape> | undefined,
  registries: Registries | null,
): IgluRules {
  const { nullsOf = {}, ...rules } = given ?? {}
  const of = Object.entries(nullsOf).map(([schema, policy]) => ({ schema, nulls: policy }))
  return {
    compat: rules.compat ?? igluDefaults.compat,
    integers: rules.integers ?? igluDefaults.integers,
    nulls: rules.nulls ?? igluDefaults.nulls,
    nullsOf: of,
    registries,
  }
}

const secret = mapping({
  env: text('the name of an environment variable').regex(/^[A-Z][A-Z0-9_]{0,127}$/, {
    error: 'the name of an environment variable, such as IGLU_API_KEY',
  }),
})

const repositoryShape = mapping({
  name: text('a name for people, at most 100 characters', 100),
  priority: whole(0, 1_000_000),
  vendorPrefixes: z.array(text('the beginning of vendors, such as com.acme', 128), {
    error: 'a list of beginnings of vendors, such as ["com.acme"], or []',
  }),
  connection: z.union(
    [
      mapping({
        http: mapping({
          uri: text('an address, such as https://iglu.acme.com/api').regex(/^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/, {
            error: 'an http(s) address without user, query or fragment, such as https://iglu.acme.com/api',
          }),
          apikey: secret.nullish(),
        }),
      }),
      mapping({ embedded: mapping({ path: text('a folder, from the workspace') }) }),
    ],
    {
      error:
        '{"http": {"uri": …, "apikey": {"env": "NAME"}}} or {"embedded": {"path": …}}; a key is given by the name of its variable only',
    },
  ),
})

const resolverShape = mapping({
  schema: z.string().regex(/^iglu:com\.snowplowanalytics\.iglu\/resolver-config\/jsonschema\/1-0-[0-3]$/, {
    error: 'iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3',
  }),
  data: mapping({
    /** For the clients that keep schemas in memory alone; here the log has them. */
    cacheSize: whole(0, 10_000_000).nullish(),
    /** Seconds. */
    cacheTtl: whole(0, 31_536_000).nullish(),
    repositories: z.array(repositoryShape, { error: 'a list of repositories' }).max(50, { error: 'at most 50' }),
  }),
})

/** Null: there is no such file, or problems were noted. */
export function readRegistries(source: Source | null): Registries | null {
  if (source?.value === undefined) return null
  const config = source.read(resolverShape, [], source.value)
  if (!config) return null
  const { cacheTtl, repositories } = config.data
  return {
    cacheTtlMs: cacheTtl ? cacheTtl * 1000 : null,
    repositories: repositories.map(({ name, priority, vendorPrefixes, connection }): Repository => {
      const at =
        'http' in connection
          ? { uri: connection.http.uri.replace(/\/+$/, ''), apiKeyEnv: connection.http.apikey?.env ?? null }
          : { folder: connection.embedded.path }
      return { name, priority, vendorPrefixes, at }
    }),
    refresh: 0,
  }
}
