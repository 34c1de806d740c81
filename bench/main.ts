/** `npm run bench -- [topology|validate|log|redis] [--json]`: what Millrace does on this machine. bench/README.md says what is measured. */
import { Command } from 'commander'
import { redisUrlOf } from '../cli/options.ts'
import { benchLog } from './log.ts'
import { benchRedis } from './redis.ts'
import { benchTopology, printTopology } from './topology.ts'
import { benchValidate } from './validate.ts'

const program = new Command('bench').description(
  'Benchmarks of Millrace; see bench/README.md for what they do and do not measure.',
)

program
  .command('topology', { isDefault: true })
  .description(
    'the whole topology, embedded: throughput, latency from collector to connector, and the budget of each stage',
  )
  .option('--events <n>', 'events of the throughput run', '200000')
  .option('--visitors <n>', 'visitors of the throughput run', '50000')
  .option('--seconds <n>', 'length of the latency run, at 500 events a second', '20')
  .option('--threads <how>', 'shared: all tasks in one thread; apart: stage profile in a thread of its own', 'apart')
  .option('--json', 'print one JSON line')
  .action(async (options: { events: string; visitors: string; seconds: string; threads: string; json?: boolean }) => {
    const figures = await benchTopology({
      events: Number(options.events),
      visitors: Number(options.visitors),
      seconds: Number(options.seconds),
      threads: options.threads,
    })
    console.log(options.json ? JSON.stringify(figures) : printTopology(figures))
  })

program
  .command('validate')
  .description('VALIDATE alone on one core: four schema validations an event, all enrichments on')
  .option('--events <n>', 'events to measure', '300000')
  .option('--json', 'print one JSON line')
  .action((options: { events: string; json?: boolean }) => {
    const figures = benchValidate(Number(options.events))
    console.log(options.json ? JSON.stringify(figures) : JSON.stringify(figures, null, 2))
  })

program
  .command('log')
  .description('the embedded log: appends and fetches')
  .action(async () => console.log(JSON.stringify(await benchLog())))

program
  .command('redis')
  .description('profiles from the log to Redis')
  .option('--redis [url]', 'a Redis to write to; without a URL that of the environment, REDIS_URL', true)
  .action(async ({ redis }: { redis: string | true }) =>
    console.log(JSON.stringify(await benchRedis(redisUrlOf(redis, process.env)))),
  )

await program.parseAsync()
