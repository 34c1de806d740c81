/** `npm run simulate -- --seeds N [--seed S]`: simulated runs of the production topology; prints the seed of any failure. */
import { Command } from 'commander'
import { simulateTopology } from './topology.ts'

const program = new Command('simulate')
  .description('Runs the production topology in memory under random faults, and compares it with its oracles.')
  .option('--seeds <n>', 'how many seeds to run', '50')
  .option('--seed <s>', 'run this seed alone, or start from it with --seeds')
  .parse()
const options = program.opts<{ seeds: string; seed?: string }>()
const first = Number(options.seed ?? 1)
const seeds =
  options.seed !== undefined && program.getOptionValueSource('seeds') === 'default' ? 1 : Number(options.seeds)

const startedMs = performance.now()
const marks = new Map<string, number>()
let failed = 0
for (let seed = first; seed < first + seeds; seed++) {
  const { differences, marks: reached } = await simulateTopology(seed).catch((error: Error) => ({
    differences: [`it threw ${error.stack}`],
    marks: {},
  }))
  for (const [mark, times] of Object.entries(reached)) marks.set(mark, (marks.get(mark) ?? 0) + times)
  if (differences.length === 0) continue
  failed++
  console.log(`seed ${seed} failed; run it again with: npm run simulate -- --seed ${seed}`)
  for (const difference of differences.slice(0, 5)) console.log(`  ${difference}`)
}
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
console.log(`reached: ${[...marks].map(([mark, times]) => `${mark} ${times}`).join(', ')}`)
for (const [mark, times] of marks) {
  if (times > 0 || seeds < 20) continue
  failed++
  console.log(`no seed reached the branch ${mark}`)
}
console.log(`${seeds} seeds in ${seconds} s: ${failed === 0 ? 'all well' : `${failed} failed`}`)
process.exitCode = failed === 0 ? 0 : 1
