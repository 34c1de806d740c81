/** Reads all that a deployment has left behind, when it has been ended gracefully, and says what is not as it must be. */
import type { Codec } from '../../runtime/codec.ts'
import { controlKinds, type StoredRecord } from '../../runtime/record.ts'
import { type Stage, stageOf } from '../../runtime/stage.ts'
import type { DefinitionSource } from '../../runtime/task.ts'
import { indexKey } from '../../runtime/timer-index.ts'
import { allTopics, changelogOf, deadOf, type Topology, taskName } from '../../runtime/topology.ts'
import type { Checkpoint, IdentifiedEvent, MembershipTransition, RawEvent } from '../../schemas/avro/types.ts'
import type { Copy } from './copies.ts'
import { type ExpectedTask, expectedOf, Interleaving, LatestValues, lineOf, rowLine } from './expected.ts'
import type { Input, Posted } from './source.ts'

/** What a deployment has left behind. */
export type Remains = {
  /** All that is committed of a partition, in its order. */
  read(topic: string, partition: number): AsyncIterable<StoredRecord>
  stableEnd(topic: string, partition: number): Promise<number>
  copies(stage: string, partition: number): Promise<readonly Copy[]>
}

export type AuditParts = {
  readonly topology: Topology
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly remains: Remains
  readonly input: Input
  readonly posted: Posted
}

export type Audit = {
  /** Each says where the deployment and what is expected of it differ; empty when all is well. */
  readonly differences: readonly string[]
  /** Records read and compared, of topics and changelogs. */
  readonly records: number
  readonly rows: number
  /** Sums over all tasks, of what they have committed. */
  readonly counters: ReadonlyMap<string, number>
}

export async function audit(parts: AuditParts): Promise<Audit> {
  const reading = new Reading(parts)
  const { topology } = parts
  for (const { name } of topology.stages) {
    const stage = stageOf(topology, name)
    for (let partition = 0; partition < stage.inbox.partitions; partition++) await reading.task(stage, partition)
  }
  for (const { name } of topology.topics) await reading.topic(name)
  for (const { name } of topology.stages) await reading.topic(deadOf(name))
  reading.conservation()
  return reading
}

class Reading implements Audit {
  readonly differences: string[] = []
  readonly counters = new Map<string, number>()
  records = 0
  rows = 0
  readonly #parts: AuditParts
  readonly #expected: ExpectedTask[] = []
  readonly #raw: RawEvents
  readonly #identified = new Set<string>()
  readonly #transitions = new Map<string, number>()

  constructor(parts: AuditParts) {
    this.#parts = parts
    this.#raw = new RawEvents(parts.input, parts.posted)
  }

  /** The changelog of a task, the copies of its store, and the fold of its inbox. */
  async task(stage: Stage, partition: number): Promise<void> {
    const { definitions, codec } = this.#parts
    const task = taskName(stage.name, partition)
    const changelog = await this.#changelog(stage, partition)
    if (!changelog.checkpoint) return this.#differ(`${task} has no checkpoint`)
    const { inputOffset, counters } = changelog.checkpoint

    const unseenFrom = Math.min(...changelog.copies.map((copy) => this.#inputOffsetOf(copy)))
    const inbox: StoredRecord[] = []
    const unprocessed: number[] = []
    const unseen: number[] = []
    for await (const record of this.#read(stage.inbox.name, partition)) {
      const { offset, kind } = record
      if (offset < inputOffset) inbox.push(record)
      else if (kind === 'event') unprocessed.push(offset)
      if (offset >= unseenFrom && offset < inputOffset && !isOfTime(record)) unseen.push(offset)
    }
    const those = (offsets: readonly number[]): string => `${offsets.length} records from offset ${offsets[0]} on`
    if (unprocessed.length > 0) this.#differ(`${task} has not processed ${those(unprocessed)}`)
    if (unseen.length > 0) this.#differ(`${task}: a copy has not what came of ${those(unseen)}`)
    const expected = await expectedOf({ stage, partition, inbox, codec, definitions })
    this.#expected.push({ ...expected, rows: new Map() })

    const actual = new Map([...changelog.rows].map(([key, bytes]) => [key, rowLine(stage, bytes, codec)]))
    this.rows += actual.size
    this.#compareMaps(`${task}: rows of the changelog`, actual, expected.rows)
    this.#compareMaps(`${task}: counters`, new Map(Object.entries(counters)), expected.counters)
    for (const [name, by] of expected.counters) this.counters.set(name, (this.counters.get(name) ?? 0) + by)
  }

  /** Reads a changelog to its end; each copy of the store must hold what the changelog held when the copy was there. */
  async #changelog(stage: Stage, partition: number) {
    const { codec, remains } = this.#parts
    const task = taskName(stage.name, partition)
    const topic = changelogOf(stage.name)
    const copies = await remains.copies(stage.name, partition)
    const stable = await remains.stableEnd(topic, partition)
    const rows = new Map<string, Buffer>()
    let last: Buffer | undefined
    let checkpoint: Checkpoint | undefined
    const waiting = [...copies].sort((a, b) => a.offset - b.offset)
    const compareUpTo = (offset: number): void => {
      while (waiting[0] && waiting[0].offset <= offset) this.#compareCopy(waiting.shift()!, rows, last)
    }
    /** Where each commit begins. */
    const commits: number[] = []
    let start = 0
    for await (const { offset, kind, key, value } of this.#read(topic, partition)) {
      compareUpTo(offset)
      if (kind === 'checkpoint') {
        const next = codec.decode('Checkpoint', value!)
        if (checkpoint && next.commits <= checkpoint.commits)
          this.#differ(`${task}: commit ${next.commits} follows ${checkpoint.commits}`)
        checkpoint = next
        last = value!
        commits.push(start)
        start = offset + 1
      } else if (value) rows.set(key, value)
      else rows.delete(key)
    }
    compareUpTo(Number.POSITIVE_INFINITY)
    const behindMax = stage.inbox.source ? ticksUnseenMax : 0
    for (const { name, offset } of copies) {
      const behind = commits.filter((start) => start >= offset).length
      if (behind > behindMax) this.#differ(`${name} is ${behind} commits behind`)
      if (offset > stable) this.#differ(`${name} is at ${offset}, the changelog at ${stable}`)
    }
    return { rows, checkpoint, copies }
  }

  #inputOffsetOf({ checkpoint }: Copy): number {
    return checkpoint ? this.#parts.codec.decode('Checkpoint', checkpoint).inputOffset : 0
  }

