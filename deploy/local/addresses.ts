/** Where the local parts answer, for the programs that use them: under the names of the environment variables that say so. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Addresses = {
  /** host:port, with commas between several. */
  readonly KAFKA_BROKERS?: string
  readonly SCHEMA_REGISTRY_URL?: string
  readonly REDIS_URL?: string
}

/** Relative to the working folder, as the data folder of `millrace start` is. */
export const defaultFolder = join('.millrace', 'local')

/** Of what `millrace up` last left running below the folder; empty when there is nothing. */
export function addressesIn(folder: string = defaultFolder): Addresses {
  try {
    return JSON.parse(readFileSync(addressesFile(folder), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

export function addressesFile(folder: string): string {
  return join(folder, 'parts.json')
}
