/** Runs a production topology in memory, with all its partitions and a clock that is moved by hand. For tests. */
import type { Definition, SchemaName } from '../schemas/avro/types.ts'
import { Codec, fixedSchemaIds } from './codec.ts'
import { type AskOutside, type Assemble, applyDefinitions, DefinitionReader } from './definitions.ts'
import { MemoryLog } from './memory/log.ts'
import { partitionOf } from './partitioner.ts'
import { controlKinds } from './record.ts'
import { Runner } from './runner.ts'
import { MemoryStores } from './stores/memory.ts'
import { defaultLimits, type TaskLimits } from './task.ts'
import { allTopics, type TopicDeclaration, type Topology } from './topology.ts'

export type DrivenRecord = {
  readonly partition: number
  readonly offset: number
  readonly kind: string
  readonly key: string
  /** Decoded; null for a tombstone. */
  readonly value: unknown
  readonly timestampMs: number
}

export class TestDriver {
  readonly codec: Codec
  readonly #topology: Topology
  readonly #log: MemoryLog
  readonly #stores: MemoryStores
  readonly #definitions: DefinitionReader
  readonly #limits: TaskLimits
  #runner: Runner
  #nowMs: number

  private constructor(
    topology: Topology,
    log: MemoryLog,
    stores: MemoryStores,
    codec: Codec,
    definitions: DefinitionReader,
    limits: TaskLimits,
    runner: Runner,
    nowMs: number,
  ) {
    this.#topology = topology
    this.#log = log
    this.#stores = stores
    this.codec = codec
    this.#definitions = definitions
    this.#limits = limits
    this.#runner = runner
    this.#nowMs = nowMs
  }

  static async open(parts: {
    readonly topology: Topology
    readonly assemble: Assemble
    readonly ask?: AskOutside
    /** In force before anything else; each list starts with its manifest. */
    readonly definitions: readonly (readonly Definition[])[]
    readonly startMs: number
    readonly limits?: Partial<TaskLimits>
  }): Promise<TestDriver> {
    const { topology, startMs } = parts
    const codec = new Codec(fixedSchemaIds())
    const log = new MemoryLog()
    const stores = new MemoryStores()
    await log.createTopics(allTopics(topology))
    const reader = new DefinitionReader(log, codec, parts.assemble, parts.ask)
    for (const records of parts.definitions)
      await applyDefinitions({ topology, log, codec, reader, records, logTimeMs: startMs })
    const limits = { ...defaultLimits, ...parts.limits }
    const runner = await Runner.start({ topology, log, stores, codec, definitions: reader, limits, observer: {} })
    const driver = new TestDriver(topology, log, stores, codec, reader, limits, runner, startMs)
    await driver.#tick()
    return driver
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** Writes a record at the driver's clock, and lets every task finish. */
  send(topic: string, kind: string, key: string, value: unknown): Promise<void> {
    return this.sendAll(topic, kind, [{ key, value }])
  }

  /** Writes records in one append, so that they are processed in one batch, and lets every task finish. */
  async sendAll(topic: string, kind: string, records: readonly { key: string; value: unknown }[]): Promise<void> {
    const { partitions, kinds } = this.#topic(topic)
    await this.#log.append(
      records.map(({ key, value }) => ({
        topic,
        partition: partitionOf(key, partitions),
        kind,
        key,
        value: this.codec.encode(kinds[kind] as SchemaName, value as never),
        timestampMs: this.#nowMs,
      })),
    )
    await this.#runner.drain()
  }

  /** Brings further definitions into force: a live edit. */
  async apply(records: readonly Definition[]): Promise<void> {
    const parts = { topology: this.#topology, log: this.#log, codec: this.codec, reader: this.#definitions }
    await applyDefinitions({ ...parts, records, logTimeMs: this.#nowMs })
    await this.#runner.drain()
  }

  /** Moves the clock, and lets every timer due by then fire. */
  async advanceTo(ms: number): Promise<void> {
    this.#nowMs = Math.max(this.#nowMs, ms)
    await this.#tick()
  }

  /** Throws all tasks away, as a kill does, and starts them again from what was committed. */
  async restart(): Promise<void> {
    this.#runner = await Runner.start({
      topology: this.#topology,
      log: this.#log,
      stores: this.#stores,
      codec: this.codec,
      definitions: this.#definitions,
      limits: this.#limits,
      observer: {},
    })
  }

  /** All records of a topic, decoded, by partition and offset. */
  records(topic: string): DrivenRecord[] {
    const { partitions, kinds } = this.#topic(topic)
    return Array.from({ length: partitions }, (_, partition) =>
      this.#log.records(topic, partition).flatMap(({ offset, kind, key, value, timestampMs }) => {
        const schema = kinds[kind]
        if (!schema) return [] // a control record
        return [{ partition, offset, kind, key, value: value && this.codec.decode(schema, value), timestampMs }]
      }),
    ).flat()
  }

  counters(): ReadonlyMap<string, number> {
    return this.#runner.counters()
  }

  async #tick(): Promise<void> {
    const value = this.codec.encode('Tick', { writer: 'source', clockMs: this.#nowMs })
    for (const { name, partitions, source } of this.#topology.topics) {
      if (!source) continue
      await this.#log.append(
        Array.from({ length: partitions }, (_, partition) => ({
          topic: name,
          partition,
          kind: controlKinds.tick,
          key: 'source',
          value,
          timestampMs: this.#nowMs,
        })),
      )
    }
    await this.#runner.drain()
  }

  #topic(name: string): TopicDeclaration {
    const topic = allTopics(this.#topology).find((declared) => declared.name === name)
    if (!topic) throw new Error(`the topology has no topic ${name}`)
    return topic
  }
}
