/** What Prometheus is told of a process that delivers. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { ConnectorGroup } from '../../connectors/group.ts'
import type { ConnectorObserver } from '../../connectors/runner.ts'
import type { Log, TopicSpec } from '../../runtime/log.ts'

const labels = ['destination'] as const

/** Names by Prometheus's convention, under `millrace_deliver_`. */
export class DeliverMetrics {
  readonly #registry = new Registry()
  readonly #delivered = this.#counter('delivered_total', 'Activations that the destination has taken.')
  readonly #dead = this.#counter('dead_total', 'Activations that the destination refused for good.')
  readonly #retries = this.#counter('retries_total', 'Calls to the destination that failed and are tried again.')

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
  }

  observer(destination: string): ConnectorObserver {
    return {
      delivered: (batch) => this.#delivered.inc({ destination }, batch.length),
      refused: () => this.#dead.inc({ destination }),
      retrying: () => this.#retries.inc({ destination }),
    }
  }

  /** Groups are asked how far they are whenever somebody looks. */
  follow(groups: ReadonlyMap<string, { readonly group: ConnectorGroup; readonly topic: TopicSpec }>, log: Log): void {
    const lag: Gauge<string> = new Gauge({
      name: 'millrace_deliver_lag_records',
      help: 'Records of partitions delivered here that the destination does not have yet.',
      labelNames: [...labels, 'partition'],
      registers: [this.#registry],
      async collect() {
        lag.reset()
        for (const [destination, { group, topic }] of groups) {
          for (const partition of group.partitions) {
            const position = group.positionOf(partition)
            // An outage of the log shows in other figures; a page of metrics must not fail for it.
            const ends = await log.ends(topic.name, partition).catch(() => undefined)
            if (ends && position !== undefined) lag.set({ destination, partition }, Math.max(0, ends.stable - position))
          }
        }
      },
    })
    const breaker: Gauge<string> = new Gauge({
      name: 'millrace_deliver_breaker_open',
      help: '1 while calls to the destination are held back, as it does not take them.',
      labelNames: labels,
      registers: [this.#registry],
      collect() {
        for (const [destination, { group }] of groups)
          breaker.set({ destination }, group.status.breaker === 'closed' ? 0 : 1)
      },
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter(name: string, help: string): Counter<'destination'> {
    return new Counter({ name: `millrace_deliver_${name}`, help, labelNames: labels, registers: [this.#registry] })
  }
}
