/** `npm run bench -- [topology|log|validate] [--json]`: what Millrace does on this machine. bench/README.md says what is measured. */
import { Command } from 'commander'
import { benchLog } from './log.ts'
import { benchTopology, printTopology } from './topology.ts'

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
  .command('log')
  .description('the embedded log: appends and fetches')
  .action(async () => console.log(JSON.stringify(await benchLog())))

await program.parseAsync()
