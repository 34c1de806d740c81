/** Millrace as a service in one process: collector, tasks and connectors over one data folder, in the wall clock's time. */
import { allTopics, type TopicDeclaration, topicOf } from '../../runtime/topology.ts'
import { ProfileWriter } from '../../serving/redis/profile-writer.ts'
import { type Collector, createCollector } from '../../sources/collector/collector.ts'
import { collectorOptions } from '../collector-options.ts'
import { Deliveries } from '../deliveries.ts'
import { type DemoShop, startDemoShop } from '../demo-shop.ts'
import { type Engine, openEngine } from '../engine.ts'
import { Latency } from '../latency.ts'
import { totalsOf } from '../totals.ts'
import { Audiences, membershipsTopic } from './audiences.ts'
import { LogMicro } from './micro.ts'
import { Rate } from './rate.ts'
import type { Status } from './status.ts'

export type ServiceOptions = {
  readonly dataFolder: string
  readonly workspaceFolder: string
  readonly port: number
  /** Customers that are made up send events, and webhooks go to a receiver of ours. */
  readonly demo: boolean
  readonly threads: 'shared' | 'apart'
  /** The Redis that profiles are written to; null for none. */
  readonly redisUrl: string | null
  /** Told of what stops it for good. */
  readonly onFatal: (error: unknown) => void
}

const maintainEveryMs = 60_000
const latencyTurnMs = 30_000
/** For the tasks to finish what is in their inboxes, and then for Redis and the destinations to take what is left. */
const tasksGraceMs = 10_000
const deliveriesGraceMs = 3_000
const redisGraceMs = 2_000

export class Service {
  readonly #engine: Engine
  readonly #collector: Collector
  readonly #deliveries: Deliveries
  readonly #profiles: ProfileWriter | null
  readonly #audiences: Audiences
  readonly #latency: Latency
  readonly #shop: DemoShop | undefined
  readonly #url: string
  readonly #rate = new Rate()
  readonly #startedAt = performance.now()
  readonly #timers: readonly NodeJS.Timeout[]
  #stopping = false

  private constructor(parts: Parts, options: ServiceOptions) {
    this.#engine = parts.engine
    this.#collector = parts.collector
    this.#deliveries = parts.deliveries
    this.#profiles = parts.profiles
    this.#audiences = parts.audiences
    this.#latency = parts.latency
    this.#url = parts.url
    const { runner } = this.#engine
    this.#deliveries.run()
    void this.#profiles?.follow(partitionsOf(topicOf(this.#engine.topology, 'events.identified')))
    runner.run(options.onFatal)
    runner.tick()
    this.#shop = options.demo ? startDemoShop(parts.url, Date.now()) : undefined
    this.#timers = [
      setInterval(() => void this.#engine.maintain().catch(options.onFatal), maintainEveryMs),
      setInterval(() => this.#latency.turn(), latencyTurnMs),
    ]
  }

  /** Everything runs once this resolves. PORT_TAKEN, and what `openEngine` throws; then nothing is left open. */
  static async start(options: ServiceOptions): Promise<Service> {
    const { dataFolder, workspaceFolder, port, demo, threads, redisUrl } = options
    const latency = new Latency()
    let audiences: Audiences | undefined
    let profiles: ProfileWriter | null = null
    const engine = await openEngine({
      dataFolder,
      workspaceFolder,
      threads,
      logTimeMs: Date.now(),
      observer: {
        committed: (_task, { outputs }) => {
          for (const { transition, logTimeMs } of audiences?.follow(outputs) ?? []) {
            if (transition.reason === 'event') latency.record(Date.now() - logTimeMs)
          }
        },
      },
    })
    try {
      const { log, codec, topology, generation, workspace } = engine
      if (redisUrl !== null) {
        const parts = { log, codec, tenant: workspace.tenant, redisUrl }
        profiles = new ProfileWriter({ ...parts, generation: generation.number, topics: allTopics(topology) })
      }
      audiences = new Audiences(codec)
      await audiences.load(log, topicOf(topology, membershipsTopic).partitions)
      const { partitions } = topicOf(topology, 'events.raw')
      const micro = await LogMicro.open({ log, codec, topology, lag: () => engine.runner.lag() })
      const { tenant, collector: settings, enrichments } = workspace
      const target = () => ({ log, codec, partitions })
      const collector = createCollector({
        target,
        tenantOf: () => tenant,
        ...collectorOptions(settings, process.env),
        keptCookies: enrichments.cookies,
        micro,
      })
      const listening = await collector.listen(port)
      const receiver = demo ? 'unless-here' : 'never'
      const deliveries = await Deliveries.start(engine, { env: process.env, receiver }).catch(async (error) => {
        await collector.close()
        throw error
      })
      const url = `http://127.0.0.1:${listening}`
      return new Service({ engine, collector, deliveries, profiles, audiences, latency, url }, options)
    } catch (error) {
      await profiles?.close()
      await engine.close()
      throw error
    }
  }

  get status(): Status {
    const { runner, workspace, dataFolder } = this.#engine
    const totals = totalsOf(runner.tasks)
    return {
      url: this.#url,
      dataFolder,
      upMs: performance.now() - this.#startedAt,
      totals,
      eventsPerSecond: this.#rate.sample(performance.now(), totals.events),
      latencyMs: this.#latency.quantiles(),
      segments: workspace.segments.map(({ id }) => ({ id, members: this.#audiences.members(id) })),
      transitions: this.#audiences.latest,
      destinations: this.#deliveries.states,
      redis: this.#profiles?.status ?? null,
      shop: this.#shop ? { sent: this.#shop.sent, lost: this.#shop.lost } : null,
      stopping: this.#stopping,
    }
  }

  /** Takes no more events, lets all that was taken come through, and closes. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#shop?.stop()
    await this.#collector.close()
    await this.#engine.runner.stop(tasksGraceMs)
    // What Redis or a destination does not take now waits in the log.
    await this.#deliveries.drain(AbortSignal.timeout(deliveriesGraceMs)).catch(() => {})
    await this.#deliveries.close()
    await this.#profiles?.caughtUp(AbortSignal.timeout(redisGraceMs))
    await this.#profiles?.close()
    await this.#engine.close()
  }
}

type Parts = {
  readonly engine: Engine
  readonly collector: Collector
  readonly deliveries: Deliveries
  readonly profiles: ProfileWriter | null
  readonly audiences: Audiences
  readonly latency: Latency
  readonly url: string
}

const partitionsOf = ({ partitions }: TopicDeclaration): readonly number[] =>
  Array.from({ length: partitions }, (_, i) => i)
