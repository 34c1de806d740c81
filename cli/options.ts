/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, Option } from 'commander'
import { MillraceError } from '../runtime/errors.ts'
import type { RawFormat } from '../schemas/avro/types.ts'
import type { Partitions } from '../topologies/customer-data.ts'
import { exampleWorkspace } from './package.ts'

/** In what a file can hold events. */
export const rawFormats: readonly RawFormat[] = ['tp2', 'ndjson', 'tsv', 'segment', 'thrift']

/** A whole number between two bounds, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

/** Of stages: `identify=6,graph=2`. */
export function partitionCounts(text: string): Partial<Partitions> {
  const counts = text.split(',').map((entry) => {
    const [, stage, count] = /^(identify|graph|profile)=(\d{1,5})$/.exec(entry.trim()) ?? []
    if (!stage || Number(count) < 1) throw new InvalidArgumentError('Expected such as identify=6,graph=2,profile=6.')
    return [stage, Number(count)] as const
  })
  return Object.fromEntries(counts)
}

export const dataOption = (): Option => new Option('--data <folder>', 'where everything is kept').default('.millrace')

/** `--redis` alone means the address in the environment, which keeps its password out of the list of processes. */
export const redisOption = (does: string): Option =>
  new Option('--redis [url]', `${does}; without a URL that of the environment, REDIS_URL`)

/** CONFIG_INVALID when the environment is meant, and has none. */
export function redisUrlOf(given: string | true, env: NodeJS.ProcessEnv): string {
  const url = given === true ? env['REDIS_URL'] : given
  if (url) return url
  throw new MillraceError('CONFIG_INVALID', 'there is no address of Redis: set REDIS_URL, or give it with --redis URL')
}

const logLevels = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof logLevels)[number]

export const logLevelOption = (): Option =>
  new Option('--log-level <level>', 'of the JSON lines').choices(logLevels).default('info')

export const workspaceOption = (): Option =>
  new Option('--workspace <folder>', 'identity, traits, segments, destinations').default(
    exampleWorkspace,
    'the example, examples/retail',
  )
