/** Reads all that a deployment has left behind, when it has been ended gracefully, and says what is not as it must be. */
import { join } from 'node:path'
import type { Cluster } from '../../cli/cluster/cluster.ts'
import type { Codec } from '../../runtime/codec.ts'
import { changelogOffsetOf } from '../../runtime/restore.ts'
import { rowKey } from '../../runtime/rows.ts'
import { type Stage, stageOf } from '../../runtime/stage.ts'
import type { Store } from '../../runtime/store.ts'
import { RocksStores } from '../../runtime/stores/rocksdb.ts'
import type { DefinitionSource } from '../../runtime/task.ts'
import { allTopics, changelogOf, taskName } from '../../runtime/topology.ts'
import type { Checkpoint, IdentifiedEvent, MembershipTransition, RawEvent } from '../../schemas/avro/types.ts'
import { type ExpectedTask, expectedOf, Interleaving, LatestValues, lineOf, rowLine } from './expected.ts'
import { type KcatRecord, readCommitted } from './kcat.ts'
import type { Input, Posted } from './source.ts'

export type AuditParts = {
  readonly cluster: Cluster
  readonly definitions: DefinitionSource
  readonly brokers: string
  readonly prefix: string
  /** State folders by stage. */
  readonly folders: ReadonlyMap<string, readonly string[]>
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
  for (const { name, inbox } of parts.cluster.topology.stages) {
    const stage = stageOf(parts.cluster.topology, name)
    for (let partition = 0; partition < stage.inbox.partitions; partition++) await reading.task(stage, partition, inbox)
  }
  for (const topic of parts.cluster.topology.topics) await reading.topic(topic.name)
  for (const { name } of parts.cluster.topology.stages) await reading.topic(`${name}.dead`)
  reading.conservation()
  return reading
}

class Reading implements Audit {
  readonly differences: string[] = []
  readonly counters = new Map<string, number>()
  records = 0
  rows = 0
  readonly #parts: AuditParts
  readonly #codec: Codec
  readonly #expected: ExpectedTask[] = []
  readonly #raw = new RawEvents()
  readonly #identified = new Set<string>()
  readonly #transitions = new Map<string, number>()

  constructor(parts: AuditParts) {
    this.#parts = parts
    this.#codec = parts.cluster.codec
  }

