/** The deployment that a replay reads: its log, to write beside as well, and the definitions that were ever in force. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Codec } from '../../runtime/codec.ts'
import { DefinitionReader } from '../../runtime/definitions.ts'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log, TopicSpec } from '../../runtime/log.ts'
import { definitionsFrom } from '../../workspace/manifest.ts'
import { loadWorkspace, type Workspace } from '../../workspace/workspace.ts'
import type { ClusterPlace, Place } from '../place.ts'
import { readTenantKey, tenantKeyFor } from '../tenant-key.ts'

export type Live = {
  readonly log: Log
  readonly codec: Codec
  readonly topics: readonly TopicSpec[]
  readonly definitions: DefinitionReader
  /** What replays keep on disk is below it. */
  readonly folder: string
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

async function openLiveCluster(place: ClusterPlace, workspace: Workspace, stateFolder: string): Promise<Live> {
  const { ClusterDefinitions, openCluster } = await import('../cluster/cluster.ts')
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
    const { log, codec } = cluster
    const topics = await log.topics()
    return { log, codec, topics, definitions: definitions.reader, folder: stateFolder, close: cluster.close }
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
  const { log, codec } = await openLog(folder, { now: () => 0 })
  try {
    const { env } = process
    const key = await tenantKeyFor(folder, { given: undefined, envName: workspace.tenantKeyEnv, env })
    const definitions = new DefinitionReader(log, codec, (manifest, bodies) =>
      definitionsFrom([manifest, ...bodies], key),
    )
    return { log, codec, topics: await log.topics(), definitions, folder, close: () => log.close() }
  } catch (error) {
    await log.close()
    throw error
  }
}
