/** `millrace deliver`: the connectors of a cluster. */
import { type Command, Option } from 'commander'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import { integer, type LogLevel, logLevelOption, workspaceOption } from '../options.ts'
import { untilSignal } from '../signals.ts'

type Options = ClusterFlags & {
  readonly destination: readonly string[]
  readonly data: string
  readonly workspace: string
  readonly host: string
  readonly port: number
  readonly logLevel: LogLevel
}

export function addDeliver(program: Command): void {
  const command = program
    .command('deliver')
    .summary('bring what changed to the destinations of a Kafka cluster, scaled out')
    .description(
      'Brings the activations of connect.<destination> to the destinations of the workspace, at least once, with\n' +
        'idempotency keys. Start as many as you like, each with a data folder of its own: partitions are spread over them.\n' +
        'SIGTERM ends the calls under way and hands over. /healthz, /readyz and /metrics answer on --port.',
    )
    .addOption(
      new Option(
        '--destination <name...>',
        'one or more of the workspace; without it all that have their secrets here',
      ).default([], 'all'),
    )
  addClusterFlags(command)
    .addOption(
      new Option('--data <folder>', 'who this process is; files of file destinations').default('.millrace/deliver'),
    )
    .addOption(workspaceOption())
    .addOption(new Option('--host <address>', 'for health and metrics').default('127.0.0.1'))
    .addOption(new Option('--port <port>', 'for health and metrics').argParser(integer(0, 65_535)).default(8126))
    .addOption(logLevelOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace deliver\n  $ millrace deliver --destination email_tool --brokers kafka-1:9092,kafka-2:9092\n',
    )
    .action(async (options: Options) => {
      const place = clusterOf(options)
      const [{ DeliverService }, { newLogger }] = await Promise.all([
        import('../cluster/deliver-service.ts'),
        import('../cluster/logger.ts'),
      ])
      const logger = newLogger(options.logLevel)
      await untilSignal(async (onFatal, stopping) => {
        const service = await DeliverService.start({
          place,
          destinations: [...new Set(options.destination)],
          dataFolder: options.data,
          workspaceFolder: options.workspace,
          host: options.host,
          port: options.port,
          env: process.env,
          logger,
          stopping,
          onFatal,
        })
        return async () => {
          const clean = await service.stop()
          logger.info({ clean }, 'stopped')
        }
      })
    })
}
