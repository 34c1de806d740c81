/**
 * Runs one connector over partitions of its topic: batches, retries, circuit breaker, bisection, dead letters, position.
 *
 * At least once: the position is written after the destination has the batch. Nothing is dropped because a destination
 * is down or will not have us; the partition waits. Only a row that the destination refuses for good leaves the line,
 * to the topic `connect.<destination>.dead`, in the commit that moves the position past it. That is the commit of the
 * partition's one writer: who is no longer the one to deliver it cannot set the position back.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Backoff, backoffMs } from '../runtime/backoff.ts'
import type { Codec } from '../runtime/codec.ts'
import { InvariantError, invariant, MillraceError } from '../runtime/errors.ts'
import type { Log, TaskWriter, TopicSpec } from '../runtime/log.ts'
import type { AddressedRecord, StoredRecord } from '../runtime/record.ts'
import { deadOf, taskName } from '../runtime/topology.ts'
import type { ConnectorPosition } from '../schemas/avro/types.ts'
import { Breaker, type BreakerLimits, type BreakerState } from './breaker.ts'
import { type Connector, type Delivery, DeliveryError } from './connector.ts'
import { positionRecord, positionsTopic, readPositions } from './positions.ts'

export type ConnectorRunnerParts = {
  readonly log: Log
  readonly codec: Codec
  readonly connector: Connector
  /** `connect.<destination>` */
  readonly topic: TopicSpec
  /** Fails when this process has lost its place, and somebody else may be delivering. By itself it has all to itself. */
  readonly prove?: () => Promise<void>
  readonly clock?: Clock
  /** From 0, below 1. */
  readonly random?: () => number
  readonly limits?: Partial<ConnectorLimits>
  readonly observer?: ConnectorObserver
}

export type Clock = {
  now(): number
  /** Resolves after so long, or as soon as the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export type ConnectorLimits = Backoff &
  BreakerLimits & {
    readonly batchBytesMax: number
    readonly refusedInARowMax: number
    /** Whoever has not proved its place for so long does it before it delivers on: it may have been stopped. */
    readonly provenMs: number
  }

const usualLimits: ConnectorLimits = {
  baseMs: 200,
  capMs: 60_000,
  failuresMax: 8,
  coolMs: 30_000,
  batchBytesMax: 1024 * 1024,
  /** So many rows refused, and none taken between them: it is not the rows. Looked at after each batch. */
  refusedInARowMax: 100,
  provenMs: 3000,
}

export type ConnectorObserver = {
  /** The destination has the batch, and the position says so. */
  delivered?(batch: readonly Delivery[], nowMs: number): void
  retrying?(error: DeliveryError, waitMs: number): void
  refused?(delivery: Delivery, error: DeliveryError): void
  disabled?(error: MillraceError): void
}

export type ConnectorStatus = {
  readonly state: 'idle' | 'running' | 'disabled'
  readonly breaker: BreakerState
  /** Why it is disabled, or what went wrong last while the breaker is not closed. */
  readonly reason: string | null
  /** Over all runs, each record counted once; of partitions that others deliver, as of when they were last here. */
  readonly delivered: number
  readonly dead: number
  /** Since this runner was started. */
  readonly retries: number
}

/** A partition that is being delivered. */
type Seat = { readonly partition: number; readonly stop: AbortController; ended: Promise<void> }

/** What delivers it, until something goes wrong with it. */
type Line = { readonly partition: number; readonly writer: TaskWriter; position: ConnectorPosition }

const wallClock: Clock = {
  now: Date.now,
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
}

const noPosition: ConnectorPosition = { offset: 0, delivered: 0, dead: 0 }

/** Thrown within, when a signal aborted the work on a batch. */
class Stopped extends Error {}

