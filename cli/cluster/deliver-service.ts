/** Connectors of some destinations in this process, as members of their groups, with what can be asked of them over HTTP. */
import { join } from 'node:path'
import type { Connector } from '../../connectors/connector.ts'
import { ConnectorGroup } from '../../connectors/group.ts'
import { createConnector } from '../../connectors/index.ts'
import type { ConnectorObserver } from '../../connectors/runner.ts'
import { systemClock, within } from '../../runtime/clock.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import type { TopicSpec } from '../../runtime/log.ts'
import { defaultMembership, type MembershipSettings } from '../../runtime/membership.ts'
import { takeStateFolder } from '../../runtime/stores/identity.ts'
import { topicOf } from '../../runtime/topology.ts'
import type { Health } from '../../runtime/worker.ts'
import type { DestinationDefinition } from '../../schemas/definitions.ts'
import { connectTopic } from '../../topologies/customer-data.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { makeFolder } from '../engine.ts'
import { packageVersion } from '../package.ts'
import type { ClusterPlace } from '../place.ts'
import { appOf, type Cluster, openCluster } from './cluster.ts'
import { DeliverMetrics } from './deliver-metrics.ts'
import { type HealthServer, serveHealth } from './health.ts'
import type { Logger } from './logger.ts'
import { Patience } from './patience.ts'

export type DeliverOptions = {
  readonly place: ClusterPlace
  /** By id; none: all of the workspace that have what they need here, such as their secrets. */
  readonly destinations: readonly string[]
  readonly dataFolder: string
  readonly workspaceFolder: string
  readonly host: string
  readonly port: number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly membership?: Partial<MembershipSettings>
  readonly logger: Logger
  /** Aborts when the process is to end: it may still be waiting for Kafka. */
  readonly stopping: AbortSignal
  /** What no waiting mends. */
  readonly onFatal: (error: unknown) => void
}

/** Longer than calls to a destination may take by default. */
const drainMs = 25_000

type Delivery = { readonly group: ConnectorGroup; readonly topic: TopicSpec }

export class DeliverService {
  readonly #deliveries: ReadonlyMap<string, Delivery>
  readonly #health: HealthServer
  readonly #closers: readonly (() => Promise<unknown>)[]

  private constructor(
    deliveries: ReadonlyMap<string, Delivery>,
    health: HealthServer,
    closers: readonly (() => Promise<unknown>)[],
  ) {
    this.#deliveries = deliveries
    this.#health = health
    this.#closers = closers
  }

  /**
   * Joins the groups and answers at once; partitions come with the plans. While Kafka or the registry is away it waits,
   * alive and not ready. CONFIG_INVALID with all problems of the workspace, or when a destination that is named is not
   * there or cannot start; PORT_TAKEN, DATA_LOCKED, and what `openCluster` throws and no waiting mends: then nothing is
   * left open.
   */
  static async start(options: DeliverOptions): Promise<DeliverService> {
    const { place, dataFolder, logger, stopping, onFatal } = options
    const closers: (() => Promise<unknown>)[] = []
    const deliveries = new Map<string, Delivery>()
    try {
      const { destinations } = await loadWorkspace(options.workspaceFolder)
      const connectors = connectorsOf(destinations, options)
      for (const connector of connectors) closers.push(() => connector.close())
      await makeFolder(dataFolder)
      const identity = await takeStateFolder(dataFolder)
      closers.push(() => identity.close())
      const metrics = new DeliverMetrics()
      const patience = new Patience(stopping, (error, retryInMs) => {
        logger.warn({ code: error.code, missing: error.message, retryInMs }, 'waiting for what is not there yet')
      })
      let started = false
      const starting = (): Health => ({ live: true, ready: false, reasons: [patience.missing ?? 'starting'] })
      const health = await serveHealth(options, {
        health: () => (started ? healthOf(deliveries) : starting()),
        metrics,
      })
      closers.push(() => health.close())
      const cluster = await patience.until(() => openCluster(place))
      closers.push(() => cluster.close())
      const { base, log, codec } = cluster
      const coordinator = new KafkaCoordinator(base.connection, place.prefix)
      for (const connector of connectors) {
        const { id } = connector
        const topic = topicFor(cluster, id)
        const joining = () =>
          ConnectorGroup.join({
            log,
            codec,
            connector,
            topic,
            app: appOf(place),
            process: identity.process,
            endpoint: `${options.host}:${health.port}`,
            version: packageVersion,
            coordinator,
            time: systemClock,
            membership: { ...defaultMembership, ...options.membership },
            observer: observed(metrics.observer(id), id, logger),
            assigned: ({ generation, tookMs, own, members }) => {
              const processes = members.length
              logger.info({ destination: id, generation, tookMs, partitions: own.active, processes }, 'assigned')
            },
            failed: onFatal,
          })
        const group = await patience.until(joining)
        deliveries.set(id, { group, topic })
      }
      metrics.follow(deliveries, log)
      started = true
      logger.info({ process: identity.process, destinations: [...deliveries.keys()], port: health.port }, 'started')
      return new DeliverService(deliveries, health, closers)
    } catch (error) {
      await leaveAll(deliveries).catch(() => {})
      for (const close of closers.reverse()) await close().catch(() => {})
      throw error
    }
  }