  #compareCopy(copy: Copy, rows: ReadonlyMap<string, Buffer>, checkpoint: Buffer | undefined): void {
    this.#compareMaps(`${copy.name}: rows of the store`, copy.rows, rows, (a, b) => a.equals(b))
    if (!(copy.checkpoint ?? nothing).equals(checkpoint ?? nothing))
      this.#differ(`${copy.name}: the checkpoint of the store is another`)
    for (const [key, bytes] of copy.rows) {
      const { indexedAtMs } = this.#parts.codec.decode('Row', bytes)
      if (indexedAtMs !== null && !copy.timers.has(indexKey(indexedAtMs, key)))
        this.#differ(`${copy.name}: the timer of ${key} at ${indexedAtMs} is not in the index`)
    }
  }

  /** A topic against all that was written to it. */
  async topic(name: string): Promise<void> {
    const { topology } = this.#parts
    const { partitions, cleanup } = allTopics(topology).find((topic) => topic.name === name)!
    const stage = topology.stages.find((each) => deadOf(each.name) === name) ?? topology.stages[0]!
    for (let partition = 0; partition < partitions; partition++) {
      const place = `${name}/${partition}`
      const check = new (cleanup === 'compact' ? LatestValues : Interleaving)(place, this.#expected)
      for await (const record of this.#read(name, partition)) {
        this.#note(name, partition, record)
        if (!isOfSources(name, record)) check.take(record.offset, lineOf(stage, name, record))
      }
      for (const difference of check.end()) this.#differ(difference)
    }
  }

  #note(topic: string, partition: number, { kind, key, value }: StoredRecord): void {
    const { codec } = this.#parts
    if (topic === 'events.raw' && kind === 'event') this.#raw.add(partition, decodedOf(value!, codec))
    else if (topic === 'events.identified' && kind === 'event') {
      const { tenant, event, hops }: IdentifiedEvent = codec.decode('IdentifiedEvent', value!)
      if (hops > 0) return // passed on by a forwarder
      const id = `${tenant}/${event.event_id}`
      if (this.#identified.has(id)) this.#differ(`the event ${id} was identified twice`)
      this.#identified.add(id)
    } else if (topic === 'segments.memberships') {
      const { segmentId, seq, status }: MembershipTransition = codec.decode('MembershipTransition', value!)
      const before = this.#transitions.get(`${key} ${segmentId}`) ?? 0
      if (seq !== before + 1) this.#differ(`${key} ${segmentId}: transition ${seq} follows ${before}`)
      if ((status === 'entered') !== (seq % 2 === 1))
        this.#differ(`${key} ${segmentId}: transition ${seq} is ${status}`)
      this.#transitions.set(`${key} ${segmentId}`, seq)
    }
  }

  /** What was fed is in the log, and what is in the log came through or says why not. */
  conservation(): void {
    for (const difference of this.#raw.end()) this.#differ(difference)
    const of = (name: string): number => this.counters.get(name) ?? 0
    const balance = (name: string, left: number, right: number): void => {
      if (left !== right) this.#differ(`${name}: ${left} against ${right}`)
    }
    balance('events in the log = processed + dead', this.#raw.count, of('raw.events') + of('dead'))
    balance('processed = valid + bad', of('raw.events'), of('valid') + of('bad'))
    balance('valid = accepted + duplicates', of('valid'), of('accepted') + of('duplicates'))
    balance('accepted = identified', of('accepted'), this.#identified.size)
  }

  async *#read(topic: string, partition: number): AsyncGenerator<StoredRecord> {
    for await (const record of this.#parts.remains.read(topic, partition)) {
      this.records++
      yield record
    }
  }

  #compareMaps<Value>(
    what: string,
    actual: ReadonlyMap<string, Value>,
    expected: ReadonlyMap<string, Value>,
    same: (a: Value, b: Value) => boolean = (a, b) => a === b,
  ): void {
    const wrong = [...actual].filter(([key, value]) => !expected.has(key) || !same(value, expected.get(key)!))
    const missing = [...expected.keys()].filter((key) => !actual.has(key))
    if (wrong.length + missing.length === 0) return
    const example = wrong[0]?.[0] ?? missing[0]
    this.#differ(
      `${what}: ${wrong.length} differ and ${missing.length} are missing, of ${expected.size}; such as ${example}`,
    )
  }

  #differ(difference: string): void {
    this.differences.push(difference)
  }
}

