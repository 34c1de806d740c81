/** `millrace run`: stages as members of their consumer groups, on Kafka. */
import { type Command, Option } from 'commander'
import { addressesIn } from '../../deploy/local/addresses.ts'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import { integer, type LogLevel, logLevelOption, workspaceOption } from '../options.ts'
import { untilSignal } from '../signals.ts'

const stageNames = ['identify', 'graph', 'profile'] as const

type Options = ClusterFlags & {
  readonly stage?: readonly (typeof stageNames)[number][]
  readonly all?: true
  readonly data: string
  readonly workspace: string
  readonly host: string
  readonly port: number
  readonly standbys: number
  readonly redis?: string
  readonly logLevel: LogLevel
}

export function addRun(program: Command): void {
  const command = program
    .command('run')
    .summary('run stages on a Kafka cluster, scaled out')
    .description(
      'Runs stages as members of their consumer groups on Kafka: start as many processes as you like, each with a data\n' +
        'folder of its own. Tasks are spread over them and follow their state. SIGTERM drains and keeps the place for a\n' +
        'restart. /healthz, /readyz and /metrics answer on --port.',
    )
    .addOption(new Option('--stage <name...>', 'one or more of the stages').choices(stageNames))
    .addOption(new Option('--all', 'every stage').conflicts('stage'))
  addClusterFlags(command)
    .addOption(new Option('--data <folder>', 'local state of this process').default('.millrace/run'))
    .addOption(workspaceOption())
    .addOption(new Option('--host <address>', 'for health and metrics').default('127.0.0.1'))
    .addOption(new Option('--port <port>', 'for health and metrics').argParser(integer(0, 65_535)).default(8125))
    .addOption(
      new Option('--standbys <count>', 'copies of the state of each task on other processes')
        .argParser(integer(0, 9))
        .default(1),
    )
    .addOption(new Option('--redis <url>', 'where profiles are served from, kept up by stage profile').env('REDIS_URL'))
    .addOption(logLevelOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace up && millrace topics apply && millrace run --all\n' +
        '  $ millrace run --stage profile --data /var/lib/millrace --brokers kafka-1:9092,kafka-2:9092\n',
    )
    .action(async (options: Options) => {
      const { stage = [], all, data, workspace, host, port, standbys, logLevel, redis } = options
      if (!all && stage.length === 0) command.error('error: say which stages with --stage, or --all')
      const place = clusterOf(options)
      const [{ RunService }, { newLogger }] = await Promise.all([
        import('../cluster/run-service.ts'),
        import('../cluster/logger.ts'),
      ])
      const logger = newLogger(logLevel)
      await untilSignal(async (onFatal, stopping) => {
        const service = await RunService.start({
          place,
          stages: all ? stageNames : [...new Set(stage)],
          dataFolder: data,
          workspaceFolder: workspace,
          host,
          port,
          redisUrl: redis ?? addressesIn().REDIS_URL ?? null,
          assignment: { standbys },
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
