/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, Option } from 'commander'
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

function list(text: string): readonly string[] {
  return text.split(',').map((entry) => entry.trim())
}
