/** Dead letters: what died and why, and the way back for records once the cause is mended. */
import type { Codec } from '../runtime/codec.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { AddressedRecord, Log } from '../runtime/log.ts'
import { deadOf } from '../runtime/topology.ts'
import type { DeadLetter } from '../schemas/avro/types.ts'
import { plain } from './dump.ts'
import { batchesOf } from './topics.ts'

/** Where a letter is: `identify.dead/0@17`. */
export type LetterPlace = { readonly topic: string; readonly partition: number; readonly offset: number }

export type LetterFilter = {
  /** The stage, or the destination, that gave up. */
  readonly stage?: string
  readonly code?: string
}

/** Letters of one cause. Times are log times of what died. */
export type LetterGroup = {
  readonly stage: string
  readonly code: string
  readonly kind: string
  readonly letters: number
  /** So many of them have been put back since. */
  readonly replayed: number
  readonly firstMs: number
  readonly lastMs: number
  /** The newest, as an example. */
  readonly example: string
  readonly message: string
}

type FoundLetter = { readonly place: LetterPlace; readonly letter: DeadLetter; readonly replayed: boolean }
type DeadPartition = { readonly topic: string; readonly partition: number }

/** Called with the records that are read, of all there are. */
export type OnProgress = (done: number, total: number) => void

const deadSuffix = deadOf('')

export const textOf = ({ topic, partition, offset }: LetterPlace): string => `${topic}/${partition}@${offset}`

/** INPUT_INVALID for what is no place of a letter. */
export function placeOf(text: string): LetterPlace {
  const [, topic, partition, offset] = /^(.+)\/(\d{1,6})@(\d{1,15})$/.exec(text) ?? []
  if (!topic?.endsWith(deadSuffix))
    throw new MillraceError('INPUT_INVALID', `${text} is no place of a dead letter, such as identify.dead/0@17`)
  return { topic, partition: Number(partition), offset: Number(offset) }
}

/** By stage, code and kind; the most letters first. */
export async function groupLetters(
  log: Log,
  codec: Codec,
  filter: LetterFilter,
  onProgress: OnProgress,
): Promise<readonly LetterGroup[]> {
  const groups = new Map<string, LetterGroup>()
  for await (const { place, letter, replayed } of lettersOf(log, codec, filter, onProgress)) {
    const { stage, code, kind, logTimeMs, message } = letter
    const name = JSON.stringify([stage, code, kind])
    const group = groups.get(name)
    const newest = !group || logTimeMs >= group.lastMs
    groups.set(name, {
      stage,
      code,
      kind,
      letters: (group?.letters ?? 0) + 1,
      replayed: (group?.replayed ?? 0) + (replayed ? 1 : 0),
      firstMs: Math.min(group?.firstMs ?? logTimeMs, logTimeMs),
      lastMs: Math.max(group?.lastMs ?? logTimeMs, logTimeMs),
      example: newest ? textOf(place) : group.example,
      message: newest ? message : group.message,
    })
  }
  return [...groups.values()].sort((a, b) => b.letters - a.letters)
}

/** A letter with all that is in it decoded, as plain values. NOT_FOUND when there is none at the place. */
export async function readLetter(log: Log, codec: Codec, place: LetterPlace): Promise<Record<string, unknown>> {
  const { topic, partition, offset } = place
  const missing = new MillraceError('NOT_FOUND', `there is no dead letter at ${textOf(place)}`)
  if (!(await deadPartitions(log)).some((dead) => dead.topic === topic && dead.partition === partition)) throw missing
  const { start, stable } = await log.ends(topic, partition)
  if (offset < start || offset >= stable) throw missing
  const { records } = await log.fetch(topic, partition, offset, { maxRecords: 1, maxBytes: 1 })
  const [record] = records
  if (record?.offset !== offset || record.kind !== 'dead' || !record.value) throw missing
  const letter = codec.decode('DeadLetter', record.value)
  const { timer, value } = letter
  return {
    place: textOf(place),
    replayed: (await replayedOffsets(log, codec, place)).has(offset),
    ...letter,
    logTime: new Date(letter.logTimeMs).toISOString(),
    value: value && readable(value, codec),
    timer: timer && { id: timer.id, at: new Date(timer.atMs).toISOString(), row: readableRow(timer.row, codec) },
  }
}

export type Replay = {
  /** One letter, or all that fit the filter. */
  readonly letters: LetterPlace | LetterFilter
  /** Counts, and changes nothing. */
  readonly dryRun: boolean
  readonly onProgress: OnProgress
}

/** How many went back, and how many did not for which reason. */
export type Replayed = {
  readonly replayed: number
  readonly skipped: {
    /** Put back before. */
    readonly done: number
    /** Timers: their rows have gone on without them. */
    readonly timers: number
    /** The partition they came from is no more. */
    readonly homeless: number
  }
}

const batchLetters = 500
const batchBytes = 4 << 20

/**
 * Puts records back into the partitions they came from, as they were, in the order in which they died. Each goes back
 * once: the letter is marked in the same commit. Of two replays at a time the first ends in FENCED.
 */
