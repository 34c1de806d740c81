/**
 * A task: one partition of a stage. It reads its inbox, owns its rows, and commits what it did together with how far
 * it came.
 *
 *   batch ─► resolve needs ─► run, record by record ─► commit outputs + changelog + checkpoint ─► apply to the store
 *
 * Nothing uncommitted reaches the store. A crash between commit and apply is repaired from the changelog's tail.
 */
import type { Tick } from '../schemas/avro/types.ts'
import type { Codec } from './codec.ts'
import { InvariantError, invariant, MillraceError } from './errors.ts'
import type { Log, TaskWriter } from './log.ts'
import { type DefinitionsHead, type Inbound, type Key, tenantOf, timerKind } from './operator.ts'
import { partitionOf } from './partitioner.ts'
import { historyWriter, logClock, Progress } from './progress.ts'
import { type AddressedRecord, controlKinds, type StoredRecord } from './record.ts'
import { checkpointWrites, Restore, type RestoreObserver, type TombstoneRetention } from './restore.ts'
import { emptyRow, encodeRow, type Row, reindexed, withTimer } from './row.ts'
import { type EncodedRow, Rows, rowKey } from './rows.ts'
import type { Stage } from './stage.ts'
import type { Store, StoreWrite } from './store.ts'
import { indexKey, TimerIndex } from './timer-index.ts'
import { changelogOf, deadOf, taskName } from './topology.ts'
import { type Emission, knownOf, type Prepared, prepare, Unit, type UnitClock } from './unit.ts'

export type TaskLimits = {
  readonly recordsMax: number
  readonly bytesMax: number
  /** Rows kept in memory, by their size in the store; decoded they take some five times that. */
  readonly cachedBytesMax: number
  /** Timers fired for one tick or sweep; the rest wait for a sweep record, behind the live records. */
  readonly timersPerSlice: number
  /** More dead letters within a minute of log time stop the task. */
  readonly deadPerMinuteMax: number
}

export const defaultLimits: TaskLimits = {
  recordsMax: 400,
  bytesMax: 4 << 20,
  cachedBytesMax: 64 << 10,
  timersPerSlice: 256,
  deadPerMinuteMax: 1000,
}

/** Where the task loop is: observed by metrics, and by a simulator that kills there. */
export type TaskPoint = 'fetched' | 'resolved' | 'processed' | 'committed' | 'applied'

export type TaskObserver = RestoreObserver & {
  at?(task: string, point: TaskPoint): void
  committed?(
    task: string,
    batch: {
      readonly records: number
      readonly outputs: readonly AddressedRecord[]
      readonly changelog: number
      readonly changelogBytes: number
    },
  ): void
}

/** Bodies of definitions, by the hash that markers name. DEFINITION_MISSING (retryable) when a body is not there yet. */
export type DefinitionSource = {
  resolve(tenant: string, hash: string): Promise<DefinitionsHead>
  /** Resolves when what definitions were found to lack, which ended a record in SCHEMA_MISSING, has been looked for. */
  fetched?(): Promise<void>
}

export type TaskParts = {
  readonly stage: Stage
  readonly partition: number
  readonly log: Log
  readonly store: Store
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly limits: TaskLimits
  readonly observer: TaskObserver
  readonly tombstones?: TombstoneRetention
}

class UnencodableBatch extends Error {}

type InboxRecord = {
  readonly record: StoredRecord
  readonly inbound: Inbound | undefined
  readonly prepared: Prepared | undefined
  /** What it asked for, when it was last asked; all of it has been read since. */
  needs: readonly Key[]
}

const checkpointKey = 'checkpoint'
const needRoundsMax = 16

