/** Whether a stage that was read again wrote what it had written, byte for byte. */
import { createHash } from 'node:crypto'
import type { Codec } from '../../runtime/codec.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { stageOf } from '../../runtime/stage.ts'
import { changelogOf, taskName } from '../../runtime/topology.ts'
import { checkpointKey } from '../changelog-tail.ts'
import { deployedTopology } from '../deployed-topology.ts'
import { ownTopics } from '../generation.ts'
import type { Deployment } from '../place.ts'
import { recordsOf } from '../topics.ts'
import { inputOffsetsOf } from './progress.ts'
import { replayedStage, replayLog } from './replay.ts'

/** Of one topic; keys are examples of those whose records differ, at most five. */
export type SameBytes = {
  readonly topic: string
  readonly keys: number
  readonly differing: number
  readonly examples: readonly string[]
}

const examplesMax = 5

/**
 * One entry for each topic that the stage writes, its changelog last. Compared is what does not depend on how batches and
 * tasks happened to take turns: of compacted topics the last value of each key, of others the records of each key in their
 * order; in an inbox, into which others write too, that what the replay wrote is there as often as live. NOT_FOUND when
 * there is no replay of the name, INPUT_INVALID when it is not one of a single stage, or not as far as the live stage.
 * In a generation that was promoted the topics that all generations write are left out: what the stage wrote before that is
 * not in them, and what others wrote is.
 */
export async function compareBytes(
  { base, log, codec, generation }: Deployment,
  name: string,
): Promise<readonly SameBytes[]> {
  const shadow = replayLog(base, name)
  const topology = deployedTopology(await log.topics())
  const stage = await replayedStage(topology, shadow, name)
  if (stage === null)
    throw new MillraceError(
      'INPUT_INVALID',
      `the replay ${name} is one of all stages; only that of one is equal in bytes`,
    )
  const { inbox, topics } = stageOf(topology, stage)
  await requireSameProgress(log, shadow, codec, stage, inbox.partitions)

  const inboxes = new Set(topology.stages.map((each) => each.inbox))
  const compared: SameBytes[] = []
  for (const { name: topic, partitions, cleanup } of topics.values()) {
    if (topic === inbox.name || (generation.number > 0 && !ownTopics.has(topic))) continue
    compared.push(
      inboxes.has(topic)
        ? await compareWritten(log, shadow, topic, partitions)
        : await compareKeys(log, shadow, topic, partitions, cleanup),
    )
  }
  return [...compared, await compareKeys(log, shadow, changelogOf(stage), inbox.partitions, 'compact')]
}

async function requireSameProgress(
  log: Log,
  shadow: Log,
  codec: Codec,
  stage: string,
  partitions: number,
): Promise<void> {
  const live = await inputOffsetsOf(log, codec, stage, partitions)
  const replayed = await inputOffsetsOf(shadow, codec, stage, partitions)
  const other = live.findIndex((offset, partition) => offset !== replayed[partition])
  if (other < 0) return
  throw new MillraceError(
    'INPUT_INVALID',
    `${taskName(stage, other)} is at offset ${live[other]} live and at ${replayed[other]} in the replay; stop the stage, and run the replay again`,
  )
}

async function compareKeys(
  log: Log,
  shadow: Log,
  topic: string,
  partitions: number,
  cleanup: 'delete' | 'compact',
): Promise<SameBytes> {
  const [live, replayed] = [
    await digestsOf(log, topic, partitions, cleanup),
    await digestsOf(shadow, topic, partitions, cleanup),
  ]
  const keys = [...new Set([...live.keys(), ...replayed.keys()])]
  const differing = keys.filter((key) => live.get(key) !== replayed.get(key)).sort()
  return { topic, keys: keys.length, differing: differing.length, examples: differing.slice(0, examplesMax) }
}

/** By partition and key: of the last value, or of all records in their order. */
async function digestsOf(
  log: Log,
  topic: string,
  partitions: number,
  cleanup: 'delete' | 'compact',
): Promise<ReadonlyMap<string, string>> {
  const digests = new Map<string, string>()
  for await (const { partition, key, kind, value, timestampMs } of recordsOf(log, topic, partitions)) {
    if (kind === checkpointKey) continue // counts commits, whose number is a matter of batches
    const place = `${partition}|${key}`
    if (cleanup === 'compact') {
      if (value === null) digests.delete(place)
      else digests.set(place, digest(kind, value))
    } else digests.set(place, digest(digests.get(place) ?? '', kind, String(timestampMs), value ?? ''))
  }
  return digests
}

/** Keys of records that the replay wrote more often than live has them. */
async function compareWritten(log: Log, shadow: Log, topic: string, partitions: number): Promise<SameBytes> {
  const left = new Map<string, number>()
  const keys = new Set<string>()
  const differing = new Set<string>()
  for await (const { partition, key, kind, value, timestampMs } of recordsOf(shadow, topic, partitions)) {
    keys.add(key)
    const record = digest(String(partition), key, kind, String(timestampMs), value ?? '')
    left.set(record, (left.get(record) ?? 0) + 1)
  }
  for await (const { partition, key, kind, value, timestampMs } of recordsOf(log, topic, partitions)) {
    const record = digest(String(partition), key, kind, String(timestampMs), value ?? '')
    const count = left.get(record)
    if (count !== undefined) left.set(record, count - 1)
  }
  for await (const { partition, key, kind, value, timestampMs } of recordsOf(shadow, topic, partitions))
    if (left.get(digest(String(partition), key, kind, String(timestampMs), value ?? ''))! > 0) differing.add(key)
  return {
    topic,
    keys: keys.size,
    differing: differing.size,
    examples: [...differing].sort().slice(0, examplesMax),
  }
}

function digest(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('base64')
}