export async function replayLetters(
  log: Log,
  codec: Codec,
  { letters, dryRun, onProgress }: Replay,
): Promise<Replayed> {
  // Before anything is read: an earlier replay commits nothing behind our back.
  const writer = dryRun ? null : await log.writer('dead.replay')
  try {
    const partitions = new Map((await log.topics()).map(({ name, partitions }) => [name, partitions]))
    const counts = { replayed: 0, done: 0, timers: 0, homeless: 0 }
    let outputs: AddressedRecord[] = []
    let bytes = 0
    const commit = async (): Promise<void> => {
      if (outputs.length > 0) await writer?.commit({ outputs })
      outputs = []
      bytes = 0
    }
    const one = 'offset' in letters ? letters : undefined
    const filter = 'offset' in letters ? {} : letters
    for await (const { place, letter, replayed } of lettersOf(log, codec, filter, onProgress, one)) {
      if (letter.timer) counts.timers++
      else if (replayed) counts.done++
      else if (letter.partition >= (partitions.get(letter.topic) ?? 0)) counts.homeless++
      else {
        counts.replayed++
        outputs.push(recordOf(letter), markOf(place, letter, codec))
        bytes += letter.value?.length ?? 0
        if (outputs.length >= 2 * batchLetters || bytes >= batchBytes) await commit()
      }
    }
    await commit()
    const { replayed, ...skipped } = counts
    return { replayed, skipped }
  } finally {
    await writer?.close()
  }
}

/** What died, byte for byte, with its log time. */
function recordOf({ topic, partition, kind, key, value, logTimeMs }: DeadLetter): AddressedRecord {
  return { topic, partition, kind, key: key ?? '', value, timestampMs: logTimeMs }
}

function markOf(
  { topic, partition, offset }: LetterPlace,
  { key, logTimeMs }: DeadLetter,
  codec: Codec,
): AddressedRecord {
  const value = codec.encode('Replayed', { letterOffset: offset })
  return { topic, partition, kind: 'replayed', key: key ?? '', value, timestampMs: logTimeMs }
}

// --- reading ---

/** The letters at the time of the call, partition after partition, in the order in which they were written. */
async function* lettersOf(
  log: Log,
  codec: Codec,
  { stage, code }: LetterFilter,
  onProgress: OnProgress,
  one?: LetterPlace,
): AsyncGenerator<FoundLetter> {
  const partitions = (await deadPartitions(log)).filter(
    (dead) => !one || (dead.topic === one.topic && dead.partition === one.partition),
  )
  let total = 0
  for (const { topic, partition } of partitions) {
    const { start, stable } = await log.ends(topic, partition)
    total += stable - start
  }
  let done = 0
  let found = 0
  for (const { topic, partition } of partitions) {
    const replayed = await replayedOffsets(log, codec, { topic, partition })
    for await (const batch of batchesOf(log, topic, partition)) {
      for (const { kind, value, offset } of batch) {
        if (kind !== 'dead' || !value || (one && offset !== one.offset)) continue
        const letter = codec.decode('DeadLetter', value)
        // A deployment with a prefix may share the cluster: `shop.identify.dead` is not ours.
        if (topic !== deadOf(letter.stage) && topic !== deadOf(letter.topic)) continue
        if ((stage !== undefined && letter.stage !== stage) || (code !== undefined && letter.code !== code)) continue
        found++
        yield { place: { topic, partition, offset }, letter, replayed: replayed.has(offset) }
      }
      done += batch.length
      onProgress(done, total)
    }
  }
  if (one && found === 0) throw new MillraceError('NOT_FOUND', `there is no dead letter at ${textOf(one)}`)
}

async function deadPartitions(log: Log): Promise<readonly DeadPartition[]> {
  const topics = (await log.topics()).filter(({ name }) => name.endsWith(deadSuffix))
  return topics.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  )
}

/** The offsets of letters of the partition that have been put back. */
async function replayedOffsets(log: Log, codec: Codec, { topic, partition }: DeadPartition): Promise<Set<number>> {
  const offsets = new Set<number>()
  for await (const batch of batchesOf(log, topic, partition)) {
    for (const { kind, value } of batch)
      if (kind === 'replayed' && value) offsets.add(codec.decode('Replayed', value).letterOffset)
  }
  return offsets
}

/** The decoded value; bytes and the reason when it cannot be decoded, which may be what it died of. */
function readable(value: Buffer, codec: Codec): unknown {
  try {
    return plain(codec.decode(codec.nameOf(value), value))
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return { unreadable: error.message, base64: value.toString('base64') }
  }
}

/** A row, with the states in it; null when it was too large for the letter. */
function readableRow(row: Buffer, codec: Codec): unknown {
  if (row.length === 0) return null
  const { sections, ...rest } = codec.decode('Row', row)
  return {
    ...rest,
    states: Object.fromEntries(sections.map(({ operator, value }) => [operator, readable(value, codec)])),
  }
}