export class Task {
  readonly name: string
  readonly #parts: TaskParts
  readonly #rows: Rows
  readonly #timers: TimerIndex
  readonly #definitions = new Map<string, DefinitionsHead>()
  readonly #writer: TaskWriter
  /** As of the last commit. */
  #committed: Progress
  /** As of the record being processed. */
  #progress: Progress
  /** Records of the batch for others, in order; the last of a key wins on compacted topics. */
  #outputs: AddressedRecord[] = []
  /** Timer index entries found out of date: they go with the next commit. */
  #staleEntries: string[] = []
  #compacted = new Map<string, { readonly emission: Emission; readonly timestampMs: number }>()
  /** Batches that run record by record, each row encoded in its own unit, after a batch could not be encoded. */
  #careful = 0
  #deadMinute = { minute: 0, dead: 0 }
  /** How far it has looked for its next turn, and where the last one stands that it found. */
  #looked = { toOffset: 0, turnOffset: -1 }

  private constructor(parts: TaskParts, writer: TaskWriter, progress: Progress) {
    this.#parts = parts
    this.name = taskName(parts.stage.name, parts.partition)
    this.#rows = new Rows(parts.store, parts.stage.stateful, parts.codec, parts.limits.cachedBytesMax)
    this.#timers = new TimerIndex(parts.store)
    this.#writer = writer
    this.#committed = progress
    this.#progress = progress.clone()
  }

  /**
   * Fences the former owner, brings the store up to the changelog, and continues from the checkpoint. When the signal
   * aborts meanwhile it throws the reason, and the store can be used again.
   */
  static async start(parts: TaskParts, signal: AbortSignal = new AbortController().signal): Promise<Task> {
    const writer = await parts.log.writer(taskName(parts.stage.name, parts.partition))
    try {
      const restore = await Restore.open(parts)
      await restore.toStableEnd(signal)
      const { checkpoint } = restore
      const progress = checkpoint ? Progress.of(checkpoint) : new Progress()
      const task = new Task(parts, writer, progress)
      for (const [tenant, hash] of progress.definitions) {
        task.#definitions.set(tenant, await parts.definitions.resolve(tenant, hash))
      }
      return task
    } catch (error) {
      await writer.close().catch(() => undefined)
      throw error
    }
  }

  /** The next offset of the inbox to process; all before it is committed. */
  get inputOffset(): number {
    return this.#committed.inputOffset
  }

