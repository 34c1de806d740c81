/** Workers as processes of their own over Kafka, killed and restarted while input comes; the outputs are those of a plain fold. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import type { WrittenRecord } from '../../runtime/memory/log.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import type { StoredRecord } from '../../runtime/record.ts'
import { allTopics, taskName } from '../../runtime/topology.ts'
import type { IdentityAlias } from '../../schemas/avro/types.ts'
import { kafkaForTests } from '../parts.ts'
import type { Said } from './process.ts'
import { differencesFrom, inputOf, partitions, sessionTimeoutMs, topology } from './relay.ts'

const brokers = (await kafkaForTests())?.join(',')
const codec = new Codec(fixedSchemaIds())
const script = fileURLToPath(new URL('./process.ts', import.meta.url))
const everything = partitions * topology.stages.length

class Process {
  readonly said: Said[] = []
  readonly #child: ChildProcess

  constructor(prefix: string, folder: string, standbys: number) {
    const args = ['--import', 'tsx', script, brokers!, prefix, folder, String(standbys)]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.said.push(JSON.parse(line)))
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill(signal)
    await gone
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  of<Kind extends Said['said']>(kind: Kind): Extract<Said, { said: Kind }>[] {
    return this.said.filter((said): said is Extract<Said, { said: Kind }> => said.said === kind)
  }

  /** Runs half of each stage, as the last plans say. */
  get hasHalf(): boolean {
    const stages = topology.stages.map(({ name }) => this.of('assigned').findLast(({ stage }) => stage === name))
    return this.running === everything / 2 && stages.every((assigned) => assigned?.active === partitions / 2)
  }

  /** Tasks that run, when it last was ready. */
  get running(): number {
    return this.of('ready').at(-1)?.running ?? 0
  }

  get restored(): number {
    return this.of('restored').reduce((sum, { records }) => sum + records, 0)
  }
}

describe.skipIf(!brokers)('workers on Kafka', () => {
  const cleanups: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  async function deploy(standbys: number) {
    const prefix = `test-worker-${process.pid}-${Date.now()}.`
    const log = await KafkaLog.open({ brokers: brokers!.split(','), prefix })
    cleanups.push(() => log.close())
    await log.createTopics(allTopics(topology))
    const folder = await mkdtemp(join(tmpdir(), 'millrace-worker-'))
    cleanups.push(() => rm(folder, { recursive: true }))
    const start = (name: string): Process => {
      const started = new Process(prefix, join(folder, name), standbys)
      cleanups.push(() => started.end('SIGKILL'))
      return started
    }
    let sent = 0
    let feeding = true
    const feed = (async () => {
      while (feeding) {
        await log.append(Array.from({ length: 10 }, () => inputOf(sent++, codec, Date.now())))
        await delay(20)
      }
    })()
    const endInput = async () => {
      feeding = false
      await feed
    }
    cleanups.push(endInput)
    return { log, start, endInput }
  }

  const until = async (holds: () => boolean, withinMs: number): Promise<number> => {
    const startMs = performance.now()
    while (!holds()) {
      if (performance.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${holds}`)
      await delay(10)
    }
    return Math.round(performance.now() - startMs)
  }

  /** Lets the input run out, and compares all outputs with the folds of the inboxes. */
  async function expectExact(log: KafkaLog, endInput: () => Promise<void>): Promise<void> {
    await endInput()
    await delay(4500) // the timers of the last records, and what follows from them
    const all = new Map<string, WrittenRecord[]>()
    for (const { name } of topology.topics)
      for (let partition = 0; partition < partitions; partition++)
        all.set(
          `${name}/${partition}`,
          (await readAll(log, name, partition)).map((record) => written(name, record)),
        )
    expect(differencesFrom((topic, partition) => all.get(`${topic}/${partition}`)!, codec)).toEqual([])
    expect(all.get('out/0')!.length + all.get('mid/0')!.length).toBeGreaterThan(100)
  }

  test('one that is killed is replaced, comes back with its disk, and all is exact', { timeout: 90_000 }, async () => {
    const { log, start, endInput } = await deploy(1)
    const a = start('a')
    await until(() => a.running === everything, 20_000)
    const b = start('b')
    await until(() => a.hasHalf && b.hasHalf, 20_000)
    await delay(2000)
    await a.end('SIGKILL')
    const takenOverMs = await until(() => b.running === everything, sessionTimeoutMs + 5000)
    await delay(1000)
    const back = start('a')
    await until(() => back.hasHalf && b.hasHalf, 20_000)
    await until(() => back.running + b.running === everything, 10_000)
    expect(takenOverMs).toBeLessThan(sessionTimeoutMs + 2000)
    expect([...b.of('failed'), ...back.of('failed')]).toEqual([])
    await expectExact(log, endInput)
  })

  test('a rolling restart restores zero records and begins no generation', { timeout: 90_000 }, async () => {
    const { log, start, endInput } = await deploy(0)
    const former = [start('a'), start('b')]
    await until(() => former.every(({ hasHalf }) => hasHalf), 20_000)
    await delay(1000)
    const generations = former.map((each) => each.of('assigned').length)
    const back: Process[] = []
    for (const [i, name] of ['a', 'b'].entries()) {
      await former[i]!.end('SIGTERM')
      expect(former[i]!.of('stopped')).toMatchObject([{ clean: true }])
      back.push(start(name))
      await until(() => back[i]!.running === everything / 2, 10_000)
      expect(back[i]!.of('started')[0]!.process).toBe(former[i]!.of('started')[0]!.process)
      expect(back[i]!.restored).toBe(0)
    }
    expect(former[1]!.of('assigned').length).toBe(generations[1])
    for (const each of back) expect(each.of('assigned').length).toBe(topology.stages.length)
    await expectExact(log, endInput)
  })

  test('one that is stopped and continued writes nothing twice, and finds its way back', {
    timeout: 90_000,
  }, async () => {
    const { log, start, endInput } = await deploy(1)
    const [a, b] = [start('a'), start('b')]
    await until(() => a.hasHalf && b.hasHalf, 20_000)
    await delay(1000)
    a.signal('SIGSTOP')
    await until(() => b.running === everything, sessionTimeoutMs + 5000)
    await delay(1000)
    a.signal('SIGCONT')
    const generation = b.of('assigned').length
    await until(() => b.of('assigned').length > generation && b.hasHalf && a.hasHalf, 20_000)
    expect([...a.of('failed'), ...b.of('failed')]).toEqual([])
    await expectExact(log, endInput)
  })
})

async function readAll(log: KafkaLog, topic: string, partition: number): Promise<StoredRecord[]> {
  const { start, stable } = await log.ends(topic, partition)
  const all: StoredRecord[] = []
  for (let offset = start; offset < stable; ) {
    const page = await log.fetch(topic, partition, offset, { maxRecords: 5000, maxBytes: 8 << 20 })
    all.push(...page.records)
    offset = page.nextOffset
  }
  return all
}

/** Kafka does not tell who wrote a record; its content does. */
function written(topic: string, record: StoredRecord): WrittenRecord {
  if (topic === 'in' || !record.value) return { ...record, writer: '' }
  if (record.kind !== 'event') return { ...record, writer: record.key }
  if (topic === 'out') return { ...record, writer: taskName('total', partitionOf(record.key, partitions)) }
  const { profileId } = codec.decode('IdentityAlias', record.value) as IdentityAlias
  return { ...record, writer: taskName('relay', partitionOf(`t/k${Number(profileId.slice(1)) % 97}`, partitions)) }
}
