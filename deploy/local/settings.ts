/** What was chosen for the parts of a folder: kept between runs, so that a part comes back where its clients look for it. */
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../runtime/errors.ts'
import type { NodePorts } from './kafka.ts'
import type { KafkaVersion } from './maven.ts'
import { anyFreePort, freePortFrom, isFree } from './ports.ts'

export const partNames = ['kafka', 'registry', 'redis'] as const
export type PartName = (typeof partNames)[number]
export const ways = ['docker', 'jars'] as const
export type Way = (typeof ways)[number]

export type Settings = {
  readonly with: Way
  readonly kafkaVersion: KafkaVersion
  /** One entry a node of Kafka; the others have a port. Empty and absent: never started. */
  readonly kafka: readonly NodePorts[]
  readonly registry?: number
  readonly redis?: number
}

/** What a person asks for; what is left out stays as it was, or becomes the default. */
export type Wanted = {
  readonly parts?: readonly PartName[]
  readonly with?: Way
  readonly kafkaVersion?: KafkaVersion
  readonly nodes?: number
  /** Of the first node of Kafka, the registry, Redis. 0 takes any free one. */
  readonly ports?: { readonly [Part in PartName]?: number }
}

const defaultVersion: KafkaVersion = '4.2.0'
const defaultPorts = { kafka: 9092, registry: 8081, redis: 6379 }

export function settingsIn(folder: string): Settings | undefined {
  try {
    return JSON.parse(readFileSync(settingsFile(folder), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function writeSettings(folder: string, settings: Settings): Promise<void> {
  await writeFile(`${settingsFile(folder)}.new`, JSON.stringify(settings, null, 2))
  await rename(`${settingsFile(folder)}.new`, settingsFile(folder))
}

export function settingsFile(folder: string): string {
  return join(folder, 'settings.json')
}

/**
 * The settings that the next start uses: those of the folder, else those that were asked for, else the defaults.
 * CONFIG_INVALID when the folder was begun differently; PORT_TAKEN when a port that was asked for is in use.
 */
export async function settled(
  former: Settings | undefined,
  wanted: Wanted,
  running: readonly PartName[],
  otherwise: () => Promise<Way>,
): Promise<Settings> {
  if (former) {
    requireSame('runs with', former.with, wanted.with)
    requireSame('holds data of Kafka', former.kafkaVersion, wanted.kafkaVersion)
    if (former.kafka.length > 0) requireSame('has a Kafka of as many nodes as', former.kafka.length, wanted.nodes)
  }
  const way = former?.with ?? wanted.with ?? (await otherwise())
  const nodes = former?.kafka.length || wanted.nodes || 1
  if (way === 'docker' && nodes > 1)
    throw new MillraceError('CONFIG_INVALID', 'several nodes of Kafka run from jars only: add --with jars')

  const port = (part: PartName, last: number | undefined): Promise<number> =>
    settledPort(part, last, wanted.ports?.[part], running.includes(part))
  const asked = wanted.parts ?? partNames
  // in Docker the registry keeps its schemas in Kafka, which comes with it
  const parts = way === 'docker' && asked.includes('registry') ? [...asked, 'kafka'] : asked
  return {
    ...former,
    with: way,
    kafkaVersion: former?.kafkaVersion ?? wanted.kafkaVersion ?? defaultVersion,
    kafka: parts.includes('kafka')
      ? await settledNodes(former?.kafka ?? [], nodes, running.includes('kafka'), port)
      : (former?.kafka ?? []),
    ...(parts.includes('registry') && { registry: await port('registry', former?.registry) }),
    ...(parts.includes('redis') && { redis: await port('redis', former?.redis) }),
  }
}

async function settledNodes(
  former: readonly NodePorts[],
  count: number,
  running: boolean,
  port: (part: PartName, last: number | undefined) => Promise<number>,
): Promise<readonly NodePorts[]> {
  const first = await port('kafka', former[0]?.client)
  if (running) return former
  const nodes: NodePorts[] = []
  for (let i = 0; i < count; i++) {
    const client = i === 0 ? first : await freePortFrom(former[i]?.client ?? nodes[i - 1]!.client + 1)
    const last = former[i]?.controller
    nodes.push({ client, controller: last && (await isFree(last)) ? last : await anyFreePort() })
  }
  return nodes
}

async function settledPort(
  part: PartName,
  last: number | undefined,
  wanted: number | undefined,
  running: boolean,
): Promise<number> {
  if (running && last !== undefined) {
    if (!wanted || wanted === last) return last
    throw new MillraceError('CONFIG_INVALID', `${part} runs on port ${last}; run \`millrace down\` to move it`)
  }
  if (wanted) {
    if (await isFree(wanted)) return wanted
    throw new MillraceError('PORT_TAKEN', `port ${wanted}, asked for with --${part}-port, is in use`)
  }
  if (last !== undefined && (await isFree(last))) return last
  return wanted === 0 ? anyFreePort() : freePortFrom(defaultPorts[part])
}

function requireSame<Value>(what: string, is: Value, wanted: Value | undefined): void {
  if (wanted === undefined || wanted === is) return
  throw new MillraceError(
    'CONFIG_INVALID',
    `this folder ${what} ${is}, not ${wanted}; run \`millrace down --purge\` first, which deletes its data, or take another folder with --data`,
  )
}