  /**
   * Whether the wall clock is to tick in the inbox of this source task: something has happened in this log, and no history
   * is being loaded, whose own time would be overtaken.
   */
  get ticksByWallClock(): boolean {
    return (this.#committed.clocks.get(logClock) ?? 0) > 0 && !this.#committed.history
  }

  /** Whether it takes turns, as a history is being loaded. */
  get held(): boolean {
    return this.#committed.held
  }

  /** Whether a sweep is under way. */
  get sweeping(): boolean {
    return this.#committed.sweeping
  }

  /** What comes at this offset may let it go on. */
  get awaitedOffset(): number {
    return this.held ? Math.max(this.inputOffset, this.#looked.toOffset) : this.inputOffset
  }

  /** Whether it may go on. While it is held it may up to a turn, and to the end of a sweep; it looks for one, a fetch at a time. */
  async isItsTurn(): Promise<boolean> {
    if (!this.held || this.sweeping || this.#looked.turnOffset >= this.inputOffset) return true
    const { log, stage, partition, limits } = this.#parts
    const range = { maxRecords: limits.recordsMax, maxBytes: limits.bytesMax }
    const { records, nextOffset } = await log.fetch(stage.inbox.name, partition, this.awaitedOffset, range)
    const turn = records.findLast(({ kind }) => kind === controlKinds.turn)
    this.#looked = { toOffset: nextOffset, turnOffset: turn?.offset ?? -1 }
    return turn !== undefined
  }

  /** What was counted, by name, in committed work. */
  get counters(): ReadonlyMap<string, number> {
    return this.#committed.counters
  }

  /** Processes one batch and commits it. Answers how many records it took; 0 when there is nothing to do. */
  async step(recordsMax: number = this.#parts.limits.recordsMax): Promise<number> {
    const { log, stage, partition, limits } = this.#parts
    const before = this.#committed
    const fetched = await log.fetch(stage.inbox.name, partition, before.inputOffset, {
      maxRecords: this.#careful > 0 ? 1 : recordsMax,
      maxBytes: limits.bytesMax,
    })
    if (fetched.records.length === 0 && fetched.nextOffset === before.inputOffset) return 0
    this.#at('fetched')
    const batch = wholeBatch(fetched.records, before.held)
    const nextOffset =
      batch.length < fetched.records.length ? fetched.records[batch.length]!.offset : fetched.nextOffset
    try {
      const records = batch.map((record) => this.#decode(record))
      await this.#resolve(records)
      this.#at('resolved')
      for (const record of records) {
        const waiting = this.#process(record)
        if (waiting) await waiting
      }
      this.#progress.inputOffset = nextOffset
      this.#at('processed')
      await this.#commit(records.length)
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'SCHEMA_MISSING') {
        // A value was written under a schema not seen before, by a newer version say, or an event names one that nobody has
        // asked a registry for: the batch is run again with it.
        this.#rewind()
        await this.#parts.codec.fetched()
        await this.#parts.definitions.fetched?.()
        return this.step(recordsMax)
      }
      if (!(error instanceof UnencodableBatch) || this.#careful > 0) throw error
      // Some row or compacted record cannot be written, being too large say: find the record that made it, and bury that one.
      this.#rewind()
      this.#careful = batch.length
      return this.step(recordsMax)
    }
    if (this.#careful > 0) this.#careful--
    return batch.length
  }

  /** Gives up the writer; the store stays open, for whoever takes the task up from it. The task is not used again. */
  release(): Promise<void> {
    return this.#writer.close()
  }

  /** Gives up the writer and the store. The task is not used again. */
  async close(): Promise<void> {
    await this.release()
    await this.#parts.store.close()
  }

  // --- resolve ---

  #decode(record: StoredRecord): InboxRecord {
    if (isControl(record.kind)) return { record, inbound: undefined, prepared: undefined, needs: [] }
    const { stage, codec } = this.#parts
    const schema = stage.inbox.kinds[record.kind]
    try {
      invariant(schema, `the topic ${stage.inbox.name} has no records of kind ${record.kind}`)
      invariant(record.value, `a record of kind ${record.kind} has a value`)
      const inbound: Inbound = { kind: record.kind, key: record.key, value: codec.decode(schema, record.value) }
      const clock = this.#unitClock(record.offset, 0, record.timestampMs)
      const prepared = prepare(stage, inbound, clock, this.#definitions.get(tenantOf(record.key)))
      return { record, inbound, prepared, needs: [] }
    } catch (error) {
      return {
        record,
        inbound: { kind: record.kind, key: record.key, value: undefined },
        prepared: { error },
        needs: [],
      }
    }
  }

  /** Reads what the batch will need, in rounds: each round asks every record again, knowing what has been read. */
  async #resolve(records: readonly InboxRecord[]): Promise<void> {
    let asking = records
    for (let round = 0; asking.length > 0; round++) {
      invariant(round < needRoundsMax, `needs settle within ${needRoundsMax} rounds`)
      const wanted = new Set<Key>()
      asking = asking.filter((record) => {
        let missing = false
        record.needs = this.#needs(record)
        for (const key of record.needs) {
          if (this.#rows.get(key) !== undefined) continue
          wanted.add(key)
          missing = true
        }
        return missing
      })
      if (wanted.size > 0) await this.#rows.load([...wanted])
    }
  }

  #needs({ inbound, prepared }: InboxRecord): readonly Key[] {
    if (!inbound) return []
    if (!prepared || 'error' in prepared) return [inbound.key]
    const { stage, codec } = this.#parts
    const operator = stage.operators[stage.firstStateful]!
    const needs: Key[] = [inbound.key]
    if (!operator.needs) return needs
    const known = knownOf(stage, this.#rows, codec)
    const definitions = this.#definitions.get(tenantOf(inbound.key))
    for (const effect of prepared.effects) {
      if (effect.effect !== 'pass') continue
      needs.push(...operator.needs({ kind: effect.kind, key: effect.key, value: effect.value }, known, definitions))
    }
    return needs
  }

  // --- run ---

  /** Answers a promise only if there is something to wait for, which there seldom is. */
  #process(inbox: InboxRecord): Promise<void> | undefined {
    if (!inbox.inbound) return this.#processControl(inbox.record)
    // What records before this one have changed may change what it needs.
    if (inbox.needs.some((key) => this.#rows.isChanged(key))) {
      if (this.#needs(inbox).some((key) => this.#rows.get(key) === undefined)) {
        return this.#resolve([inbox]).then(() => this.#processEvent(inbox))
      }
    }
    this.#processEvent(inbox)
    return undefined
  }

  #processEvent({ record, prepared }: InboxRecord): void {
    invariant(prepared, 'a record for the operators was prepared')
    if (this.#parts.stage.inbox.source) this.#progress.advance(logClock, record.timestampMs)
    this.#fireDueTimers(record.key, this.#clockOf(record.key, record.timestampMs), record.offset)
    const clockMs = this.#clockOf(record.key, record.timestampMs)
    const clock = this.#unitClock(record.offset, clockMs, record.timestampMs)
    try {
      if ('error' in prepared) throw prepared.error
      const unit = this.#unit(clock, tenantOf(record.key))
      unit.perform(prepared.effects, this.#parts.stage.firstStateful - 1)
      this.#keep(unit, clock)
    } catch (cause) {
      this.#bury(record, cause, null)
    }
  }

  async #processControl(record: StoredRecord): Promise<void> {
    try {
      await this.#control(record)
    } catch (cause) {
      if (cause instanceof MillraceError && (cause.retryable || cause.code === 'TOO_MANY_DEAD')) throw cause
      const place = { task: this.name, offset: record.offset }
      const what = `${this.name}: the ${record.kind} at offset ${record.offset} failed: ${String(cause)}`
      throw new MillraceError('CONTROL_FAILED', what, { cause, place })
    }
  }

  async #control(record: StoredRecord): Promise<void> {
    const { stage, codec, definitions } = this.#parts
    invariant(record.value, 'a control record has a value')
    if (record.kind === controlKinds.tick) {
      const tick = codec.decode('Tick', record.value)
      const before = this.#watermark()
      if (stage.inbox.source) {
        this.#progress.advance(logClock, record.timestampMs)
        this.#progress.history = tick.writer === historyWriter
      } else this.#progress.advance(tick.writer, tick.clockMs)
      if (stage.inbox.source || this.#watermark() > before) this.#passTick()
      await this.#sweep(record.offset)
    } else if (record.kind === controlKinds.sweep) {
      this.#progress.sweeping = false
      await this.#sweep(record.offset)
    } else if (record.kind === controlKinds.generation) {
      this.#progress.generation = codec.decode('Generation', record.value).number
    } else if (record.kind === controlKinds.turn) {
      this.#progress.held = !codec.decode('Turn', record.value).last
    } else {
      const marker = codec.decode('Marker', record.value)
      this.#definitions.set(marker.tenant, await definitions.resolve(marker.tenant, marker.hash))
      this.#progress.definitions.set(marker.tenant, marker.hash)
    }
  }

  /** After everything this task has emitted so far: nothing earlier will follow. */
  #passTick(): void {
    const clockMs = this.#watermark()
    const tick: Tick = { writer: this.name, clockMs }
    const value = this.#parts.codec.encode('Tick', tick)
    for (const { name: topic, partitions } of this.#parts.stage.downstream) {
      for (let partition = 0; partition < partitions; partition++) {
        this.#outputs.push({ topic, partition, kind: controlKinds.tick, key: this.name, value, timestampMs: clockMs })
      }
    }
  }

  // --- timers ---

  /** Fires timers that the watermark has passed, one slice; what is left waits for a sweep record behind the live ones. */
  async #sweep(offset: number): Promise<void> {
    const watermarkMs = this.#watermark()
    await this.#prefetchDue(watermarkMs)
    let entry = await this.#timers.take(watermarkMs)
    for (let fired = 0; entry; entry = await this.#timers.take(watermarkMs)) {
      await this.#rows.load([entry.key])
      const row = this.#rows.get(entry.key)
      if (!row || row.indexedAtMs !== entry.atMs) {
        this.#staleEntries.push(indexKey(entry.atMs, entry.key)) // of an earlier version of the row
        continue
      }
      if (fired++ === this.#parts.limits.timersPerSlice) {
        this.#timers.untake(entry)
        this.#requestSweep(watermarkMs)
        return
      }
      this.#fireDueTimers(entry.key, watermarkMs, offset)
      this.#reindex(entry.key)
    }
  }

  /** Reads the rows of the slice in one round. */
  async #prefetchDue(watermarkMs: number): Promise<void> {
    const entries = []
    while (entries.length < this.#parts.limits.timersPerSlice) {
      const entry = await this.#timers.take(watermarkMs)
      if (!entry) break
      entries.push(entry)
    }
    for (const entry of entries) this.#timers.untake(entry)
    if (entries.length > 1) await this.#rows.load(entries.map(({ key }) => key))
  }

  #requestSweep(clockMs: number): void {
    if (this.#progress.sweeping) return
    this.#progress.sweeping = true
    const { stage, partition, codec } = this.#parts
    const value = codec.encode('Sweep', { clockMs })
    this.#outputs.push({
      topic: stage.inbox.name,
      partition,
      kind: controlKinds.sweep,
      key: this.name,
      value,
      timestampMs: clockMs,
    })
  }

