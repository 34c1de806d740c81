/** Events of a file, one or more a line: for `ingest`, and for the history of a tenant who moves in. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { MillraceError } from '../../runtime/errors.ts'
import type { RawEvent, RawFormat } from '../../schemas/avro/types.ts'
import contract from '../../schemas/enriched-event-columns.json' with { type: 'json' }
import { timestampMs } from '../../schemas/timestamp.ts'
import { collectorPayloadBytesMax, eventsOfCollectorPayload, oversizedCollectorPayload } from '../collector-payload.ts'
import { isObject, isPayloadData, splitPayload } from '../payload.ts'
import {
  type EventFormat,
  type Fields,
  failedRawEvent,
  keptOf,
  noRequest,
  notExpected,
  notJson,
  type Origin,
  rawEvent,
  type Sourced,
  tooLarge,
} from '../raw-event.ts'
import { callBytesMax, splitCalls } from '../segment.ts'
import { framesOf } from './frames.ts'
import { type Line, linesOf } from './lines.ts'

/** An event of a file and the log time it is to have: NaN leaves that to the log. */
export type FileEvent = Sourced & {
  readonly declaredTimeMs: number
  /** Bytes of the input read so far. */
  readonly position: number
}

export type FileOptions = {
  readonly tenant: string
  readonly format: RawFormat
  /** Names the input: an event's payload id is name and number of the line, so that a second reading makes the same ids. */
  readonly name: string
  /**
   * The events are given the log time they say they had: of ndjson, tsv and thrift that of their collector, of tp2 `stm`,
   * else `dtm`, of segment `receivedAt`, `sentAt`, else `timestamp`. It never goes back: an event that says none, an earlier one, or one that is still to come (one clock gone wrong must
   * not carry all others off) has the time of the event before it; before the first, the epoch.
   */
  readonly history: boolean
  readonly now: () => number
}

/** A longer line is one size violation. A line of `segment` may be a batch. */
export const lineBytesMax = {
  tp2: 1024 * 1024,
  ndjson: 1024 * 1024,
  tsv: 1024 * 1024,
  segment: callBytesMax,
} as const satisfies Record<EventFormat, number>

/** An input: bytes, and how many there will be, where that is known. */
export type Input = { readonly chunks: AsyncIterable<Uint8Array>; readonly totalBytes: number | null }

/** The file of that path, or standard input for `-`. INPUT_INVALID when it cannot be read. */
export async function openInput(path: string, stdin: AsyncIterable<Uint8Array> = process.stdin): Promise<Input> {
  if (path === '-') return { chunks: stdin, totalBytes: null }
  try {
    const file = await stat(path)
    if (file.isDirectory()) throw new MillraceError('INPUT_INVALID', `${path} is a folder, not a file`)
    return { chunks: readable(path), totalBytes: file.isFile() ? file.size : null }
  } catch (error) {
    throw unreadable(path, error)
  }
}

/**
 * Every event, in order; of an empty input none. What a line is not, VALIDATE says in a bad row; blank lines are skipped.
 * Thrift has no lines: each payload stands behind its length, four bytes, big-endian.
 */
export async function* eventsOf(chunks: AsyncIterable<Uint8Array>, options: FileOptions): AsyncGenerator<FileEvent> {
  let logTimeMs = 0
  const { format } = options
  const portions = format === 'thrift' ? payloads(chunks, options) : lines(chunks, format, options)
  for await (const { sourced, position } of portions) {
    for (const { raw, key } of sourced) {
      if (!options.history) {
        yield { raw, key, declaredTimeMs: Number.NaN, position }
        continue
      }
      const saidMs = timeOf(format, raw)
      if (saidMs !== undefined && saidMs > logTimeMs && saidMs <= options.now()) logTimeMs = saidMs
      const collectorTstampMs = saidMs !== undefined && saidMs >= 0 && saidMs <= options.now() ? saidMs : logTimeMs
      yield { raw: { ...raw, collectorTstampMs }, key, declaredTimeMs: logTimeMs, position }
    }
  }
}

/** What a line, or a payload, holds. */
type Portion = { readonly sourced: readonly Sourced[]; readonly position: number }

