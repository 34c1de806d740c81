/** What Prometheus is told of a process: its tasks, their commits and restores, and the process itself. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { MillraceError } from '../../runtime/errors.ts'
import type { Log } from '../../runtime/log.ts'
import { stageOf } from '../../runtime/stage.ts'
import { deadOf, type Topology } from '../../runtime/topology.ts'
import type { Worker, WorkerObserver } from '../../runtime/worker.ts'
import type { ProfileWriter } from '../../serving/redis/profile-writer.ts'

const task = ['stage', 'partition'] as const
const liveMs = 3_600_000

type Followed = { readonly topology: Topology; readonly log: Log; readonly profiles: ProfileWriter | null }

/** Names by Prometheus's convention, under `millrace_`; labels stage and partition wherever a task is meant. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #in = this.#counter('records_in_total', 'Records taken from the inbox, in committed work.', task)
  readonly #out = this.#counter('records_out_total', 'Records written to topics, changelog not counted.', task)
  readonly #bad = this.#counter('records_bad_total', 'Bad rows written.', task)
  readonly #dead = this.#counter('records_dead_total', 'Dead letters written.', task)
  readonly #aborts = this.#counter('commit_aborts_total', 'Turns that ended without a commit, by cause.', [
    'stage',
    'partition',
    'cause',
  ])
  readonly #fenced = this.#counter('fenced_total', 'Times a newer owner took a task from this process.', task)
  readonly #wiped = this.#counter(
    'store_wipes_total',
    'Stores that were too old, or of another log, and began anew.',
    task,
  )
  readonly #rebalances = this.#counter('rebalances_total', 'Plans that came into force.', ['stage'])
  readonly #rebalanceSeconds = this.#histogram(
    'rebalance_seconds',
    'From the moment of joining to the plan.',
    ['stage'],
    [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  )
  readonly #commitSeconds = this.#histogram(
    'commit_seconds',
    'Of a commit: from its bytes to the answer of the log.',
    task,
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  )
  readonly #endToEnd = this.#histogram(
    'end_to_end_seconds',
    'From log time at the collector to the commit of a stage.',
    ['stage'],
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300],
  )
  readonly #overlay = this.#gauge('overlay_bytes', 'Bytes of changed rows in the last commit.', task)
  readonly #restored = this.#counter('restore_records_total', 'Records of changelogs applied.', task)
  readonly #restoring = this.#gauge(
    'restore_remaining_records',
    'Offsets of the changelog still to come, of tasks that are to run.',
    task,
  )
  readonly #restoreRate = this.#gauge('restore_records_per_second', 'Of the last page of a restore.', task)
  readonly #committing = new Map<string, number>()
  readonly #pages = new Map<string, number>()
  #worker: Worker | undefined

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    this.#eventLoopGauge()
  }

  /** What is watched from the moment it runs. */
  readonly observer: WorkerObserver = {
    at: (name, point) => {
      if (point === 'processed') this.#committing.set(name, performance.now())
    },
    committed: (name, { records, outputs, changelogBytes }) => {
      const labels = labelsOf(name)
      const startMs = this.#committing.get(name)
      if (startMs !== undefined) this.#commitSeconds.observe(labels, (performance.now() - startMs) / 1000)
      this.#in.inc(labels, records)
      this.#out.inc(labels, outputs.length)
      this.#overlay.set(labels, changelogBytes)
      let bad = 0
      let dead = 0
      let newestMs = Number.NEGATIVE_INFINITY
      const deadTopic = deadOf(labels.stage)
      for (const { topic, kind, timestampMs } of outputs) {
        if (topic === 'events.bad') bad++
        else if (topic === deadTopic) dead++
        else if (kind === 'event' || kind === 'transition' || kind === 'activation') newestMs = timestampMs
      }
      if (bad > 0) this.#bad.inc(labels, bad)
      if (dead > 0) this.#dead.inc(labels, dead)
      // Log time of a history says nothing of how long we took.
      if (Date.now() - newestMs < liveMs)
        this.#endToEnd.observe({ stage: labels.stage }, Math.max(0, Date.now() - newestMs) / 1000)
    },
    assigned: (stage, { tookMs }) => {
      this.#rebalances.inc({ stage })
      this.#rebalanceSeconds.observe({ stage }, tookMs / 1000)
    },
    fault: (name, error) => {
      const labels = labelsOf(name)
      const cause = error instanceof MillraceError ? error.code : 'UNEXPECTED'
      if (cause === 'FENCED') this.#fenced.inc(labels)
      this.#aborts.inc({ ...labels, cause })
    },
    restored: (name, { records, remaining }) => {
      const labels = labelsOf(name)
      const nowMs = performance.now()
      const beforeMs = this.#pages.get(name)
      this.#pages.set(name, nowMs)
      this.#restored.inc(labels, records)
      const follows = this.#worker?.tasks.find(({ task }) => task === name)?.phase === 'following'
      if (follows) return
      this.#restoring.set(labels, remaining)
      if (beforeMs !== undefined) this.#restoreRate.set(labels, records / Math.max(0.001, (nowMs - beforeMs) / 1000))
    },
    wiped: (name) => this.#wiped.inc(labelsOf(name)),
    moved: (name, phase) => {
      const labels = labelsOf(name)
      if (phase === 'restoring') this.#pages.set(name, performance.now())
      if (phase === 'running') this.#restoring.set(labels, 0)
      if (phase === 'closed')
        for (const gauge of [this.#restoring, this.#restoreRate, this.#overlay]) gauge.remove(labels)
    },
  }

  /** Tasks are asked how far they are whenever somebody looks, and so is `profiles`, who keeps Redis up, if anybody does. */
  follow(worker: Worker, { topology, log, profiles }: Followed): void {
    this.#worker = worker
    this.#lagGauge(worker, topology, log)
    this.#standbyLagGauge(worker)
    this.#heldGauge(worker)
    if (profiles) this.#redisGauge(profiles)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #lagGauge(worker: Worker, topology: Topology, log: Log): void {
    const gauge: Gauge<string> = new Gauge({
      name: 'millrace_consumer_lag_records',
      help: 'Records of the inbox that a running task has not processed yet.',
      labelNames: task,
      registers: [this.#registry],
      async collect() {
        gauge.reset()
        await Promise.all(
          worker.tasks.map(async ({ task: name, running: task }) => {
            if (!task) return
            const { stage, partition } = labelsOf(name)
            // An outage of the log shows in other figures; a page of metrics must not fail for it.
            const ends = await log.ends(stageOf(topology, stage).inbox.name, Number(partition)).catch(() => undefined)
            if (ends) gauge.set({ stage, partition }, Math.max(0, ends.stable - task.inputOffset))
          }),
        )
      },
    })
  }

  /** One that stays held while nobody loads a history waits for a load that was killed: it is to be begun again. */
  #heldGauge(worker: Worker): void {
    const gauge: Gauge<string> = new Gauge({
      name: 'millrace_task_held',
      help: '1 while a running task takes turns, as a history is being loaded.',
      labelNames: task,
      registers: [this.#registry],
      collect() {
        gauge.reset()
        for (const { task: name, running } of worker.tasks) if (running) gauge.set(labelsOf(name), running.held ? 1 : 0)
      },
    })
  }

  /** Asked of the store and the changelog, not of whoever follows: one that does not is to be seen, too. */
  #standbyLagGauge(worker: Worker): void {
    const gauge: Gauge<string> = new Gauge({
      name: 'millrace_standby_lag_records',
      help: 'Offsets of the changelog that a copy of the state lacks.',
      labelNames: task,
      registers: [this.#registry],
      async collect() {
        gauge.reset()
        await Promise.all(
          worker.tasks.map(async ({ task: name, phase, held }) => {
            const copy = phase === 'following' ? await held().catch(() => undefined) : undefined
            if (copy) gauge.set(labelsOf(name), copy.lag)
          }),
        )
      },
    })
  }

  #redisGauge(profiles: ProfileWriter): void {
    const gauge: Gauge<string> = new Gauge({
      name: 'millrace_redis_behind_records',
      help: 'Records of the log that are not in Redis; absent while that is not known.',
      registers: [this.#registry],
      collect() {
        gauge.reset()
        const { behind } = profiles.status
        if (behind === null) gauge.remove()
        else gauge.set(behind)
      },
    })
  }

  #eventLoopGauge(): void {
    const delay = monitorEventLoopDelay({ resolution: 10 })
    delay.enable()
    const gauge: Gauge<string> = new Gauge({
      name: 'millrace_event_loop_lag_seconds',
      help: 'The longest that the event loop was late since it was last asked.',
      registers: [this.#registry],
      collect() {
        gauge.set(delay.max / 1e9)
        delay.reset()
      },
    })
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [this.#registry] })
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    return new Gauge({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [this.#registry] })
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({
      name: `millrace_${name}`,
      help,
      labelNames: [...labelNames],
      buckets,
      registers: [this.#registry],
    })
  }
}

function labelsOf(name: string): { readonly stage: string; readonly partition: string } {
  const slash = name.indexOf('/')
  return { stage: name.slice(0, slash), partition: name.slice(slash + 1) }
}