  /** The changelog of a task, the copies of its store, and the fold of its inbox. */
  async task(stage: Stage, partition: number, inboxTopic: string): Promise<void> {
    const { definitions, folders } = this.#parts
    const task = taskName(stage.name, partition)
    const copies = await Promise.all(folders.get(stage.name)!.map((folder) => copyIn(folder, task)))
    const changelog = await this.#changelog(stage, partition, copies)
    if (!changelog.checkpoint) return this.#differ(`${task} has no checkpoint`)
    const { inputOffset, counters } = changelog.checkpoint

    const inbox: KcatRecord[] = []
    for await (const record of this.#read(inboxTopic, partition)) {
      if (record.offset < inputOffset) inbox.push(record)
      else if (record.kind === 'event') this.#differ(`${task} has not processed the event at offset ${record.offset}`)
    }
    const expected = await expectedOf({ stage, partition, inbox, codec: this.#codec, definitions })
    this.#expected.push({ ...expected, rows: new Map() })

    const actual = new Map([...changelog.rows].map(([key, bytes]) => [key, rowLine(stage, bytes, this.#codec)]))
    this.rows += actual.size
    this.#compareMaps(`${task}: rows of the changelog`, actual, expected.rows)
    this.#compareMaps(`${task}: counters`, new Map(Object.entries(counters)), expected.counters)
    for (const [name, by] of expected.counters) this.counters.set(name, (this.counters.get(name) ?? 0) + by)
  }

  /** Reads a changelog to its end; each copy of the store must hold what the changelog held when the copy was there. */
  async #changelog(stage: Stage, partition: number, copies: readonly Copy[]) {
    const rows = new Map<string, Buffer>()
    let checkpoint: Checkpoint | undefined
    const waiting = [...copies].sort((a, b) => a.offset - b.offset)
    const compareUpTo = (offset: number): void => {
      while (waiting[0] && waiting[0].offset <= offset) {
        const { folder, rows: own } = waiting.shift()!
        this.#compareMaps(`${folder}: rows of the store`, own, rows, (a, b) => a.equals(b))
      }
    }
    let end = 0
    for await (const { offset, kind, key, value } of this.#read(changelogOf(stage.name), partition)) {
      compareUpTo(offset)
      if (kind === 'checkpoint') checkpoint = this.#codec.decode('Checkpoint', value!)
      else if (value) rows.set(key, value)
      else rows.delete(key)
      end = offset + 1
    }
    // Copies of a stage that ticks by the wall clock may lack the last tick; the others are told apart by a moment more.
    const current = copies.filter(({ offset }) => offset >= end).length
    if (current === 0 || (!stage.inbox.source && current < copies.length))
      this.#differ(
        `${taskName(stage.name, partition)}: ${current} of ${copies.length} copies are at the changelog's end`,
      )
    compareUpTo(Number.POSITIVE_INFINITY)
    return { rows, checkpoint }
  }

  /** A topic against all that was written to it. */
  async topic(name: string): Promise<void> {
    const { topology } = this.#parts.cluster
    const { partitions, cleanup } = allTopics(topology).find((topic) => topic.name === name)!
    const stage = topology.stages.find((each) => `${each.name}.dead` === name) ?? topology.stages[0]!
    for (let partition = 0; partition < partitions; partition++) {
      const place = `${name}/${partition}`
      const check = new (cleanup === 'compact' ? LatestValues : Interleaving)(place, this.#expected)
      for await (const record of this.#read(name, partition)) {
        this.#note(name, record)
        if (!isOfSources(name, record)) check.take(record.offset, lineOf(stage, name, record))
      }
      for (const difference of check.end()) this.#differ(difference)
    }
  }

  #note(topic: string, { kind, key, value }: KcatRecord): void {
    if (topic === 'events.raw' && kind === 'event') this.#raw.add(this.#codec.decode('RawEvent', value!))
    else if (topic === 'events.identified' && kind === 'event') {
      const { tenant, event, hops }: IdentifiedEvent = this.#codec.decode('IdentifiedEvent', value!)
      if (hops > 0) return // passed on by a forwarder
      const id = `${tenant}/${event.event_id}`
      if (this.#identified.has(id)) this.#differ(`the event ${id} was identified twice`)
      this.#identified.add(id)
    } else if (topic === 'segments.memberships') {
      const { segmentId, seq, status }: MembershipTransition = this.#codec.decode('MembershipTransition', value!)
      const before = this.#transitions.get(`${key} ${segmentId}`) ?? 0
      if (seq !== before + 1) this.#differ(`${key} ${segmentId}: transition ${seq} follows ${before}`)
      if ((status === 'entered') !== (seq % 2 === 1))
        this.#differ(`${key} ${segmentId}: transition ${seq} is ${status}`)
      this.#transitions.set(`${key} ${segmentId}`, seq)
    }
  }

  /** What was fed is in the log, and what is in the log came through or says why not. */
  conservation(): void {
    const { input, posted } = this.#parts
    for (const difference of this.#raw.differencesFrom(input, posted)) this.#differ(difference)
    const of = (name: string): number => this.counters.get(name) ?? 0
    const balance = (name: string, left: number, right: number): void => {
      if (left !== right) this.#differ(`${name}: ${left} against ${right}`)
    }
    balance('events in the log = processed + dead', this.#raw.count, of('raw.events') + of('dead'))
    balance('processed = valid + bad', of('raw.events'), of('valid') + of('bad'))
    balance('valid = accepted + duplicates', of('valid'), of('accepted') + of('duplicates'))
    balance('accepted = identified', of('accepted'), this.#identified.size)
  }

  async *#read(topic: string, partition: number): AsyncGenerator<KcatRecord> {
    const { brokers, prefix } = this.#parts
    for await (const record of readCommitted(brokers, prefix + topic, partition)) {
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

/** A copy of a task's store, and how far in the changelog it is. */
type Copy = { readonly folder: string; readonly offset: number; readonly rows: ReadonlyMap<string, Buffer> }

async function copyIn(folder: string, task: string): Promise<Copy> {
  const stores = new RocksStores(folder)
  const store = await stores.open(task)
  try {
    const rows = new Map<string, Buffer>()
    for await (const [key, value] of rowsOf(store)) rows.set(key, value)
    return { folder: join(folder, task), offset: (await changelogOffsetOf(store)) ?? 0, rows }
  } finally {
    await stores.close()
  }
}

async function* rowsOf(store: Store): AsyncGenerator<readonly [string, Buffer]> {
  const page = 1000
  const end = `${rowKey('')}\u{10ffff}`
  for (let from = rowKey(''); ; ) {
    const entries = await store.range(from, end, page)
    for (const { key, value } of entries) yield [key.slice(rowKey('').length), value]
    if (entries.length < page) return
    from = `${entries.at(-1)!.key}\0`
  }
}

/** Written by sources and by who applies definitions: what a task reacts to and did not write. */
function isOfSources(topic: string, { kind, key }: KcatRecord): boolean {
  if (kind === 'marker') return true
  return topic === 'events.raw' && (kind === 'event' || (kind === 'tick' && key === 'source'))
}

/** The raw events of the log against what was fed: a history exactly once and in order, live events at least once. */
class RawEvents {
  count = 0
  readonly #lines: number[] = []
  readonly #live = new Map<string, number>()
  #liveCount = 0

  add({ source, payloadId, body }: RawEvent): void {
    this.count++
    if (source === 'ingest') this.#lines.push(Number(payloadId.slice(payloadId.lastIndexOf(':') + 1)))
    else {
      this.#liveCount++
      this.#live.set(body, (this.#live.get(body) ?? 0) + 1)
    }
  }

  *differencesFrom({ history, live }: Input, { resent }: Posted): Generator<string> {
    const once = new Set(this.#lines)
    if (once.size !== this.#lines.length || once.size !== history.length)
      yield `of ${history.length} events of the history ${once.size} are in the log, ${this.#lines.length} times`
    // Read partition by partition: the order must hold within each.
    for (const body of live) {
      const left = this.#live.get(body) ?? 0
      if (left === 0) yield `an event that was acknowledged is not in the log: ${body.slice(0, 200)}`
      else this.#live.set(body, left - 1)
    }
    const extra = this.#liveCount - live.length
    if (extra > resent) yield `${extra} more live events are in the log than were posted, of which ${resent} twice`
  }
}
