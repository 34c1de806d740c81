/** The deployment that a replay reads: its log, to write beside as well, and the definitions that were ever in force. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DefinitionReader } from '../../runtime/definitions.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { TopicSpec } from '../../runtime/log.ts'
import { loadWorkspace, type Workspace } from '../../workspace/workspace.ts'
import { openDefinitions } from '../definitions.ts'
import type { ClusterPlace, Deployment, Place } from '../place.ts'
import { readTenantKey, tenantKeyFor } from '../tenant-key.ts'

export type Live = Deployment & {
  readonly topics: readonly TopicSpec[]
  readonly definitions: DefinitionReader
  /** What replays keep on disk is below it. */
  readonly folder: string
  /** The stores of the first generation, and below them those of the others. */
  readonly storesFolder: string
  /** STILL_RUNNING, with who, while processes run its stages. */
  requireStopped(): Promise<void>
  close(): Promise<void>
}

export type LiveOptions = {
  readonly place: Place
  /** Names the variable that the tenant key may be in. */
  readonly workspaceFolder: string
  /** Of a cluster: the data folder of a process of it, for the tenant key. */
  readonly stateFolder: string
}

/**
 * NOT_FOUND when nothing has been run there, CONFIG_INVALID when the tenant key is another's, DATA_LOCKED when something
 * runs on the folder.
 */
export async function openLive({ place, workspaceFolder, stateFolder }: LiveOptions): Promise<Live> {
  const workspace = await loadWorkspace(workspaceFolder)
  return place.kind === 'cluster'
    ? openLiveCluster(place, workspace, stateFolder)
    : openLiveFolder(place.dataFolder, workspace)
}

/** Where a deployment has its stores, and those of replays, on this machine. */
export function storeFolders(place: Place, stateFolder: string): Pick<Live, 'folder' | 'storesFolder'> {
  return place.kind === 'cluster'
    ? { folder: stateFolder, storesFolder: stateFolder }
    : { folder: place.dataFolder, storesFolder: join(place.dataFolder, 'stores') }
}

async function openLiveCluster(place: ClusterPlace, workspace: Workspace, stateFolder: string): Promise<Live> {
  const { ClusterDefinitions, openCluster, requireEmptyGroups } = await import('../cluster/cluster.ts')
  const key = await readTenantKey(stateFolder, { envName: workspace.tenantKeyEnv, env: process.env })
  const cluster = await openCluster(place)
  try {
    const definitions = new ClusterDefinitions(cluster, workspace, key)
    if (!(await definitions.reader.latest(workspace.tenant)))
      throw new MillraceError(
        'NOT_FOUND',
        `nothing has been run for the tenant ${workspace.tenant} on this cluster yet`,
      )
    await definitions.apply({ always: false }) // changes nothing, and refuses another key
    const topics = await cluster.log.topics()
    return {
      ...cluster,
      topics,
      definitions: definitions.reader,
      ...storeFolders(place, stateFolder),
      requireStopped: () => requireEmptyGroups(cluster, place),
    }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

async function openLiveFolder(folder: string, workspace: Workspace): Promise<Live> {
  if (!existsSync(join(folder, 'log')))
    throw new MillraceError('NOT_FOUND', `there is no data in ${folder} yet; \`millrace start\` makes some`)
  const { openLog } = await import('../engine.ts')
  // While a history is replayed nothing of it is too old to keep.
  const opened = await openLog(folder, { now: () => 0 })
  try {
    const { base, log, codec } = opened
    const { env } = process
    const key = await tenantKeyFor(folder, { given: undefined, envName: workspace.tenantKeyEnv, env })
    const definitions = openDefinitions(log, codec, workspace, key)
    return {
      ...opened,
      topics: await log.topics(),
      definitions,
      ...storeFolders({ kind: 'folder', dataFolder: folder }, folder),
      requireStopped: async () => {}, // or the folder would have been locked
      close: () => base.close(),
    }
  } catch (error) {
    await opened.base.close()
    throw error
  }
}
