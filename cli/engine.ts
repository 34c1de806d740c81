/** The embedded engine: log, stores and tasks of one data folder, under the definitions of one workspace. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Codec } from '../runtime/codec.ts'
import { applyDefinitions } from '../runtime/definitions.ts'
import { EmbeddedLog } from '../runtime/embedded/log.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { LocalRegistry } from '../runtime/registry.ts'
import { Runner } from '../runtime/runner.ts'
import { RocksStores } from '../runtime/stores/rocksdb.ts'
import { defaultLimits, type TaskObserver } from '../runtime/task.ts'
import { allTopics, type Topology } from '../runtime/topology.ts'
import { embeddedPartitions, type Partitions } from '../topologies/customer-data.ts'
import { definitionsFrom } from '../workspace/manifest.ts'
import { loadWorkspace, type Workspace } from '../workspace/workspace.ts'
import { nextManifest, openDefinitions } from './definitions.ts'
import { destinationsIn, topologyOver } from './deployed-topology.ts'
import { EngineTasks } from './engine-tasks.ts'
import { type Generation, generationInForce, generationLog, storesFolderOf } from './generation.ts'
import type { Deployment } from './place.ts'
import { tenantKeyFor } from './tenant-key.ts'

export type EngineOptions = {
  /** Everything Millrace keeps is below this folder. */
  readonly dataFolder: string
  readonly workspaceFolder: string
  /** Instead of the key in the data folder: for runs that must be repeatable. */
  readonly tenantKey?: Uint8Array
  readonly partitions?: Partitions
  readonly observer?: TaskObserver
  /** shared, the default: all tasks run in this thread, and can be stepped one by one. apart: stage `profile` has a thread of its own. */
  readonly threads?: 'shared' | 'apart'
  /** Log time of the marker that brings the definitions into force. */
  readonly logTimeMs: number
  readonly log?: LogOptions
  /** Whether registries are to be asked anew for every schema. */
  readonly refresh?: boolean
}

export type LogOptions = {
  /** Whether a commit survives a loss of power, and not a kill alone. */
  readonly sync?: boolean
  /** What retention counts from, and log time of records that say none. A history's own time, or the wall clock. */
  readonly now?: () => number
}

export type Engine = {
  readonly dataFolder: string
  readonly workspace: Workspace
  /** Of the definitions in force. */
  readonly version: number
  readonly topology: Topology
  readonly log: Log
  /** Keeps the log within its bounds; to be called each minute or so. */
  maintain(): Promise<unknown>
  readonly codec: Codec
  readonly generation: Generation
  readonly runner: EngineTasks
  /** Stops the tasks, letting them finish what is in their inboxes for at most `graceMs`, and lets go of the folder. */
  close(graceMs?: number): Promise<void>
}

/**
 * When stages run apart: those of each further thread. `profile` is about half of the work; a third thread takes 250 MiB
 * more and brings two cores nothing.
 */
const stageThreads = [['profile']]

/**
 * Opens the data folder, brings the workspace's definitions into force, and restores all tasks; nothing runs yet.
 * CONFIG_INVALID with all problems of the workspace; DATA_UNWRITABLE, DATA_LOCKED, DATA_FOREIGN as they say.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { dataFolder } = options
  const workspace = await loadWorkspace(options.workspaceFolder)
  await makeFolder(dataFolder)
  const { base, log, codec, generation } = await openLog(dataFolder, options.log)
  const storesFolder = storesFolderOf(join(dataFolder, 'stores'), generation)
  const stores = new RocksStores(storesFolder)
  try {
    const tenantKey = await tenantKeyFor(dataFolder, {
      given: options.tenantKey,
      envName: workspace.tenantKeyEnv,
      env: process.env,
    })
    const destinations = await destinationsOf(workspace, log)
    const partitions = options.partitions ?? embeddedPartitions
    const topology = topologyOver(await log.topics(), destinations, partitions)
    await log.createTopics(allTopics(topology))
    const reader = openDefinitions(log, codec, workspace, tenantKey)
    const { records } = await nextManifest(reader, workspace, options.refresh)
    // what names a secret that is not there is refused before it comes into force
    definitionsFrom(records, tenantKey)
    const { version } = await applyDefinitions({ topology, log, codec, reader, records, logTimeMs: options.logTimeMs })
    const { observer = {} } = options
    const apart = options.threads === 'apart' ? stageThreads : []
    const stages = topology.stages.map(({ name }) => name).filter((name) => !apart.flat().includes(name))
    const parts = { topology, log, stores, codec, definitions: reader, limits: defaultLimits, observer, stages }
    const runner = await EngineTasks.start({
      topology,
      log,
      runner: await Runner.start(parts),
      observer,
      threads: apart.map((stages) => ({
        storesFolder,
        tenantKey,
        destinations,
        partitions,
        stages,
        observed: options.observer ? ['segments.memberships'] : [],
      })),
    })
    return {
      dataFolder,
      workspace,
      version,
      topology,
      log,
      maintain: () => base.maintain(),
      codec,
      generation,
      runner,
      async close(graceMs = 0) {
        await runner.stop(graceMs)
        await stores.close()
        await base.close()
      },
    }
  } catch (error) {
    await stores.close()
    await base.close()
    throw error
  }
}

/** The log of a data folder and the codec of its records: all that queries need. To be closed is `base`. */
export async function openLog(
  dataFolder: string,
  options: LogOptions = {},
): Promise<Deployment & { readonly base: EmbeddedLog }> {
  const base = await EmbeddedLog.open(join(dataFolder, 'log'), options)
  try {
    const codec = new Codec(await LocalRegistry.open(base))
    const generation = await generationInForce(base)
    return { base, log: generationLog(base, generation), codec, generation }
  } catch (error) {
    await base.close()
    throw error
  }
}

/** DATA_UNWRITABLE when it cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new MillraceError(
      'DATA_UNWRITABLE',
      `cannot make the data folder ${folder}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      { cause },
    )
  }
}

/** The workspace's destinations, and those of the past: what was once sent to them can still be read. */
async function destinationsOf(workspace: Workspace, log: Log): Promise<readonly string[]> {
  const past = destinationsIn(await log.topics())
  return [...new Set([...workspace.destinations.map(({ id }) => id), ...past])].sort()
}