export class ConnectorRunner {
  readonly #log: Log
  readonly #codec: Codec
  readonly #connector: Connector
  readonly #topic: TopicSpec
  readonly #prove: () => Promise<void>
  readonly #clock: Clock
  readonly #random: () => number
  readonly #limits: ConnectorLimits
  readonly #observer: ConnectorObserver
  readonly #breaker: Breaker
  readonly #positions: Map<number, ConnectorPosition>
  readonly #seats = new Map<number, Seat>()
  #wanted: ReadonlySet<number> = new Set()
  #provenMs = Number.NEGATIVE_INFINITY
  #disabled: MillraceError | undefined
  #lastFailure: string | null = null
  #refusedInARow = 0
  #retries = 0

  private constructor(parts: ConnectorRunnerParts, positions: Map<number, ConnectorPosition>) {
    this.#log = parts.log
    this.#codec = parts.codec
    this.#connector = parts.connector
    this.#topic = parts.topic
    this.#prove = parts.prove ?? (async () => {})
    this.#clock = parts.clock ?? wallClock
    this.#random = parts.random ?? Math.random
    this.#limits = { ...usualLimits, ...parts.limits }
    this.#observer = parts.observer ?? {}
    this.#breaker = new Breaker(this.#limits)
    this.#positions = positions
  }

  /** Creates the topics it writes, and looks how far it is. */
  static async start(parts: ConnectorRunnerParts): Promise<ConnectorRunner> {
    const { log, codec, connector, topic } = parts
    await log.createTopics([positionsTopic, deadTopicOf(topic)])
    return new ConnectorRunner(parts, await readPositions(log, codec, connector.id))
  }

