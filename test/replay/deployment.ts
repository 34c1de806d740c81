/** A deployment with a history in it, for replays to read: in a folder, or on a cluster. */
import { randomUUID } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClusterDefinitions, openCluster } from '../../cli/cluster/cluster.ts'
import { withClusterPlan } from '../../cli/cluster/plan.ts'
import { openEngine } from '../../cli/engine.ts'
import { type FeedParts, feed } from '../../cli/feed.ts'
import { exampleWorkspace } from '../../cli/package.ts'
import { type Deployment as Opened, type Place, withDeploymentAt, withLogAt } from '../../cli/place.ts'
import { type Live, openLive } from '../../cli/replay/live.ts'
import { tenantKeyFor } from '../../cli/tenant-key.ts'
import { longestWindowMs } from '../../cli/windows.ts'
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { Runner } from '../../runtime/runner.ts'
import { MemoryStores } from '../../runtime/stores/memory.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { Turns, tasksHere } from '../../runtime/turns.ts'
import { generateTraffic } from '../../sources/traffic/traffic.ts'
import { loadWorkspace, type Workspace } from '../../workspace/workspace.ts'

const dayMs = 24 * 3600 * 1000
/** Young enough for Kafka's retention of 30 days. */
const startMs = Math.floor(Date.now() / dayMs - 20) * dayMs

export class Deployment {
  readonly place: Place
  readonly #folder: string
  readonly #workspace: string

  private constructor(place: Place, folder: string, workspace: string) {
    this.place = place
    this.#folder = folder
    this.#workspace = workspace
  }

  /** Everything of it that is on disk is below `folder`. */
  static async inFolder(folder: string): Promise<Deployment> {
    return new Deployment({ kind: 'folder', dataFolder: join(folder, 'data') }, folder, await copyOfExample(folder))
  }

  static async onCluster(folder: string, brokers: readonly string[], registryUrl: string): Promise<Deployment> {
    const place = { kind: 'cluster', kafka: { brokers }, registryUrl, prefix: `replay-${randomUUID()}.` } as const
    const workspaceFolder = await copyOfExample(folder)
    await withClusterPlan({ place, workspaceFolder, replication: null, partitions: {} }, (_, apply) => apply())
    return new Deployment(place, folder, workspaceFolder)
  }

  /** Takes in a made-up history, to its end. Another seed gives another one. */
  async live({ events, seed }: { readonly events: number; readonly seed: number }): Promise<void> {
    await this.#run((parts, workspace) =>
      feed(parts, {
        id: `seed ${seed}`,
        items: generateTraffic({ seed, events, visitors: events / 5, tenant: workspace.tenant, startMs, days: 10 }),
        endMs: (lastMs) => Math.min(lastMs + longestWindowMs(workspace), Date.now()),
      }),
    )
  }

  /** Starts it, until nothing is left to do. */
  async settle(): Promise<void> {
    await this.#run(async () => {})
  }

  /** Changes a file of the workspace, and brings it into force. */
  async change(file: string, from: string, to: string): Promise<void> {
    const path = join(this.#workspace, file)
    await writeFile(path, (await readFile(path, 'utf8')).replace(from, to))
    await this.#run(async () => {})
  }

  /** On a cluster: whether `topics apply` would leave all as it is. */
  async isAsDeclared(): Promise<boolean> {
    const { place } = this
    if (place.kind === 'folder') return true
    const options = { place, workspaceFolder: this.#workspace, replication: null, partitions: {} }
    return withClusterPlan(options, async ({ topics }) => topics.every(({ action }) => action === 'keep'))
  }

  open(): Promise<Live> {
    return openLive({ place: this.place, workspaceFolder: this.#workspace, stateFolder: this.#folder })
  }

  read<Result>(use: (log: Log, codec: Codec) => Promise<Result>): Promise<Result> {
    return withLogAt(this.place, use)
  }

  look<Result>(use: (deployment: Opened) => Promise<Result>): Promise<Result> {
    return withDeploymentAt(this.place, use)
  }

  async #run(use: (parts: FeedParts, workspace: Workspace) => Promise<unknown>): Promise<void> {
    if (this.place.kind === 'folder') {
      const options = { dataFolder: this.place.dataFolder, workspaceFolder: this.#workspace, logTimeMs: startMs }
      const engine = await openEngine({ ...options, log: { sync: false, now: () => startMs } })
      const turns = new Turns({ ...engine, tasks: tasksHere(engine.runner.local) })
      await use({ ...engine, turns }, engine.workspace)
      await engine.runner.drain()
      await engine.close()
      return
    }
    const workspace = await loadWorkspace(this.#workspace)
    const key = { given: Buffer.alloc(32, 7), envName: null, env: {} }
    const cluster = await openCluster(this.place)
    const definitions = new ClusterDefinitions(cluster, workspace, await tenantKeyFor(this.#folder, key))
    await definitions.apply({ always: true })
    const { log, codec, topology } = cluster
    const stores = new MemoryStores()
    const parts = { topology, log, stores, codec, definitions: definitions.reader, limits: defaultLimits, observer: {} }
    const runner = await Runner.start(parts)
    await use({ ...parts, turns: new Turns({ ...parts, tasks: tasksHere(runner.tasks) }) }, workspace)
    await runner.drain()
    await runner.stop()
    await cluster.close()
  }
}

async function copyOfExample(folder: string): Promise<string> {
  const workspace = join(folder, 'workspace')
  await cp(exampleWorkspace, workspace, { recursive: true })
  return workspace
}
