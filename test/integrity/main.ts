/**
 * `npm run test:integrity -- [--kafka VERSION] [--events N] [--minutes M] [--seed S] [--json] [--keep]`: the whole suite, on
 * a broker of its own; prints what it did and measured, and ends with 1 when anything is not as expected.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { integer } from '../../cli/options.ts'
import { duration, grouped, printJson, startProgress, table } from '../../cli/terminal.ts'
import { LocalKafka } from '../../deploy/local/kafka.ts'
import { type KafkaVersion, kafkaVersions } from '../../deploy/local/maven.ts'
import { down, up } from '../../deploy/local/parts.ts'
import { anyFreePort } from '../../deploy/local/ports.ts'
import type { Random } from '../../runtime/random.ts'
import {
  type Fault,
  joinAndLeave,
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
  readonly json?: true
  readonly keep?: true
}

const {
  kafka,
  events,
  minutes,
  seed,
  json,
  keep = false,
} = new Command('test:integrity')
  .description('The production topology on a real broker, under faults, compared with a plain fold of its inboxes.')
  .addOption(new Option('--kafka <version>', 'of the broker').choices(kafkaVersions).default('4.2.0'))
  .addOption(new Option('--events <n>', 'to feed').argParser(integer(100, 10_000_000)).default(100_000))
  .addOption(new Option('--minutes <m>', 'that the live events take').argParser(Number).default(5))
  .addOption(new Option('--seed <s>', 'of events and faults').argParser(integer(0, 2 ** 31)).default(1))
  .option('--json', 'print one JSON object on standard output, and what happens on standard error')
  .option('--keep', 'leave state folders and logs of the processes where they are')
  .parse()
  .opts<Options>()

const startedMs = performance.now()
const tell = (what: string): void => {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K') // the bar comes again by itself
  const say = json ? console.error : console.log
  say(`${seconds} s  ${what}`)
}
const told = ({ fault, stage, recoveryMs, stall }: Fault): void => {
  tell(`${stage}: ${fault}; all of it ran again after ${recoveryMs} ms`)
  if (!stall) return
  const { ms, partitions, offsets } = stall
  tell(`${stage}: for ${ms} ms nobody could read ${offsets} offsets of ${partitions} partitions, whoever wrote them`)
}

/** One fault after another for as long as input comes; each kind at least once. */
async function strike({ deployment, kafka, log, prefix, random, isFed }: Scene): Promise<readonly Fault[]> {
  const stages = ['identify', 'graph', 'profile']
  const either = () => random.pick(deployment.of(random.pick(stages)))
  const kinds: readonly (() => Promise<Fault>)[] = [
    () => killBroker(deployment, kafka),
    () => killAndReplace(deployment, either()),
    () => killAndStart(deployment, either()),
    () => stopAndContinue(deployment, either()),
    () => redeploy(deployment, random.pick(stages)),
    () => joinAndLeave(deployment, random.pick(['identify', 'profile'])), // graph has no task for a third
  ]
  const faults: Fault[] = []
  const happens = async (kind: () => Promise<Fault>): Promise<void> => {
    const fault = await kind()
    told(fault)
    faults.push(fault)
  }
  // First, while the history comes: transactions are many then.
  await happens(() => stopInTransaction(deployment, random.pick(deployment.of('identify')), log, prefix, random))
  for (const kind of shuffled(kinds, random)) {
    await delay(random.between(500, 4000))
    await happens(kind)
  }
  // The broker falls once; what holds everybody up is not to hide the rest.
  while (!isFed()) {
    await delay(random.between(500, 4000))
    await happens(random.pick(kinds.slice(1)))
  }
  return faults
}

/** By kind of fault: how often, and the shortest and the longest recovery. */
function summaryOf(faults: readonly Fault[]): readonly (readonly [string, string])[] {
  const rows = [...new Set(faults.map(({ fault }) => fault))].map((kind) => {
    const times = faults.filter(({ fault }) => fault === kind).map(({ recoveryMs }) => recoveryMs)
    const range = [...new Set([Math.min(...times), Math.max(...times)].map(duration))].join(' to ')
    return [`${kind} (${times.length}): all ran again after`, range] as const
  })
  const stalls = faults.flatMap(({ stall }) =>
    stall ? [['others could not read for', duration(stall.ms)] as const] : [],
  )
  return [...rows, ...stalls]
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
  const bar = startProgress('fed', events, 'events')
  const outcome = await integrity({
    kafka: broker,
    registryUrl,
    events,
    seed,
    liveMs: minutes * 60_000,
    faults: strike,
    tell,
    fed: bar.update,
    keep,
  }).finally(bar.end)
  const { differences, records, rows, counters, auditSeconds, ...measured } = outcome
  tell(`${records} records read by kcat and ${rows} rows compared within ${auditSeconds} s`)
  for (const difference of differences.slice(0, 20)) tell(`DIFFERS: ${difference}`)
  const counted = ['raw.events', 'valid', 'bad', 'duplicates', 'accepted', 'dead', 'merges', 'entered', 'exited']
  const counts = Object.fromEntries(counted.map((name) => [name, counters.get(name) ?? 0]))
  if (json) printJson({ kafka, events, seed, ...measured, auditSeconds, counts, records, rows, differences })
  else {
    const sums = Object.entries(counts).map(([name, count]) => [name, grouped(count)] as const)
    const lost = Object.entries(outcome.turnsLost).map(([code, n]) => [`turns lost to ${code}`, grouped(n)] as const)
    console.log(table([...summaryOf(outcome.faults), ...lost, ...sums, ['differences', grouped(differences.length)]]))
  }
  process.exitCode = differences.length === 0 ? 0 : 1
} finally {
  await broker.stop()
  if (existsSync(partsFolder)) await down(partsFolder, { purge: true })
  await rm(folder, { recursive: true, force: true })
}
