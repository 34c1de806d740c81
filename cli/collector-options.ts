/** What a workspace says of its collector, with the secrets it refers to. */
import { MillraceError } from '../runtime/errors.ts'
import type { CollectorOptions } from '../sources/collector/collector.ts'
import type { CollectorSettings } from '../workspace/collector.ts'

/** CONFIG_INVALID when an environment variable that is named is not set. */
export function collectorOptions(
  { paths, cookies, trustProxy, compat, writeKeysEnv }: CollectorSettings,
  env: NodeJS.ProcessEnv,
): Pick<CollectorOptions, 'paths' | 'cookies' | 'trustProxy' | 'compat' | 'writeKeys'> {
  const options = { paths, cookies, trustProxy, compat }
  if (writeKeysEnv === null) return options
  const writeKeys = (env[writeKeysEnv] ?? '').split(/[\s,]+/).filter((key) => key !== '')
  if (writeKeys.length > 0) return { ...options, writeKeys }
  throw new MillraceError(
    'CONFIG_INVALID',
    `collector.yaml takes write keys from ${writeKeysEnv}, which is not set; give it one key or more, with commas between`,
  )
}