  get status(): ConnectorStatus {
    const sum = (name: 'delivered' | 'dead') =>
      [...this.#positions.values()].reduce((total, position) => total + position[name], 0)
    return {
      state: this.#disabled ? 'disabled' : this.#seats.size > 0 ? 'running' : 'idle',
      breaker: this.#breaker.state,
      reason: this.#disabled?.message ?? (this.#breaker.state === 'closed' ? null : this.#lastFailure),
      delivered: sum('delivered'),
      dead: sum('dead'),
      retries: this.#retries,
    }
  }

  /** Those that are being delivered, or are just being let go of. */
  get partitions(): readonly number[] {
    return [...this.#seats.keys()]
  }

  /** How far a partition is, as far as is known here. */
  positionOf(partition: number): number | undefined {
    return this.#positions.get(partition)?.offset
  }

  /** Begins to deliver what is there and what arrives, partitions side by side. */
  run(): void {
    invariant(this.#seats.size === 0, 'a connector runs once at a time')
    void this.assign(this.#all)
  }

  /**
   * Delivers these partitions from now on, and no others. Resolves once it has let go of the others: a call to the
   * destination that is under way is waited for, a wait between attempts is not.
   */
  async assign(partitions: readonly number[]): Promise<void> {
    this.#wanted = new Set(partitions)
    const leaving = [...this.#seats.values()].filter(({ partition }) => !this.#wanted.has(partition))
    for (const { stop } of leaving) stop.abort()
    for (const partition of partitions) if (!this.#seats.has(partition)) this.#take(partition)
    await Promise.all(leaving.map(({ ended }) => ended))
  }

  /** Ends `run`. */
  stop(): Promise<void> {
    return this.assign([])
  }

  /**
   * Delivers all there is, partition after partition, while it is not running. Answers whether that was all: false when
   * the signal aborted first, as it may while the destination is down. DELIVERY_FAILED when the connector has stopped.
   */
  async drain(signal: AbortSignal = new AbortController().signal): Promise<boolean> {
    invariant(this.#seats.size === 0, 'a connector is drained when it does not run')
    try {
      for (const partition of this.#all) {
        const line = await this.#open(partition)
        for (;;) {
          const { stable } = await this.#log.ends(this.#topic.name, partition)
          if (line.position.offset >= stable) break
          await this.#step(line, signal)
        }
        await line.writer.close()
      }
      return true
    } catch (error) {
      if (!(error instanceof Stopped)) throw error
      if (this.#disabled) throw this.#disabled
      return false
    }
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#connector.close()
  }

  get #all(): readonly number[] {
    return Array.from({ length: this.#topic.partitions }, (_, partition) => partition)
  }

  #take(partition: number): void {
    const stop = new AbortController()
    const ended = this.#work(partition, stop.signal).then(async () => {
      await this.#connector.release?.(partition)
      this.#seats.delete(partition)
      // It was taken away, and given back while the last call was under way.
      if (this.#wanted.has(partition) && !this.#disabled) this.#take(partition)
    })
    this.#seats.set(partition, { partition, stop, ended })
  }

  async #work(partition: number, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const line = await this.#open(partition)
        while (!signal.aborted) {
          await this.#log.arrival(this.#topic.name, partition, line.position.offset, signal)
          if (!signal.aborted) await this.#step(line, signal)
          failures = 0
        }
        await line.writer.close()
      } catch (error) {
        if (error instanceof Stopped) return
        // Fenced, it has to prove its place before it opens a writer again.
        this.#provenMs = Number.NEGATIVE_INFINITY
        if (error instanceof MillraceError && (error.retryable || error.code === 'FENCED')) {
          await this.#clock.sleep(backoffMs(failures++, this.#limits, null, this.#random), signal)
        } else this.#disable(error)
      }
    }
  }

  /** Takes a partition up where it was left: whoever had it cannot move its position any more. */
  async #open(partition: number): Promise<Line> {
    await this.#proven()
    const writer = await this.#log.writer(taskName(this.#topic.name, partition))
    const { start } = await this.#log.ends(this.#topic.name, partition)
    const positions = await readPositions(this.#log, this.#codec, this.#connector.id)
    const position = positions.get(partition) ?? { ...noPosition, offset: start }
    this.#positions.set(partition, position)
    return { partition, writer, position }
  }

  async #proven(): Promise<void> {
    if (this.#clock.now() - this.#provenMs < this.#limits.provenMs) return
    await this.#prove()
    this.#provenMs = this.#clock.now()
  }

  /** One batch of a partition: read, deliver, write dead letters and position. */
  async #step(line: Line, signal: AbortSignal): Promise<void> {
    if (this.#disabled) throw new Stopped()
    const { partition, position } = line
    const limits = { maxRecords: this.#connector.batchMax, maxBytes: this.#limits.batchBytesMax }
    const { records, nextOffset } = await this.#log.fetch(this.#topic.name, partition, position.offset, limits)
    const batch: Delivery[] = []
    for (const { kind, value, offset } of records) {
      if (kind !== 'activation' || value === null) continue
      batch.push({ partition, offset, activation: this.#codec.decode('Activation', value) })
    }
    const refused = new Map<number, DeliveryError>()
    await this.#bring(batch, refused, signal)

    const after: ConnectorPosition = {
      offset: nextOffset,
      delivered: position.delivered + batch.length - refused.size,
      dead: position.dead + refused.size,
    }
    if (batch.length > 0) {
      const letters = records.flatMap((record) => {
        const error = refused.get(record.offset)
        return error ? [this.#deadLetter(partition, record, error)] : []
      })
      await line.writer.commit({
        outputs: [...letters, positionRecord(this.#codec, this.#connector.id, partition, after)],
      })
    }
    line.position = after
    this.#positions.set(partition, after)
    this.#report(batch, refused)
  }

  /** Resolves when each row was taken, or refused for good. Throws Stopped. */
  async #bring(batch: readonly Delivery[], refused: Map<number, DeliveryError>, signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    for (let attempt = 0; ; attempt++) {
      await this.#admitted(signal)
      const error = await this.#attempt(batch)
      if (!error) return
      switch (error.failure) {
        case 'permanent': {
          if (batch.length === 1) {
            refused.set(batch[0]!.offset, error)
            return
          }
          const middle = batch.length >> 1
          await this.#bring(batch.slice(0, middle), refused, signal)
          await this.#bring(batch.slice(middle), refused, signal)
          return
        }
        case 'partial':
          for (const place of error.refused) refused.set(batch[place]!.offset, error)
          return
        case 'gone':
          this.#disable(error)
          throw new Stopped()
        case 'auth':
          this.#breaker.trip(this.#clock.now())
          break
        case 'throttle':
        case 'transient':
          if (error.retryAfterMs === null) this.#breaker.failed(this.#clock.now())
          else this.#breaker.trip(this.#clock.now(), error.retryAfterMs) // it asked all of us, not this partition alone
          break
      }
      this.#retries++
      this.#lastFailure = error.message
      const waitMs = backoffMs(attempt, this.#limits, error.retryAfterMs, this.#random)
      this.#observer.retrying?.(error, waitMs)
      await this.#clock.sleep(waitMs, signal)
    }
  }

  async #admitted(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted || this.#disabled) throw new Stopped()
      await this.#proven()
      const waitMs = this.#breaker.admit(this.#clock.now())
      if (waitMs === 0) return
      await this.#clock.sleep(waitMs, signal)
    }
  }

  async #attempt(batch: readonly Delivery[]): Promise<DeliveryError | null> {
    try {
      await this.#connector.deliver(batch)
    } catch (error) {
      const failure = failureOf(error)
      // it answered, and told good rows from bad: the destination itself is well
      if (failure.failure === 'partial' || failure.failure === 'permanent') this.#breaker.succeeded()
      return failure
    }
    this.#breaker.succeeded()
    return null
  }

  #report(batch: readonly Delivery[], refused: ReadonlyMap<number, DeliveryError>): void {
    for (const delivery of batch) {
      const error = refused.get(delivery.offset)
      if (error) this.#observer.refused?.(delivery, error)
    }
    const taken = refused.size === 0 ? batch : batch.filter(({ offset }) => !refused.has(offset))
    if (taken.length > 0) this.#observer.delivered?.(taken, this.#clock.now())
    this.#refusedInARow = taken.length > 0 ? 0 : this.#refusedInARow + refused.size
    if (this.#refusedInARow < this.#limits.refusedInARowMax) return
    this.#disable(new Error(`it refused ${this.#refusedInARow} rows in a row`))
  }

  /** Ends all work of this runner; only a new one, which a person starts, tries again. */
  #disable(cause: unknown): void {
    if (this.#disabled) return
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#disabled = new MillraceError('DELIVERY_FAILED', `connector ${this.#connector.id} has stopped: ${message}`, {
      cause,
      place: { topic: this.#topic.name },
    })
    void this.assign([])
    this.#observer.disabled?.(this.#disabled)
  }

  #deadLetter(
    partition: number,
    { offset, kind, key, value, timestampMs }: StoredRecord,
    error: DeliveryError,
  ): AddressedRecord {
    const letter = {
      stage: this.#connector.id,
      topic: this.#topic.name,
      partition,
      offset,
      kind,
      logTimeMs: timestampMs,
      key,
      value,
      timer: null,
      code: 'DELIVERY_FAILED',
      message: error.message,
    }
    return {
      topic: deadOf(this.#topic.name),
      partition,
      kind: 'dead',
      key,
      value: this.#codec.encode('DeadLetter', letter),
      timestampMs,
    }
  }
}

export function deadTopicOf({ name, partitions, retentionMs }: TopicSpec): TopicSpec {
  return { name: deadOf(name), partitions, cleanup: 'delete', retentionMs }
}

/** What a connector threw; whatever it did not foresee (a full disk, a lost name server) is worth another try, a bug is not. */
function failureOf(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error
  const final = error instanceof InvariantError || (error instanceof MillraceError && !error.retryable)
  const message = error instanceof Error ? error.message : String(error)
  return new DeliveryError(final ? 'gone' : 'transient', message, { cause: error })
}