  /** Fires the key's timers due by `untilMs`, each with its deadline as the clock. */
  #fireDueTimers(key: Key, untilMs: number, offset: number): void {
    for (let timer = this.#firstTimer(key); timer && timer.atMs <= untilMs; timer = this.#firstTimer(key)) {
      const clockMs = Math.max(timer.atMs, this.#rows.get(key)?.clockMs ?? 0)
      const clock = this.#unitClock(offset, clockMs, timer.atMs)
      const unit = this.#unit(clock, tenantOf(key))
      try {
        unit.consumeTimer(key, timer.id)
        unit.run({ kind: timerKind, key, value: timer }, this.#parts.stage.firstStateful)
        this.#keep(unit, clock)
      } catch (cause) {
        this.#buryTimer(key, timer, offset, cause)
      }
    }
  }

  #firstTimer(key: Key): Row['timers'][number] | undefined {
    return this.#rows.get(key)?.timers[0]
  }

  /** The entry of the key has come up: lists the key under its first timer, if it has one. */
  #reindex(key: Key): void {
    const row = this.#rows.get(key)
    if (!row) return
    const listed = reindexed(row)
    this.#rows.set(key, listed)
    if (listed.indexedAtMs !== null) this.#timers.add(listed.indexedAtMs, key)
  }

  // --- effects ---

  #unitClock(offset: number, clockMs: number, logTimeMs: number): UnitClock {
    return { clockMs, logTimeMs, offset, partition: this.#parts.partition, generation: this.#progress.generation }
  }

  #unit(clock: UnitClock, tenant: string): Unit {
    const { stage, codec } = this.#parts
    return new Unit(stage, this.#rows, codec, clock, this.#definitions.get(tenant))
  }

  /** Takes over the effects of a unit that ended well. Throws before it has taken anything. */
  #keep(unit: Unit, clock: UnitClock): void {
    const outputs: AddressedRecord[] = []
    const compacted: Emission[] = []
    for (const emission of unit.emissions) {
      const topic = this.#parts.stage.topics.get(emission.topic)!
      if (topic.cleanup === 'compact' && this.#careful === 0) compacted.push(emission)
      else outputs.push(this.#encode(emission, clock.logTimeMs))
    }
    if (this.#careful > 0)
      for (const row of unit.rows.values()) encodeRow(row, this.#parts.stage.stateful, this.#parts.codec)

    for (const [key, row] of unit.rows) {
      const before = this.#rows.get(key)
      if (row === before || (row === emptyRow && !before)) continue
      this.#rows.set(key, { ...row, clockMs: clock.clockMs })
      if (row.indexedAtMs !== null && row.indexedAtMs !== before?.indexedAtMs) this.#timers.add(row.indexedAtMs, key)
    }
    for (const output of outputs) this.#outputs.push(output)
    for (const emission of compacted) {
      this.#compacted.set(`${emission.topic}|${emission.key}`, { emission, timestampMs: clock.logTimeMs })
    }
    for (const { name, by } of unit.counts) this.#progress.count(name, by)
  }

  #encode(emission: Emission, timestampMs: number): AddressedRecord {
    const { topic, kind, key } = emission
    const value = emission.effect === 'emitLatest' ? emission.value() : emission.value
    const { partitions, kinds } = this.#parts.stage.topics.get(topic)!
    const schema = kinds[kind]
    invariant(schema, `the topic ${topic} has no records of kind ${kind}`)
    const encoded = value === null ? null : this.#parts.codec.encode(schema, value as never)
    return { topic, partition: partitionOf(key, partitions), kind, key, value: encoded, timestampMs }
  }

  // --- dead letters ---

  /** Rethrows a cause that lies elsewhere than in the record. */
  #bury(record: StoredRecord, cause: unknown, timer: { id: string; atMs: number; row: Buffer } | null): void {
    if (isOfTheTask(cause)) throw cause
    const { stage, partition, codec } = this.#parts
    const { code, message } = causeOf(cause)
    const letter = {
      stage: stage.name,
      topic: stage.inbox.name,
      partition,
      offset: record.offset,
      kind: record.kind,
      logTimeMs: record.timestampMs,
      key: record.key,
      value: record.value,
      timer,
      code,
      message: message.slice(0, 4096),
    }
    const value = codec.encode('DeadLetter', letter)
    this.#outputs.push({
      topic: deadOf(stage.name),
      partition,
      kind: 'dead',
      key: record.key,
      value,
      timestampMs: record.timestampMs,
    })
    this.#progress.count(timer ? 'dead.timers' : 'dead', 1)
    this.#countDead(record.timestampMs)
  }

  #buryTimer(key: Key, timer: { id: string; atMs: number }, offset: number, cause: unknown): void {
    const { stage, codec } = this.#parts
    const row = this.#rows.get(key)
    invariant(row, 'a timer belongs to a row')
    const bytes = encodeRow(row, stage.stateful, codec)
    this.#rows.set(key, withTimer(row, timer.id, null))
    const record = { offset, kind: timerKind, key, value: null, timestampMs: timer.atMs }
    // A row near the bound does not fit into a letter beside the rest; then its key must do.
    this.#bury(record, cause, { ...timer, row: bytes.length > 200 * 1024 ? Buffer.alloc(0) : bytes })
  }

  #countDead(logTimeMs: number): void {
    const minute = Math.floor(logTimeMs / 60_000)
    if (minute !== this.#deadMinute.minute) this.#deadMinute = { minute, dead: 0 }
    if (++this.#deadMinute.dead <= this.#parts.limits.deadPerMinuteMax) return
    throw new MillraceError(
      'TOO_MANY_DEAD',
      `${this.name} stops: more than ${this.#parts.limits.deadPerMinuteMax} records failed within a minute; see ${deadOf(this.#parts.stage.name)}`,
      { place: { task: this.name } },
    )
  }

  // --- clocks ---

  #watermark(): number {
    const { stage } = this.#parts
    return stage.inbox.source
      ? (this.#progress.clocks.get(logClock) ?? 0)
      : this.#progress.watermarkMs(stage.upstreamTasks)
  }

  /** A key's clock: an event takes effect at its own log time even while the watermark is behind it, and never goes back. */
  #clockOf(key: Key, logTimeMs: number): number {
    return Math.max(this.#watermark(), logTimeMs, this.#rows.get(key)?.clockMs ?? 0)
  }

  // --- commit ---

  async #commit(records: number): Promise<void> {
    const { store, observer } = this.#parts
    const { changes, checkpoint, changelog } = this.#encodeBatch()
    const outputs = this.#outputs
    const offsets = await this.#writer.commit({ outputs: outputs.concat(changelog) })
    this.#committed = this.#progress.clone()
    this.#at('committed')
    const changelogBytes = changelog.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    observer.committed?.(this.name, { records, outputs, changelog: changelog.length, changelogBytes })

    const stale = this.#staleEntries.map((key): StoreWrite => ({ key, value: null }))
    await store.write([
      ...stale,
      ...changes.flatMap(writesOf),
      ...checkpointWrites(checkpoint, offsets[offsets.length - 1]! + 1),
    ])
    this.#rows.applied(changes)
    this.#timers.applied()
    this.#forgetBatch()
    this.#at('applied')
  }

  /** Everything the commit writes, encoded before it begins. UnencodableBatch when something cannot be. */
  #encodeBatch(): { changes: EncodedRow[]; checkpoint: Buffer; changelog: AddressedRecord[] } {
    const { stage, partition, codec } = this.#parts
    const topic = changelogOf(stage.name)
    try {
      for (const { emission, timestampMs } of this.#compacted.values())
        this.#outputs.push(this.#encode(emission, timestampMs))
      const changes = this.#rows.encodeChanges()
      this.#progress.commits++
      this.#progress.emitted += this.#outputs.length
      const checkpoint = codec.encode('Checkpoint', this.#progress.checkpoint())
      const timestampMs = this.#watermark()
      const changelog = changes.map(
        ({ key, bytes }): AddressedRecord => ({ topic, partition, kind: 'row', key, value: bytes, timestampMs }),
      )
      changelog.push({ topic, partition, kind: 'checkpoint', key: checkpointKey, value: checkpoint, timestampMs })
      return { changes, checkpoint, changelog }
    } catch (cause) {
      throw new UnencodableBatch(`${this.name}: a batch cannot be encoded: ${String(cause)}`, { cause })
    }
  }

  #rewind(): void {
    this.#progress = this.#committed.clone()
    this.#rows.discardChanges()
    this.#timers.reset()
    this.#forgetBatch()
  }

  #forgetBatch(): void {
    this.#outputs = []
    this.#compacted.clear()
    this.#staleEntries = []
  }

  #at(point: TaskPoint): void {
    this.#parts.observer.at?.(this.name, point)
  }
}

