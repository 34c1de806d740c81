/**
 * Generations: which replay a deployment runs in. The first generation has no prefix. When a replay is promoted the topics
 * that stages keep for themselves are those under its prefix, while what others read and write stays where it was.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '../runtime/errors.ts'
import { GenerationLog } from '../runtime/generation-log.ts'
import type { Log, TopicSpec } from '../runtime/log.ts'
import type { AddressedRecord } from '../runtime/record.ts'
import { changelogOf, deadOf } from '../runtime/topology.ts'
import { customerData, embeddedPartitions } from '../topologies/customer-data.ts'
import { recordsOf } from './topics.ts'

export type Generation = {
  /** From 0, without gaps. Goes before the sequence in the version of a profile. */
  readonly number: number
  /** Of the replay that it was. */
  readonly name: string
}

export const firstGeneration: Generation = { number: 0, name: 'original' }

/**
 * One partition, kept for ever; a record for each promotion, its key the name of the replay. The last one is in force. Its
 * value is JSON: it is read before it is known where anything else is.
 */
export const generationsTopic: TopicSpec = { name: 'generations', partitions: 1, cleanup: 'delete', retentionMs: null }

/** Those that each generation has of its own: dead letters too, for they go back to where they came from. */
export const ownTopics: ReadonlySet<string> = new Set(
  customerData([], embeddedPartitions).stages.flatMap(({ name, inbox }) => [inbox, changelogOf(name), deadOf(name)]),
)

/** What begins the names of all topics and writers of a replay. INPUT_INVALID for what cannot be in one. */
export function replayPrefix(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,39}$/.test(name) && name !== firstGeneration.name) return `replay.${name}.`
  throw new MillraceError(
    'INPUT_INVALID',
    `${name} is no name of a replay: small letters, digits and dashes, 40 at most, and not ${firstGeneration.name}`,
  )
}

/** All there were, the one in force last. `log` is that beneath all of them. */
export async function generationsOf(log: Log): Promise<readonly [Generation, ...Generation[]]> {
  const generations: [Generation, ...Generation[]] = [firstGeneration]
  if (!(await log.topics()).some(({ name }) => name === generationsTopic.name)) return generations
  for await (const { key: name } of recordsOf(log, generationsTopic.name, generationsTopic.partitions))
    generations.push({ number: generations.length, name })
  return generations
}

export async function generationInForce(log: Log): Promise<Generation> {
  return (await generationsOf(log)).at(-1)!
}

/** The log as a generation sees it. */
export function generationLog(log: Log, { number, name }: Generation): Log {
  return number === 0 ? log : new GenerationLog(log, replayPrefix(name), ownTopics)
}

/** The record that brings a generation into force. */
export function generationRecord({ number, name }: Generation, timestampMs: number): AddressedRecord {
  const value = Buffer.from(JSON.stringify({ number }))
  return { topic: generationsTopic.name, partition: 0, kind: 'generation', key: name, value, timestampMs }
}

/** Where the stores of a generation are, when `folder` has those of the first. */
export function storesFolderOf(folder: string, { number }: Generation): string {
  return number === 0 ? folder : join(folder, `generation-${number}`)
}

const retryMs = 1000

/** Resolves when another generation has come into force, as GENERATION_ENDED, or when the signal aborts. Outages it waits out. */
export async function generationEnded(
  log: Log,
  { number, name }: Generation,
  signal: AbortSignal,
): Promise<MillraceError | null> {
  while (!signal.aborted) {
    try {
      const { stable } = await log.ends(generationsTopic.name, 0)
      const next = (await generationsOf(log))[number + 1]
      if (next)
        return new MillraceError(
          'GENERATION_ENDED',
          `the replay ${next.name} was promoted, and ${name} is no longer in force`,
        )
      await log.arrival(generationsTopic.name, 0, stable, signal)
    } catch (error) {
      if (!(error instanceof MillraceError && error.retryable)) throw error
      await delay(retryMs, undefined, { signal }).catch(() => {})
    }
  }
  return null
}
