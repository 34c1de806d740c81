/** Options that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { addressesIn } from '../deploy/local/addresses.ts'
import { InvalidArgumentError, Option } from 'commander'
import { MillraceError } from '../runtime/errors.ts'
import { exampleWorkspace } from './package.ts'

/** A whole number between two bounds, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
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

export const workspaceOption = (): Option =>
  new Option('--workspace <folder>', 'identity, traits, segments, destinations').default(
    exampleWorkspace,
    'the example, examples/retail',
  )

export const brokersOption = (): Option =>
  new Option('--brokers <list>', 'of the Kafka cluster: host:port, with commas between several')
    .env('KAFKA_BROKERS')
    .argParser(list)

export const registryOption = (): Option =>
  new Option('--registry <url>', 'of the schema registry').env('SCHEMA_REGISTRY_URL')

export const prefixOption = (): Option =>
  new Option('--prefix <text>', 'before the names of all topics and schema subjects').default('', 'none')

export type ClusterAddress = {
  readonly brokers: readonly string[]
  /** Of the schema registry. */
  readonly registryUrl: string
}

/** As the options or the environment say, else as `millrace up` left it running; undefined when nobody says. */
export function clusterAddress(
  options: { readonly brokers?: readonly string[]; readonly registry?: string },
  command: Command,
): ClusterAddress | undefined {
  const local = addressesIn()
  const brokers = options.brokers ?? (local.KAFKA_BROKERS && list(local.KAFKA_BROKERS))
  if (!brokers) return undefined
  const registryUrl = options.registry ?? local.SCHEMA_REGISTRY_URL
  if (!registryUrl) command.error('error: a cluster needs a schema registry: name it with --registry')
  return { brokers, registryUrl }
}

function list(text: string): readonly string[] {
  return text.split(',').map((entry) => entry.trim())
}