const nothing = Buffer.alloc(0)

/**
 * What ticks by the wall clock does so until it ends, and of two that end at the same time one may not see the other's
 * last ticks any more. Nothing else is missing from a copy.
 */
export const ticksUnseenMax = 20

function decodedOf(value: Buffer, codec: Codec): RawEvent | undefined {
  try {
    return codec.decode('RawEvent', value)
  } catch {
    return undefined
  }
}

function isOfTime({ kind }: StoredRecord): boolean {
  return kind === controlKinds.tick || kind === controlKinds.sweep
}

/** Written by sources, by who applies definitions and who gives turns: what a task reacts to and did not write. */
function isOfSources(topic: string, { kind, key }: StoredRecord): boolean {
  if (kind === controlKinds.marker || kind === controlKinds.turn) return true
  return topic === 'events.raw' && (kind === 'event' || (kind === 'tick' && key === 'source'))
}

/** The raw events of the log against what was fed: a history exactly once, live events at least once; both in order. */
class RawEvents {
  count = 0
  readonly #input: Input
  readonly #posted: Posted
  readonly #lines: number[] = []
  readonly #live = new Map<string, number>()
  #liveCount = 0
  /** Of the live events, the place of each that was posted but once. */
  readonly #places: ReadonlyMap<string, number>
  readonly #disorder: string[] = []
  #partition = -1
  #lastLine = 0
  #lastPlace = -1

  constructor(input: Input, posted: Posted) {
    this.#input = input
    this.#posted = posted
    const all = new Map<string, number>()
    for (const [place, body] of input.live.entries()) all.set(body, all.has(body) ? Number.NaN : place)
    this.#places = new Map([...all].filter(([, place]) => !Number.isNaN(place)))
  }

  /** Partition by partition: the order must hold within each. Undefined: nobody can decode it. */
  add(partition: number, event: RawEvent | undefined): void {
    this.count++
    if (!event) return
    const { source, payloadId, body } = event
    if (partition !== this.#partition) {
      this.#partition = partition
      this.#lastLine = 0
      this.#lastPlace = -1
    }
    if (source === 'ingest') {
      const line = Number(payloadId.slice(payloadId.lastIndexOf(':') + 1))
      this.#lines.push(line)
      if (line <= this.#lastLine) this.#disorder.push(`line ${line} of the history follows line ${this.#lastLine}`)
      this.#lastLine = line
      return
    }
    this.#liveCount++
    const before = this.#live.get(body) ?? 0
    this.#live.set(body, before + 1)
    const place = this.#places.get(body)
    if (place === undefined || before > 0) return // what is posted again may come at any time
    if (place < this.#lastPlace) this.#disorder.push(`the live event ${place} follows ${this.#lastPlace}`)
    this.#lastPlace = place
  }

  *end(): Generator<string> {
    const { history, live } = this.#input
    yield* this.#disorder.slice(0, 3)
    const once = new Set(this.#lines)
    if (once.size !== this.#lines.length || once.size !== history.length)
      yield `of ${history.length} events of the history ${once.size} are in the log, ${this.#lines.length} times`
    for (const body of live) {
      const left = this.#live.get(body) ?? 0
      if (left === 0) yield `an event that was acknowledged is not in the log: ${body.slice(0, 200)}`
      else this.#live.set(body, left - 1)
    }
    const extra = this.#liveCount - live.length
    const { resent } = this.#posted
    if (extra > resent) yield `${extra} more live events are in the log than were posted, of which ${resent} twice`
  }
}
