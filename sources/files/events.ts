/** Events of a file, one or more a line: for `ingest`, and for the history of a tenant who moves in. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { MillraceError } from '../../runtime/errors.ts'
import type { RawFormat } from '../../schemas/avro/types.ts'
import { timestampMs } from '../../schemas/timestamp.ts'
import { isObject, isPayloadData, splitPayload } from '../payload.ts'
import {
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
import { linesOf } from './lines.ts'

/** An event of a file and the log time it is to have: NaN leaves that to the log. */
export type FileEvent = Sourced & {
  readonly declaredTimeMs: number
  /** Bytes of the input read so far. */
  readonly position: number
}

export type FileOptions = {
  readonly tenant: string
  readonly format: RawFormat
  /** Names the input: an event's payload id is name and line number, so that a second reading makes the same ids. */
  readonly name: string
  /**
   * The events are given the log time they say they had: of ndjson `collector_tstamp`, of tp2 `stm`, else `dtm`. It
   * never goes back: an event that says none, an earlier one, or one that is still to come (one clock gone wrong must
   * not carry all others off) has the time of the event before it; before the first, the epoch.
   */
  readonly history: boolean
  readonly now: () => number
}

/** A longer line is one size violation. */
export const lineBytesMax = 1024 * 1024

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

/** Every event, in order; of an empty input none. What a line is not, VALIDATE says in a bad row; blank lines are skipped. */
export async function* eventsOf(chunks: AsyncIterable<Uint8Array>, options: FileOptions): AsyncGenerator<FileEvent> {
  let logTimeMs = 0
  for await (const { number, text, bytes, position } of linesOf(chunks, lineBytesMax)) {
    if (text.trim() === '') continue
    const origin = originOf(options, number)
    const sourced =
      bytes > lineBytesMax
        ? [failedRawEvent(origin, options.format, 0, keptOf(text, lineBytesMax), tooLarge('line', bytes, lineBytesMax))]
        : options.format === 'tp2'
          ? tp2Events(origin, text)
          : [ndjsonEvent(origin, text)]
    for (const { raw, key } of sourced) {
      if (!options.history) {
        yield { raw, key, declaredTimeMs: Number.NaN, position }
        continue
      }
      const saidMs = timeOf(raw.format, raw.failure ? null : raw.body)
      if (saidMs !== undefined && saidMs > logTimeMs && saidMs <= options.now()) logTimeMs = saidMs
      const collectorTstampMs = saidMs !== undefined && saidMs >= 0 && saidMs <= options.now() ? saidMs : logTimeMs
      yield { raw: { ...raw, collectorTstampMs }, key, declaredTimeMs: logTimeMs, position }
    }
  }
}

const originOf = ({ tenant, name, now }: FileOptions, line: number): Origin => ({
  tenant,
  source: 'ingest',
  payloadId: `${name}:${line}`,
  collectorTstampMs: now(),
  ...noRequest,
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

/** When an event says it was received: milliseconds, or undefined. */
function timeOf(format: RawFormat, body: string | null): number | undefined {
  const fields = body === null ? null : objectOf(body)
  if (fields === null || typeof fields === 'string') return undefined
  const names = format === 'tp2' ? ['stm', 'dtm'] : ['collector_tstamp']
  for (const name of names) {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    const ms =
      typeof value === 'number'
        ? timestampMs(String(value))
        : typeof value === 'string'
          ? timestampMs(value)
          : undefined
    if (ms !== undefined) return ms
  }
  return undefined
}

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
