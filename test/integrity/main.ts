/**
 * `npm run test:integrity -- [--kafka VERSION] [--events N] [--minutes M] [--seed S]`: the whole suite, on a broker of its
 * own; prints what it did and measured, and ends with 1 when anything is not as expected.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { integer } from '../../cli/options.ts'
import { LocalKafka } from '../../deploy/local/kafka.ts'
import { type KafkaVersion, kafkaVersions } from '../../deploy/local/maven.ts'
import { down, up } from '../../deploy/local/parts.ts'
import { anyFreePort } from '../../deploy/local/ports.ts'
import type { Random } from '../../runtime/random.ts'
import {
  type Fault,
  killAndReplace,
  killAndStart,
  killBroker,
  redeploy,
  stopAndContinue,
  stopInTransaction,
} from './faults.ts'
import { integrity, type Scene } from './integrity.ts'

type Options = {
  readonly kafka: KafkaVersion
  readonly events: number
  readonly minutes: number
  readonly seed: number
}

const { kafka, events, minutes, seed } = new Command('test:integrity')
  .description('The production topology on a real broker, under faults, compared with a plain fold of its inboxes.')
  .addOption(new Option('--kafka <version>', 'of the broker').choices(kafkaVersions).default('4.2.0'))
  .addOption(new Option('--events <n>', 'to feed').argParser(integer(100, 10_000_000)).default(100_000))
  .addOption(new Option('--minutes <m>', 'that the live events take').argParser(Number).default(5))
  .addOption(new Option('--seed <s>', 'of events and faults').argParser(integer(0, 2 ** 31)).default(1))
  .parse()
  .opts<Options>()

const startedMs = performance.now()
const tell = (what: string): void => {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)
  console.log(`${seconds} s  ${what}`)
}
const told = (fault: Fault): Fault[] => {
  const stall = fault.stallMs === undefined ? '' : `; readers of what it held waited ${fault.stallMs} ms`
  tell(`${fault.stage}: ${fault.fault}; all of it ran again after ${fault.recoveryMs} ms${stall}`)
  return [fault]
}

/** One fault after another for as long as input comes; each kind at least once. */
async function strike({ deployment, kafka, log, prefix, random, isFed }: Scene): Promise<readonly Fault[]> {
  const stages = ['identify', 'graph', 'profile']
  const either = () => random.pick(deployment.of(random.pick(stages)))
  const kinds: readonly (() => Promise<Fault>)[] = [
    () => stopInTransaction(deployment, random.pick(deployment.of('identify')), log, prefix, random),
    () => killAndReplace(deployment, either()),
    () => killAndStart(deployment, either()),
    () => stopAndContinue(deployment, either()),
    () => killBroker(deployment, kafka),
    () => redeploy(deployment, random.pick(stages)),
  ]
  const faults = told(await kinds[0]!())
  const others = shuffled(kinds.slice(1), random)
  for (const kind of others) {
    await delay(random.between(500, 4000))
    faults.push(...told(await kind()))
  }
  // The broker falls once; what holds everybody up is not to hide the rest.
  const again = others.filter((kind) => kind !== kinds[4])
  while (!isFed()) {
    await delay(random.between(500, 4000))
    faults.push(...told(await random.pick(again)()))
  }
  return faults
}

function shuffled<Of>(all: readonly Of[], random: Random): Of[] {
  const left = [...all]
  return all.map(() => left.splice(left.indexOf(random.pick(left)), 1)[0]!)
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-integrity-parts-'))
const partsFolder = join(folder, 'parts')
const ports = { client: await anyFreePort(), controller: await anyFreePort() }
const broker = new LocalKafka(join(folder, 'broker'), { version: kafka, nodes: [ports] })
try {
  await broker.start()
  const given = process.env['SCHEMA_REGISTRY_URL']
  const parts = given ? undefined : await up(partsFolder, { parts: ['registry'], ports: { registry: 0 } })
  tell(`Kafka ${kafka} runs; ${events} events, seed ${seed}`)
  const registryUrl = given ?? parts!.SCHEMA_REGISTRY_URL!
  const outcome = await integrity({
    kafka: broker,
    registryUrl,
    events,
    seed,
    liveMs: minutes * 60_000,
    faults: strike,
    tell,
  })
  const { differences, records, rows, counters, faults, turnsLost, resent, seconds } = outcome
  tell(`${records} records read by kcat and ${rows} rows compared`)
  for (const difference of differences.slice(0, 20)) console.log(`DIFFERS: ${difference}`)
  const counted = ['raw.events', 'valid', 'bad', 'duplicates', 'accepted', 'dead', 'merges', 'entered', 'exited']
  const counts = Object.fromEntries(counted.map((name) => [name, counters.get(name) ?? 0]))
  console.log(
    JSON.stringify({
      kafka,
      events,
      seed,
      seconds,
      faults,
      turnsLost,
      resent,
      counts,
      differences: differences.length,
    }),
  )
  process.exitCode = differences.length === 0 ? 0 : 1
} finally {
  await broker.stop()
  if (existsSync(partsFolder)) await down(partsFolder, { purge: true })
  await rm(folder, { recursive: true, force: true })
}
