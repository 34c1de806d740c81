/** Events of a file into the log of a cluster, whose processes take it from there. */
import { basename } from 'node:path'
import { Turns } from '../../runtime/turns.ts'
import type { RawFormat } from '../../schemas/avro/types.ts'
import { eventsOf, openInput } from '../../sources/files/events.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { noTurns } from '../feed.ts'
import { appendNow, feedHistory, historyId } from '../ingest.ts'
import type { ClusterPlace } from '../place.ts'
import { openCluster } from './cluster.ts'
import { TasksElsewhere } from './tasks-elsewhere.ts'

export type ClusterIngestOptions = {
  /** A file, or `-` for standard input. */
  readonly path: string
  readonly format: RawFormat
  /** Whether the events have the log time they say they had, or that of their arrival. */
  readonly history: boolean
  readonly place: ClusterPlace
  readonly workspaceFolder: string
  /** Called once, with the bytes to read; null where that is not known. */
  readonly onStart?: (totalBytes: number | null) => void
  /** Called with the bytes that are written. */
  readonly onProgress?: (bytes: number) => void
  /** Called while a history waits for a task, which may have no process. */
  readonly onWaiting?: (task: string) => void
}

/** `events` are in the log; `resumedAt` of them, of a history that was interrupted, were in before. */
export type ClusterIngestResult = { readonly events: number; readonly resumedAt: number; readonly seconds: number }

/** INPUT_INVALID when the file cannot be read; what is wrong with its events becomes bad rows. */
export async function ingestIntoCluster(options: ClusterIngestOptions): Promise<ClusterIngestResult> {
  const { path, format, history, place, onProgress } = options
  const input = await openInput(path)
  const workspace = await loadWorkspace(options.workspaceFolder)
  const cluster = await openCluster(place)
  try {
    const startedAt = performance.now()
    options.onStart?.(input.totalBytes)
    const name = path === '-' ? 'stdin' : basename(path)
    let events = 0
    async function* counted() {
      const { tenant } = workspace
      for await (const event of eventsOf(input.chunks, { tenant, format, name, history, now: Date.now })) {
        events++
        yield event
      }
    }
    // The tasks are elsewhere and keep up by themselves.
    const runner = { drain: async () => {} }
    const tasks = new TasksElsewhere(cluster, (task) => options.onWaiting?.(task))
    // Thrown into a live log a history is late, and holds nobody up.
    const turns = (await tasks.areLive()) ? noTurns : new Turns({ ...cluster, tasks })
    const target = { ...cluster, workspace, runner, turns }
    const resumedAt = history
      ? await feedHistory(target, counted(), await historyId(path, format), onProgress)
      : await appendNow(target, counted(), onProgress)
    return { events, resumedAt, seconds: Math.round(performance.now() - startedAt) / 1000 }
  } finally {
    await cluster.close()
  }
}