async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  format: EventFormat,
  options: FileOptions,
): AsyncGenerator<Portion> {
  for await (const line of linesOf(chunks, lineBytesMax[format])) {
    // a row of TSV may be nothing but tabs
    if (line.text === '' || (format !== 'tsv' && line.text.trim() === '')) continue
    const origin = { ...originOf(options, line.number), ...noRequest }
    yield { sourced: lineEvents(origin, format, line), position: line.position }
  }
}

function lineEvents(origin: Origin, format: EventFormat, { text, bytes }: Line): readonly Sourced[] {
  const maximum = lineBytesMax[format]
  if (bytes > maximum) {
    return [failedRawEvent(origin, format, 0, keptOf(text, maximum), tooLarge('line', bytes, maximum))]
  }
  switch (format) {
    case 'tp2':
      return tp2Events(origin, text)
    case 'segment':
      return splitCalls(origin, text)
    case 'tsv':
      return [rawEvent(origin, 'tsv', 0, text, tsvFields(text))]
    case 'ndjson':
      return [ndjsonEvent(origin, text)]
  }
}

async function* payloads(chunks: AsyncIterable<Uint8Array>, options: FileOptions): AsyncGenerator<Portion> {
  for await (const { number, value, bytes, position } of framesOf(chunks, collectorPayloadBytesMax)) {
    const origin = originOf(options, number)
    const sourced =
      bytes > collectorPayloadBytesMax
        ? [oversizedCollectorPayload(origin, value.subarray(0, keptBytesMax), bytes)]
        : eventsOfCollectorPayload(origin, value)
    yield { sourced, position }
  }
}

const keptBytesMax = 10_000

const originOf = ({ tenant, name, now }: FileOptions, number: number) => ({
  tenant,
  source: 'ingest',
  payloadId: `${name}:${number}`,
  collectorTstampMs: now(),
})

/** A payload of several events, or the parameters of one. */
function tp2Events(origin: Origin, text: string): readonly Sourced[] {
  const fields = objectOf(text)
  if (typeof fields === 'string') return [failedRawEvent(origin, 'tp2', 0, text, failureOf(fields))]
  return isPayloadData(fields['schema']) ? splitPayload(origin, text) : [rawEvent(origin, 'tp2', 0, text, fields)]
}

function ndjsonEvent(origin: Origin, text: string): Sourced {
  const fields = objectOf(text)
  return typeof fields === 'string'
    ? failedRawEvent(origin, 'ndjson', 0, text, failureOf(fields))
    : rawEvent(origin, 'ndjson', 0, text, fields)
}

function objectOf(text: string): Fields | 'not JSON' | 'not an object' {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : 'not an object'
  } catch {
    return 'not JSON'
  }
}

const failureOf = (what: 'not JSON' | 'not an object') =>
  what === 'not JSON' ? notJson('line', 'invalid json') : notExpected('line', 'a JSON object')

/** Of an enriched event what says whose it is, and when it was received. */
function tsvFields(text: string): Fields {
  const texts = text.split('\t')
  return Object.fromEntries(tsvPlaces.map(([name, place]) => [name, texts[place]]))
}

const tsvPlaces = ['domain_userid', 'user_id', 'network_userid', 'event_id', 'collector_tstamp'].map(
  (name) => [name, contract.findIndex((column) => column.name === name)] as const,
)

/** When an event says it was received: milliseconds, or undefined. */
function timeOf(format: RawFormat, raw: RawEvent): number | undefined {
  if (raw.failure) return undefined
  if (format === 'thrift') return raw.collectorTstampMs
  const fields = format === 'tsv' ? tsvFields(raw.body) : objectOf(raw.body)
  if (typeof fields === 'string') return undefined
  for (const name of timeFields[format]) {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    const ms = typeof value === 'number' || typeof value === 'string' ? timestampMs(String(value)) : undefined
    if (ms !== undefined) return ms
  }
  return undefined
}

const timeFields = {
  tp2: ['stm', 'dtm'],
  ndjson: ['collector_tstamp'],
  tsv: ['collector_tstamp'],
  segment: ['receivedAt', 'sentAt', 'timestamp'],
} as const

async function* readable(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const code = (error as NodeJS.ErrnoException).code
  const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : String(error)
  return new MillraceError('INPUT_INVALID', `cannot read ${path}: ${why}`, { cause: error })
}