function writesOf({ key, bytes, indexedAtMs, storedIndexMs }: EncodedRow): StoreWrite[] {
  const writes: StoreWrite[] = [{ key: rowKey(key), value: bytes }]
  if (storedIndexMs === indexedAtMs) return writes
  if (storedIndexMs !== null) writes.push({ key: indexKey(storedIndexMs, key), value: null })
  if (indexedAtMs !== null) writes.push({ key: indexKey(indexedAtMs, key), value: Buffer.alloc(0) })
  return writes
}

// --- helpers ---

/**
 * Definitions change at a marker, and with a generation what is written: each is a batch of its own. Beyond a turn, and what
 * it sweeps in its turn, a task may have to wait.
 */
function wholeBatch(records: readonly StoredRecord[], held: boolean): readonly StoredRecord[] {
  const first = records[0]
  if (first && marks(first)) return [first]
  for (const [i, record] of records.entries()) {
    if (marks(record)) return records.slice(0, i)
    const { kind } = record
    if (kind === controlKinds.turn || (held && kind === controlKinds.sweep)) return records.slice(0, i + 1)
  }
  return records
}

const marks = ({ kind }: StoredRecord): boolean => kind === controlKinds.marker || kind === controlKinds.generation

const isControl = (kind: string): boolean => Object.hasOwn(controlKinds, kind)

/** Whether a record is as good as before: it waits for what is not there yet, or for a version that can read it. */
function isOfTheTask(cause: unknown): boolean {
  return cause instanceof MillraceError && (cause.retryable || cause.code === 'SCHEMA_INCOMPATIBLE')
}

function causeOf(cause: unknown): { code: string; message: string } {
  if (cause instanceof MillraceError) return { code: cause.code, message: cause.message }
  if (cause instanceof InvariantError) return { code: 'INVARIANT', message: cause.message }
  return { code: 'EXCEPTION', message: cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause) }
}
