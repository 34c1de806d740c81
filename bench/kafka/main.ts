/** `npm run bench:kafka [-- --json]`: Millrace on a real broker on this machine. bench/README.md says what is measured. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { benchCount } from './count.ts'
import { benchLatency } from './latency.ts'
import { newDeployment } from './processes.ts'
import { benchRecovery } from './recovery.ts'
import { benchThroughput } from './throughput.ts'

const parts = ['throughput', 'latency', 'count', 'recovery'] as const
type Options = {
  readonly events: string
  readonly visitors: string
  readonly seconds: string
  readonly countEvents: string
  readonly only: readonly (typeof parts)[number][]
  readonly json?: true
}

const program = new Command('bench:kafka')
  .description(
    'Millrace on a broker of its own: throughput and latency of the whole topology, a counting stage, restore, recovery.',
  )
  .option('--events <n>', 'events of the throughput run', '200000')
  .option('--visitors <n>', 'visitors of the throughput run', '50000')
  .option('--seconds <n>', 'length of the latency run, at 500 events a second', '20')
  .option('--count-events <n>', 'events of the counting stage', '500000')
  .option('--only <parts...>', `some of ${parts.join(', ')}`, [...parts])
  .option('--json', 'print one JSON line')
  .action(async ({ events, visitors, seconds, countEvents, only, json }: Options) => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
    const deployment = await newDeployment(folder)
    try {
      const has = (part: (typeof parts)[number]) => only.includes(part)
      const figures = {
        ...(has('throughput') &&
          (await benchThroughput(deployment, { events: Number(events), visitors: Number(visitors) }))),
        ...(has('latency') && (await benchLatency(deployment, { seconds: Number(seconds) }))),
        ...(has('count') && (await benchCount(deployment, { events: Number(countEvents) }))),
        ...(has('recovery') && (await benchRecovery(deployment))),
      }
      console.log(json ? JSON.stringify(figures) : figures)
    } finally {
      await deployment.close()
      await rm(folder, { recursive: true, force: true })
    }
  })

await program.parseAsync()
