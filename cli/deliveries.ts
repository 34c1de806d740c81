/** The connectors of a workspace's destinations, started and stopped together. */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Connector } from '../connectors/connector.ts'
import { createConnector } from '../connectors/index.ts'
import { positionsTopic, readPositions } from '../connectors/positions.ts'
import { ConnectorRunner, type ConnectorStatus } from '../connectors/runner.ts'
import { MillraceError } from '../runtime/errors.ts'
import { topicOf } from '../runtime/topology.ts'
import type { DestinationDefinition } from '../schemas/definitions.ts'
import { connectTopic } from '../topologies/customer-data.ts'
import type { Engine } from './engine.ts'
import { type Receiver, startReceiver } from './receiver.ts'

export type DeliveriesOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  /**
   * Customers are made up: webhooks go to a receiver of our own. `unless-here` leaves alone those to this machine that
   * somebody answers; `always` makes a run repeatable; `never` is for real customers.
   */
  readonly receiver: 'always' | 'unless-here' | 'never'
}

export type DeliveryState = Pick<ConnectorStatus, 'delivered' | 'dead'> & {
  readonly id: string
  readonly type: DestinationDefinition['type']
  /** held: it cannot start, and its activations wait in the log. */
  readonly state: 'running' | 'waiting' | 'disabled' | 'held'
  /** Why it does not run. */
  readonly reason: string | null
  /** Whether our own receiver stands in for it. */
  readonly simulated: boolean
}

type Line = {
  readonly destination: DestinationDefinition
  readonly runner: ConnectorRunner | null
  readonly reason: string | null
  readonly simulated: boolean
  /** What it has taken in earlier runs, for a line that does not run. */
  readonly before: { readonly delivered: number; readonly dead: number }
}

const nothing = { delivered: 0, dead: 0 }

export class Deliveries {
  readonly #lines: readonly Line[]
  readonly #receiver: Receiver | undefined

  private constructor(lines: readonly Line[], receiver: Receiver | undefined) {
    this.#lines = lines
    this.#receiver = receiver
  }

  /** A destination whose settings do not hold is held, so that the others go on; `states` says why. */
  static async start(engine: Engine, { env, receiver: wanted }: DeliveriesOptions): Promise<Deliveries> {
    const lines: Line[] = []
    let receiver: Receiver | undefined
    for (const destination of engine.workspace.destinations) {
      const simulated =
        destination.type === 'webhook' &&
        (wanted === 'always' || (wanted === 'unless-here' && !(await isServedHere(destination, env))))
      if (simulated) receiver ??= await startReceiver()
      lines.push(await startLine(engine, destination, env, simulated ? receiver : undefined))
    }
    return new Deliveries(lines, receiver)
  }

  /** Begins to deliver what is there and what comes. */
  run(): void {
    for (const { runner } of this.#lines) runner?.run()
  }

  /** Ends `run`, and delivers what is there by now; DELIVERY_FAILED when a destination will not have it. */
  async drain(signal?: AbortSignal): Promise<void> {
    await this.stop()
    for (const { runner } of this.#lines) if (runner?.status.state !== 'disabled') await runner?.drain(signal)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#lines.map(({ runner }) => runner?.stop()))
  }

  async close(): Promise<void> {
    await Promise.all(this.#lines.map(({ runner }) => runner?.close()))
    await this.#receiver?.close()
  }

  get states(): readonly DeliveryState[] {
    return this.#lines.map(({ destination: { id, type }, runner, reason, simulated, before }) => {
      const status = runner?.status
      const state = !status
        ? 'held'
        : status.state === 'disabled'
          ? 'disabled'
          : status.breaker === 'closed'
            ? 'running'
            : 'waiting'
      return {
        id,
        type,
        state,
        reason: status?.reason ?? reason,
        simulated,
        delivered: status?.delivered ?? before.delivered,
        dead: status?.dead ?? before.dead,
      }
    })
  }

  /** Activations that destinations have taken, over all runs. */
  get delivered(): number {
    return this.states.reduce((sum, { delivered }) => sum + delivered, 0)
  }
}

async function startLine(
  engine: Engine,
  destination: DestinationDefinition,
  env: DeliveriesOptions['env'],
  receiver: Receiver | undefined,
): Promise<Line> {
  const { log, codec, topology, dataFolder } = engine
  const folder = join(dataFolder, 'destinations')
  let connector: Connector
  try {
    connector = receiver
      ? createConnector(redirected(destination, receiver), { folder, env: { [receiverSecret]: newSecret() } })
      : createConnector(destination, { folder, env })
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'CONFIG_INVALID') throw error
    await log.createTopics([positionsTopic])
    const before = { ...nothing }
    for (const { delivered, dead } of (await readPositions(log, codec, destination.id)).values()) {
      before.delivered += delivered
      before.dead += dead
    }
    return { destination, runner: null, reason: error.message, simulated: false, before }
  }
  const topic = topicOf(topology, connectTopic(destination.id))
  const runner = await ConnectorRunner.start({ log, codec, connector, topic })
  return { destination, runner, reason: null, simulated: receiver !== undefined, before: nothing }
}

const receiverSecret = 'MILLRACE_RECEIVER_SECRET'
const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

function redirected(destination: DestinationDefinition, receiver: Receiver): DestinationDefinition {
  const url = new URL(destination.id, receiver.url).href
  return {
    ...destination,
    settings: { ...destination.settings, url, secret: { env: receiverSecret }, allowLoopback: true },
  }
}

/** Whether a webhook goes to this machine, has its secret, and somebody listens. */
async function isServedHere({ settings }: DestinationDefinition, env: DeliveriesOptions['env']): Promise<boolean> {
  const url = new URL(String(settings['url']))
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const secrets = [settings['secret']].flat() as readonly { readonly env: string }[]
  if (!here || secrets.some((secret) => !env[secret?.env])) return false
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port, timeout: 500 })
    const answer = (listening: boolean) => {
      socket.destroy()
      resolve(listening)
    }
    socket.on('connect', () => answer(true))
    socket.on('timeout', () => answer(false))
    socket.on('error', () => answer(false))
  })
}
