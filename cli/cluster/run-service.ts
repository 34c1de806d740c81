/** Tasks of some stages in this process, as members of their groups, with what can be asked of them over HTTP. */
import { type AssignmentSettings, defaultAssignment } from '../../runtime/assignment.ts'
import { systemClock } from '../../runtime/clock.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { defaultMembership, type MembershipSettings } from '../../runtime/membership.ts'
import { takeStateFolder } from '../../runtime/stores/identity.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import { defaultLimits } from '../../runtime/task.ts'
import { allTopics } from '../../runtime/topology.ts'
import { type Health, Worker, type WorkerObserver } from '../../runtime/worker.ts'
import { ProfileWriter } from '../../serving/redis/profile-writer.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { makeFolder } from '../engine.ts'
import { generationEnded, storesFolderOf } from '../generation.ts'
import { packageVersion } from '../package.ts'
import type { ClusterPlace } from '../place.ts'
import { tenantKeyFor, tenantKeyVariable } from '../tenant-key.ts'
import { appOf, ClusterDefinitions, openCluster } from './cluster.ts'
import { type HealthServer, serveHealth } from './health.ts'
import type { Logger } from './logger.ts'
import { Metrics } from './metrics.ts'
import { Patience } from './patience.ts'

export type RunOptions = {
  readonly place: ClusterPlace
  readonly stages: readonly string[]
  readonly dataFolder: string
  readonly workspaceFolder: string
  readonly host: string
  readonly port: number
  /** Where profiles are to be served from; null: nowhere. */
  readonly redisUrl: string | null
  readonly assignment?: Partial<AssignmentSettings>
  readonly membership?: Partial<MembershipSettings>
  readonly logger: Logger
  /** Aborts when the process is to end: it may still be waiting for Kafka. */
  readonly stopping: AbortSignal
  /** What no waiting mends. */
  readonly onFatal: (error: unknown) => void
}

const tombstonesMs = 24 * 3600 * 1000
const stuckMs = 30_000
const drainMs = 10_000

export class RunService {
  readonly #worker: Worker
  readonly #health: HealthServer
  readonly #closers: readonly (() => Promise<unknown>)[]

  private constructor(worker: Worker, health: HealthServer, closers: readonly (() => Promise<unknown>)[]) {
    this.#worker = worker
    this.#health = health
    this.#closers = closers
  }

  /**
   * Joins the groups and answers at once; tasks come with the plans. While Kafka or the registry is away it waits, alive
   * and not ready. CONFIG_INVALID with all problems of the workspace, PORT_TAKEN, DATA_LOCKED when another process has the
   * folder, and what `openCluster` throws and no waiting mends: then nothing is left open.
   */
  static async start(options: RunOptions): Promise<RunService> {
    const { place, stages, dataFolder, logger, stopping, onFatal } = options
    const closers: (() => Promise<unknown>)[] = []
    try {
      const workspace = await loadWorkspace(options.workspaceFolder)
      await makeFolder(dataFolder)
      const identity = await takeStateFolder(dataFolder)
      closers.push(() => identity.close())
      const tenantKey = await tenantKeyFor(dataFolder, {
        given: undefined,
        envName: workspace.tenantKeyEnv ?? tenantKeyVariable,
        env: process.env,
      })
      const metrics = new Metrics()
      const patience = new Patience(stopping, (error, retryInMs) => {
        logger.warn({ code: error.code, missing: error.message, retryInMs }, 'waiting for what is not there yet')
      })
      let worker: Worker | undefined
      const starting = (): Health => ({ live: true, ready: false, reasons: [patience.missing ?? 'starting'] })
      const health = await serveHealth(options, { health: () => worker?.health() ?? starting(), metrics })
      closers.push(() => health.close())
      const cluster = await patience.until(() => openCluster(place))
      closers.push(() => cluster.close())
      const { base, log, codec, topology, generation } = cluster
      const definitions = new ClusterDefinitions(cluster, workspace, tenantKey)
      const inForce = await patience.until(() => definitions.apply({ always: false }))
      if (!inForce.same) {
        logger.warn(
          { version: inForce.version },
          'the workspace differs from the definitions in force; `millrace apply` brings it into force',
        )
      }

      const { redisUrl } = options
      const { tenant } = workspace
      const served = { log, codec, tenant, generation: generation.number, topics: allTopics(topology) }
      const profiles = redisUrl === null ? null : new ProfileWriter({ ...served, redisUrl })
      if (profiles) closers.push(() => profiles.close())
      worker = await Worker.start({
        topology,
        stages,
        app: appOf(place),
        process: identity.process,
        endpoint: `${options.host}:${health.port}`,
        version: packageVersion,
        log,
        coordinator: new KafkaCoordinator(base.connection, place.prefix),
        clock: systemClock,
        stores: new RocksStores(storesFolderOf(dataFolder, generation)),
        codec,
        definitions: definitions.reader,
        limits: defaultLimits,
        assignment: { ...defaultAssignment, ...options.assignment },
        membership: { ...defaultMembership, ...options.membership },
        tombstones: { ms: tombstonesMs, nowMs: Date.now },
        idleStoreMs: tombstonesMs,
        stuckMs,
        observer: observed(metrics.observer, profiles, logger),
        failed: onFatal,
      })
      metrics.follow(worker, { topology, log, profiles })
      const watching = new AbortController()
      closers.push(async () => watching.abort())
      void generationEnded(base, generation, watching.signal).then((ended) => ended && onFatal(ended), onFatal)
      const state = { definitions: inForce.version, generation: generation.number }
      logger.info({ process: identity.process, stages, port: health.port, ...state }, 'started')
      return new RunService(worker, health, closers)
    } catch (error) {
      for (const close of closers.reverse()) await close().catch(() => {})
      throw error
    }
  }

  get port(): number {
    return this.#health.port
  }

  health(): Health {
    return this.#worker.health()
  }

  /** Finishes batches, keeps its place in the groups for a session, and closes. Answers whether all ended in time. */
  async stop(): Promise<boolean> {
    const clean = await this.#worker.stop({ keepPlace: true, budgetMs: drainMs })
    for (const close of [...this.#closers].reverse()) await close().catch(() => {})
    return clean
  }
}

/** Metrics hear of everything, the log of what a person wants to know afterwards. */
function observed(metrics: WorkerObserver, profiles: ProfileWriter | null, logger: Logger): WorkerObserver {
  return {
    ...metrics,
    assigned: (stage, assignment) => {
      metrics.assigned?.(stage, assignment)
      const { generation, tookMs, own, members } = assignment
      if (stage === 'profile') void profiles?.follow(own.active)
      logger.info({ stage, generation, tookMs, ...own, processes: members.length }, 'assigned')
    },
    moved: (task, phase) => {
      metrics.moved?.(task, phase)
      logger.debug({ task, phase }, 'moved')
    },
    wiped: (task) => {
      metrics.wiped?.(task)
      logger.warn({ task }, 'the store was too old, or of another log, and begins anew')
    },
    fault: (task, error) => {
      metrics.fault?.(task, error)
      logger.warn({ task, err: error }, 'a turn ended without a commit')
    },
  }
}
