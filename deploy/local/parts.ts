/**
 * Kafka, the schema registry and Redis, started and stopped together. All that is kept is below one folder:
 * `settings.json` (what was chosen), `parts.json` (where they answer, while they run), and a folder a part.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MillraceError } from '../../runtime/errors.ts'
import { type Addresses, addressesFile } from './addresses.ts'
import { FromJars } from './from-jars.ts'
import { dockerAnswers, InDocker } from './in-docker.ts'
import { brokersOf } from './kafka.ts'
import { locked } from './process.ts'
import { redisUrl } from './redis.ts'
import { registryUrl } from './registry.ts'
import {
  type PartName,
  partNames,
  type Settings,
  settingsFile,
  settingsIn,
  settled,
  type Wanted,
  type Way,
  writeSettings,
} from './settings.ts'

export type Step = 'fetching' | 'starting' | 'ready' | 'running'
/** `running` is told of a part that had been started before. */
export type Tell = (part: PartName, step: Step) => void

/** A way to run the parts that the settings have. */
export interface Machinery {
  /** All of it. */
  running(): Promise<readonly PartName[]>
  /** Some of it, such as two of three nodes: its ports must stay. */
  partlyRunning(): Promise<readonly PartName[]>
  /** Resolves when each of them answers. PART_MISSING, PART_FAILED. */
  start(parts: readonly PartName[], tell: Tell): Promise<void>
  /** `purge`: its data goes too. */
  stop(purge: boolean): Promise<void>
}

export type PartState = { readonly part: PartName; readonly running: boolean; readonly address: string }
export type State = { readonly with: Way; readonly kafkaVersion: string; readonly parts: readonly PartState[] }

/** What the addresses of the parts are called in the environment. */
export const variables = {
  kafka: 'KAFKA_BROKERS',
  registry: 'SCHEMA_REGISTRY_URL',
  redis: 'REDIS_URL',
} as const satisfies Record<PartName, keyof Addresses>

/** Somebody else may be fetching jars. */
const waitMsMax = 10 * 60_000

/**
 * Starts those of the wanted parts that do not run, waits until they answer, and answers where. Doing it again changes
 * nothing. CONFIG_INVALID when the folder was begun with other settings, PORT_TAKEN, PART_MISSING, PART_FAILED.
 */
export async function up(folder: string, wanted: Wanted, tell: Tell = () => {}): Promise<Addresses> {
  return exclusively(folder, async (path) => {
    const former = settingsIn(path)
    const before = former && machineryOf(path, former)
    const running = (await before?.running()) ?? []
    const partlyRunning = (await before?.partlyRunning()) ?? []
    const way = async (): Promise<Way> => ((await dockerAnswers()) ? 'docker' : 'jars')
    const settings = await settled(former, wanted, partlyRunning, way)
    await writeSettings(path, settings)
    const parts = wanted.parts ?? partNames
    for (const name of parts.filter((name) => running.includes(name))) tell(name, 'running')
    const machinery = machineryOf(path, settings)
    const stopped = parts.filter((name) => !running.includes(name))
    if (stopped.length > 0) await machinery.start(stopped, tell)
    const addresses = addressesOf(settings, await machinery.running())
    await writeFile(`${addressesFile(path)}.new`, JSON.stringify(addresses, null, 2))
    await rename(`${addressesFile(path)}.new`, addressesFile(path))
    return addresses
  })
}

/** Stops all parts; `purge` deletes their data and what was chosen, too. NOT_FOUND when nothing was ever started there. */
export async function down(folder: string, { purge = false } = {}): Promise<void> {
  if (!settingsIn(folder)) throw nothingIn(folder)
  await exclusively(folder, async (path) => {
    const settings = settingsIn(path)
    if (!settings) return // somebody else has just purged it
    await machineryOf(path, settings).stop(purge)
    await rm(addressesFile(path), { force: true })
    if (purge) await rm(settingsFile(path), { force: true })
  })
}

/** What runs. NOT_FOUND when nothing was ever started there. */
export async function stateOf(folder: string): Promise<State> {
  const path = resolve(folder)
  const settings = settingsIn(path)
  if (!settings) throw nothingIn(folder)
  const running = await machineryOf(path, settings).running()
  const addresses = addressesOf(settings, partNames)
  const parts = partNames.flatMap((part): PartState[] => {
    const address = addresses[variables[part]]
    return address ? [{ part, running: running.includes(part), address }] : []
  })
  return { with: settings.with, kafkaVersion: settings.kafkaVersion, parts }
}

function addressesOf({ kafka, registry, redis }: Settings, parts: readonly PartName[]): Addresses {
  return {
    ...(kafka.length > 0 && parts.includes('kafka') && { KAFKA_BROKERS: brokersOf(kafka) }),
    ...(registry && parts.includes('registry') && { SCHEMA_REGISTRY_URL: registryUrl(registry) }),
    ...(redis && parts.includes('redis') && { REDIS_URL: redisUrl(redis) }),
  }
}

function machineryOf(path: string, settings: Settings): Machinery {
  return settings.with === 'jars' ? new FromJars(path, settings) : new InDocker(path, settings)
}

async function exclusively<Result>(folder: string, work: (path: string) => Promise<Result>): Promise<Result> {
  const path = resolve(folder)
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw new MillraceError('DATA_UNWRITABLE', `cannot make the data folder ${path}: ${cause.code}`, { cause })
  })
  return locked(join(path, 'lock'), waitMsMax, () => work(path))
}

function nothingIn(folder: string): MillraceError {
  return new MillraceError('NOT_FOUND', `nothing was started in ${folder}; \`millrace up\` does`)
}