  get port(): number {
    return this.#health.port
  }

  /** Ends the calls that are under way, writes the positions, and gives its places up. Answers whether all ended in time. */
  async stop(): Promise<boolean> {
    const left = leaveAll(this.#deliveries).then(() => true)
    const clean = (await within(systemClock, drainMs, left)) ?? false
    for (const close of [...this.#closers].reverse()) await close().catch(() => {})
    return clean
  }
}

/** CONFIG_INVALID when one that is named, or else each, cannot start. */
function connectorsOf(
  destinations: readonly DestinationDefinition[],
  { destinations: named, dataFolder, env, logger }: DeliverOptions,
): readonly Connector[] {
  for (const id of named) {
    if (destinations.some((destination) => destination.id === id)) continue
    const known = destinations.map(({ id }) => id).join(', ') || 'none'
    throw new MillraceError('CONFIG_INVALID', `the workspace has no destination ${id}; it has ${known}`)
  }
  const connectors: Connector[] = []
  const held: MillraceError[] = []
  for (const destination of destinations) {
    if (named.length > 0 && !named.includes(destination.id)) continue
    try {
      connectors.push(createConnector(destination, { folder: join(dataFolder, 'destinations'), env }))
    } catch (error) {
      const holds = error instanceof MillraceError && error.code === 'CONFIG_INVALID' && named.length === 0
      if (!holds) throw error
      held.push(error)
      logger.warn({ destination: destination.id, reason: error.message }, 'a destination is held')
    }
  }
  if (connectors.length > 0) return connectors
  throw held[0] ?? new MillraceError('CONFIG_INVALID', 'the workspace has no destination to deliver to')
}

async function leaveAll(deliveries: ReadonlyMap<string, Delivery>): Promise<void> {
  await Promise.all([...deliveries.values()].map(({ group }) => group.leave()))
}

function topicFor({ topology }: Cluster, destination: string): TopicSpec {
  const name = connectTopic(destination)
  if (topology.topics.some((topic) => topic.name === name)) return topicOf(topology, name)
  throw new MillraceError('TOPIC_UNKNOWN', `there is no topic ${name}; \`millrace topics apply\` makes it`)
}

/** One that has stopped for good, or has no plan, is not ready; a destination that is down is no fault of this process. */
function healthOf(deliveries: ReadonlyMap<string, Delivery>): Health {
  const reasons = [...deliveries].flatMap(([id, { group }]) => {
    if (!group.hasPlan) return [`${id} has no plan yet`]
    const { state, reason } = group.status
    return state === 'disabled' && reason !== null ? [reason] : []
  })
  return { live: true, ready: reasons.length === 0, reasons }
}

/** Metrics hear of everything, the log of what a person wants to know afterwards. */
function observed(metrics: ConnectorObserver, destination: string, logger: Logger): ConnectorObserver {
  return {
    ...metrics,
    retrying: (error, waitMs) => {
      metrics.retrying?.(error, waitMs)
      logger.warn({ destination, reason: error.message, waitMs }, 'the destination did not take a batch')
    },
    refused: (delivery, error) => {
      metrics.refused?.(delivery, error)
      const { partition, offset } = delivery
      logger.warn({ destination, partition, offset, reason: error.message }, 'the destination refused a row for good')
    },
    disabled: (error) => logger.error({ destination, reason: error.message }, 'a connector has stopped'),
  }
}
