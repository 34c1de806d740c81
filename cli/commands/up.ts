/** `millrace up`, `down` and `parts`: real Kafka, schema registry and Redis on this machine. */
import { Argument, type Command, Option } from 'commander'
import pc from 'picocolors'
import { defaultFolder } from '../../deploy/local/addresses.ts'
import { type KafkaVersion, kafkaVersions } from '../../deploy/local/maven.ts'
import type { State } from '../../deploy/local/parts.ts'
import { type PartName, partNames, type Way, ways } from '../../deploy/local/settings.ts'
import { exitFailed } from '../failure.ts'
import { integer } from '../options.ts'
import { startSteps } from '../steps.ts'
import { printJson } from '../terminal.ts'

type Data = { readonly data: string; readonly json?: true }

type UpOptions = Data & {
  readonly with?: Way
  readonly kafka?: KafkaVersion
  readonly nodes?: number
  readonly kafkaPort?: number
  readonly registryPort?: number
  readonly redisPort?: number
}

const dataOption = (): Option => new Option('--data <folder>', 'of the parts').default(defaultFolder)
const portOption = (part: PartName, usual: number): Option =>
  new Option(`--${part}-port <port>`, `${usual} or the next free one, unless given; 0: any`).argParser(
    integer(0, 65_535),
  )

export function addUp(program: Command): void {
  program
    .command('up')
    .summary('start Kafka, a schema registry and Redis on this machine')
    .description(
      'Starts real Apache Kafka, a schema registry with the API of Confluent, and Redis, on 127.0.0.1, and waits until\n' +
        'they answer. In Docker when an engine answers; otherwise from jars, with Java 17 and Maven, and redis-server.\n' +
        'What runs already is left alone. The same ports and data come back at the next `up`.',
    )
    .addArgument(new Argument('[parts...]', 'only these').choices(partNames))
    .addOption(dataOption())
    .addOption(new Option('--with <how>', 'docker or jars; by itself: docker when it answers').choices(ways))
    .addOption(new Option('--kafka <version>', 'of Kafka: 4.2.0 unless given').choices(kafkaVersions))
    .addOption(new Option('--nodes <count>', 'of Kafka, from jars: 1 unless given').argParser(integer(1, 5)))
    .addOption(portOption('kafka', 9092))
    .addOption(portOption('registry', 8081))
    .addOption(portOption('redis', 6379))
    .option('--json', 'the addresses as one JSON value')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace up\n  $ export $(millrace up)\n  $ millrace up kafka --kafka 3.9.1 --nodes 3 --data /tmp/cluster\n',
    )
    .action(runUp)
  program
    .command('down')
    .summary('stop what `up` started')
    .description('Stops Kafka, the schema registry and Redis of a folder. Their data stays, unless --purge.')
    .addOption(dataOption())
    .option('--purge', 'delete their data, too')
    .addHelpText('after', '\nExamples:\n  $ millrace down\n  $ millrace down --purge\n')
    .action(async ({ data, purge }: Data & { readonly purge?: true }) => {
      const { down } = await import('../../deploy/local/parts.ts')
      await down(data, { purge: purge === true })
      console.log(purge ? `Stopped, and deleted what was in ${data}.` : `Stopped. The data stays in ${data}.`)
    })
  program
    .command('parts')
    .summary('show what `up` started')
    .description('Shows which parts run, and where. Ends with 1 when one of them does not.')
    .addOption(dataOption())
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  $ millrace parts\n  $ millrace parts --json\n')
    .action(async ({ data, json }: Data) => {
      const { stateOf } = await import('../../deploy/local/parts.ts')
      const state = await stateOf(data)
      if (json) printJson(state)
      else console.log(tableOf(state))
      if (state.parts.some(({ running }) => !running)) process.exitCode = exitFailed
    })
}

async function runUp(parts: readonly PartName[], options: UpOptions): Promise<void> {
  const { up } = await import('../../deploy/local/parts.ts')
  const steps = startSteps()
  const { data, json, kafkaPort, registryPort, redisPort } = options
  const ports = { kafka: kafkaPort, registry: registryPort, redis: redisPort }
  const addresses = await up(
    data,
    {
      ...(parts.length > 0 && { parts }),
      ...(options.with && { with: options.with }),
      ...(options.kafka && { kafkaVersion: options.kafka }),
      ...(options.nodes && { nodes: options.nodes }),
      ports: Object.fromEntries(Object.entries(ports).filter(([, port]) => port !== undefined)),
    },
    steps.tell,
  ).finally(steps.end)
  if (json) printJson(addresses)
  else for (const [name, address] of Object.entries(addresses)) console.log(`${name}=${address}`)
}

function tableOf({ with: way, kafkaVersion, parts }: State): string {
  return parts
    .map(({ part, running, address }) => {
      const name = part === 'kafka' ? `kafka ${kafkaVersion}` : part
      const state = running ? pc.green('runs   ') : pc.red('stopped')
      return `${name.padEnd(12)}  ${state}  ${way.padEnd(6)}  ${address}`
    })
    .join('\n')
}
