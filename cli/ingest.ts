/** Events of a file into a data folder that nothing else runs on. */
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { partitionOf } from '../runtime/partitioner.ts'
import { type AddressedRecord, controlKinds } from '../runtime/record.ts'
import { topicOf } from '../runtime/topology.ts'
import { Turns, tasksHere } from '../runtime/turns.ts'
import type { RawFormat } from '../schemas/avro/types.ts'
import { eventsOf, type FileEvent, openInput } from '../sources/files/events.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { openEngine } from './engine.ts'
import { type FeedItem, type FeedParts, feed } from './feed.ts'
import { type Totals, totalsOf } from './totals.ts'
import { longestWindowMs } from './windows.ts'

export type IngestOptions = {
  /** A file, or `-` for standard input. */
  readonly path: string
  readonly format: RawFormat
  /** Whether the events have the log time they say they had, or that of their arrival. */
  readonly history: boolean
  readonly dataFolder: string
  readonly workspaceFolder: string
  /** Called once, with the bytes to read; null where that is not known. */
  readonly onStart?: (totalBytes: number | null) => void
  /** Called with the bytes that are through. */
  readonly onProgress?: (bytes: number) => void
}

/** What this run added; `resumedAt` events of a history that was interrupted were in already. */
export type IngestResult = Totals & { readonly resumedAt: number; readonly seconds: number }

/** What events are written to, and under what definitions; `drain` lets the tasks keep up, where they are here. */
export type IngestTarget = FeedParts & {
  readonly workspace: Workspace
  readonly runner: { drain(): Promise<void> }
}

const dayMs = 24 * 3600 * 1000
const quietDays = 8
const eventsPerAppend = 1000
const rawTopic = 'events.raw'

/** INPUT_INVALID when the file cannot be read; what is wrong with its events becomes bad rows. */
export async function ingest(options: IngestOptions): Promise<IngestResult> {
  const { path, format, history, dataFolder, workspaceFolder } = options
  const input = await openInput(path)
  const engine = await openEngine({
    dataFolder,
    workspaceFolder,
    logTimeMs: Date.now(),
    // While a history is loaded nothing of it is too old to keep.
    ...(history && { log: { now: () => 0 } }),
  })
  try {
    const startedAt = performance.now()
    if (!history) await engine.runner.drain()
    const before = totalsOf(engine.runner.tasks)
    options.onStart?.(input.totalBytes)
    const name = path === '-' ? 'stdin' : basename(path)
    const { tenant } = engine.workspace
    const events = eventsOf(input.chunks, { tenant, format, name, history, now: Date.now })
    const target = { ...engine, turns: new Turns({ ...engine, tasks: tasksHere(engine.runner.local) }) }
    const resumedAt = history
      ? await feedHistory(target, events, await historyId(path, format), options.onProgress)
      : await appendNow(target, events, options.onProgress)
    const after = totalsOf(engine.runner.tasks)
    const added = Object.fromEntries(
      Object.entries(after).map(([counter, value]) => [counter, value - before[counter as keyof Totals]]),
    ) as Totals
    return { ...added, resumedAt, seconds: Math.round(performance.now() - startedAt) / 1000 }
  } finally {
    await engine.close()
  }
}

/** In declared time, to the end: what is due by today has fired. Answers how many events were in before. */
export async function feedHistory(
  target: IngestTarget,
  events: AsyncIterable<FileEvent>,
  id: string,
  onProgress: IngestOptions['onProgress'],
): Promise<number> {
  const windowMs = longestWindowMs(target.workspace)
  let position = 0
  async function* items(): AsyncGenerator<FeedItem> {
    for await (const event of events) {
      position = event.position
      yield { raw: event.raw, key: event.key, logTimeMs: event.declaredTimeMs }
    }
  }
  const { resumedAt } = await feed(target, {
    id,
    items: items(),
    // Log time never runs ahead of the clock on the wall: live events may follow. A history of nothing ends at 0, and so ends
    // one that was given up.
    endMs: (lastMs) => Math.max(0, lastMs, Math.min(lastMs + windowMs + quietDays * dayMs, Date.now())),
    again: true,
    onProgress: () => onProgress?.(position),
  })
  return resumedAt
}

/** A file that has changed is another history. Standard input cannot be read again, and so not be resumed. */
export async function historyId(path: string, format: RawFormat): Promise<string> {
  if (path === '-') return `stdin at ${Date.now()}`
  const { size, mtimeMs } = await stat(path)
  return `file ${resolve(path)} ${format} ${size} ${Math.round(mtimeMs)}`
}

/** As they come, in the log's own time. */
export async function appendNow(
  { log, codec, runner, topology }: IngestTarget,
  events: AsyncIterable<FileEvent>,
  onProgress: IngestOptions['onProgress'],
): Promise<number> {
  const { partitions } = topicOf(topology, rawTopic)
  let records: AddressedRecord[] = []
  let position = 0
  const flush = async (): Promise<void> => {
    await log.append(records)
    records = []
    await runner.drain()
    onProgress?.(position)
  }
  for await (const event of events) {
    position = event.position
    const value = codec.encode('RawEvent', event.raw)
    const partition = partitionOf(event.key, partitions)
    records.push({ topic: rawTopic, partition, kind: 'event', key: event.key, value, timestampMs: Number.NaN })
    if (records.length >= eventsPerAppend) await flush()
  }
  const tick = codec.encode('Tick', { writer: 'source', clockMs: 0 })
  for (let partition = 0; partition < partitions; partition++) {
    records.push({
      topic: rawTopic,
      partition,
      kind: controlKinds.tick,
      key: 'source',
      value: tick,
      timestampMs: Number.NaN,
    })
  }
  await flush()
  return 0
}
