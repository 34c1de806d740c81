/** VALIDATE over a file, by itself: no log, no broker, no data folder. */

import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { ndjsonOf } from '../operators/validate/ndjson.ts'
import { validate } from '../operators/validate/validate.ts'
import { invariant, MillraceError } from '../runtime/errors.ts'
import type { BadRow, Event, RawFormat } from '../schemas/avro/types.ts'
import { eventsOf, openInput } from '../sources/files/events.ts'
import { definitionsFrom, manifestOf } from '../workspace/manifest.ts'
import { loadWorkspace } from '../workspace/workspace.ts'
import { type Reason, Reasons } from './reasons.ts'

export type ValidateOptions = {
  /** A file, or `-` for standard input. */
  readonly path: string
  readonly format: RawFormat
  /** Made if it is not there; what it held under the names of our files is written over. */
  readonly outFolder: string
  readonly workspaceFolder: string
  /** Called once, with the bytes to read; null where that is not known. */
  readonly onStart?: (totalBytes: number | null) => void
  /** Called with the bytes that are through. */
  readonly onProgress?: (bytes: number) => void
}

/** events = good + bad. */
export type ValidateResult = {
  readonly events: number
  readonly good: number
  readonly bad: number
  /** Bad rows by kind. */
  readonly kinds: Readonly<Record<string, number>>
  /** The commonest, the most first. */
  readonly reasons: readonly Reason[]
  readonly seconds: number
}

const reasonsShown = 20

/**
 * Writes `good.ndjson`, a line for each event, as `ingest --format ndjson` takes it; `bad.ndjson`, a line for each bad row
 * {schema, data}; and `summary.json`, what is answered. INPUT_INVALID when the file cannot be read, DATA_UNWRITABLE when
 * the folder cannot be written.
 */
export async function validateFile(options: ValidateOptions): Promise<ValidateResult> {
  const { path, format, outFolder, workspaceFolder } = options
  const input = await openInput(path)
  const workspace = await loadWorkspace(workspaceFolder)
  const { tenant } = workspace
  // no identifier is hashed here, so any key will do
  const definitions = definitionsFrom(manifestOf(workspace).records, new Uint8Array(32))
  const startedAt = performance.now()
  const startedMs = Date.now()
  const context = {
    clockMs: startedMs,
    logTimeMs: startedMs,
    offset: 0,
    partition: 0,
    generation: 0,
    definitions,
    state: () => undefined,
  }
  const reasons = new Reasons()
  const counts = { events: 0, good: 0, bad: 0 }
  const [goodLines, badLines] = await filesIn(outFolder, ['good.ndjson', 'bad.ndjson'])
  try {
    options.onStart?.(input.totalBytes)
    const name = path === '-' ? 'stdin' : basename(path)
    const sourced = eventsOf(input.chunks, { tenant, format, name, history: false, now: () => startedMs })
    for await (const { raw, key, position } of sourced) {
      counts.events++
      for (const effect of validate.process({ kind: 'event', key, value: raw }, context)) {
        if (effect.effect === 'pass') {
          counts.good++
          await goodLines.write(ndjsonOf(effect.value as Event))
        } else if (effect.effect === 'emit' && effect.topic === 'events.bad') {
          const { schema, data } = effect.value as BadRow
          counts.bad++
          reasons.add({ schema, data })
          await badLines.write(`{"schema":"${schema}","data":${data}}`)
        }
      }
      options.onProgress?.(position)
    }
    invariant(counts.events === counts.good + counts.bad, 'every event is good or bad, and none is both')
  } finally {
    await Promise.all([goodLines.end(), badLines.end()])
  }
  const seconds = Math.round(performance.now() - startedAt) / 1000
  const result = { ...counts, kinds: reasons.kinds, reasons: reasons.top(reasonsShown), seconds }
  await written(outFolder, writeFile(join(outFolder, 'summary.json'), `${JSON.stringify(result, null, 2)}\n`))
  return result
}

async function filesIn(folder: string, names: readonly [string, string]): Promise<[Lines, Lines]> {
  await written(folder, mkdir(folder, { recursive: true }))
  const [first, second] = names.map((name) => new Lines(folder, createWriteStream(join(folder, name))))
  return [first!, second!]
}

/** A file that is written line by line, no faster than it takes them. */
class Lines {
  readonly #folder: string
  readonly #stream: WriteStream
  readonly #finished: Promise<void>
  #waiting = ''

  constructor(folder: string, stream: WriteStream) {
    this.#folder = folder
    this.#stream = stream
    this.#finished = finished(stream)
    // it is awaited at the end, and told then
    this.#finished.catch(() => {})
  }

  async write(line: string): Promise<void> {
    this.#waiting += `${line}\n`
    if (this.#waiting.length < waitingLengthMax) return
    const kept = this.#stream.write(this.#waiting)
    this.#waiting = ''
    if (!kept) await Promise.race([once(this.#stream, 'drain'), this.#finished])
  }

  async end(): Promise<void> {
    this.#stream.end(this.#waiting)
    await written(this.#folder, this.#finished)
  }
}

/** A call of the operating system for each line would take longer than its event. */
const waitingLengthMax = 256 * 1024

async function written<Result>(folder: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (cause) {
    throw new MillraceError('DATA_UNWRITABLE', `cannot write to ${folder}: ${(cause as Error).message}`, { cause })
  }
}
