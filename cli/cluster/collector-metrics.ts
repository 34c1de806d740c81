/** What Prometheus is told of a collector. */
import { Counter, collectDefaultMetrics, Registry } from 'prom-client'
import type { CollectorCounters } from '../../sources/collector/collector.ts'

const helps: Readonly<Record<keyof CollectorCounters, string>> = {
  requests: 'Requests that were answered for their events.',
  events: 'Raw events written, failures among them.',
  failures: 'Payloads, or parts of one, in which there is no event to read: they become bad rows.',
  tooLarge: 'Requests refused for their size.',
  busy: 'Requests asked to come back later, as too much waited for the log.',
  unavailable: 'Requests refused because the log could not be written.',
}

/** The counters of a collector as a page for Prometheus. */
export function collectorMetrics(counters: () => CollectorCounters) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const [name, help] of Object.entries(helps) as [keyof CollectorCounters, string][]) {
    const counter: Counter<string> = new Counter({
      name: `millrace_collector_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
      help,
      registers: [registry],
      collect() {
        counter.reset()
        counter.inc(counters()[name])
      },
    })
  }
  return async () => ({ contentType: registry.contentType, text: await registry.metrics() })
}
