/**
 * `npm run simulate -- --seeds N [--seed S] [--world tasks|fleet]`: simulated runs; prints the seed of any failure.
 * Exit codes: 1 something was committed that should not have been, or is missing; 2 all healed, and not all caught up;
 * 3 a rare branch was never reached; 4 a seed ran differently the second time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { simulateFleetTwice } from './fleet.ts'
import { simulateTopology } from './topology.ts'

type Outcome = {
  readonly safety: readonly string[]
  readonly liveness: readonly string[]
  readonly marks: Readonly<Record<string, number>>
  readonly repeatable: boolean
}

const worlds: Readonly<Record<string, (seed: number) => Promise<Outcome>>> = {
  // The production topology, task by task.
  tasks: async (seed) => {
    const { differences, marks } = await simulateTopology(seed)
    return { safety: differences, liveness: [], marks, repeatable: true }
  },
  // A small topology, over several processes.
  fleet: simulateFleetTwice,
}
/** From so many seeds on, each branch has to be reached. */
const seedsForMarks: Readonly<Record<string, number>> = { tasks: 20, fleet: 100 }

const program = new Command('simulate')
  .description('Runs topologies in memory under random faults, and compares them with their oracles.')
  .option('--seeds <n>', 'how many seeds to run', '50')
  .option('--seed <s>', 'run this seed alone, or start from it with --seeds')
  .addOption(new Option('--world <world>', 'run this world alone').choices(Object.keys(worlds)))
  .parse()
const options = program.opts<{ seeds: string; seed?: string; world?: string }>()
const first = Number(options.seed ?? 1)
const seeds =
  options.seed !== undefined && program.getOptionValueSource('seeds') === 'default' ? 1 : Number(options.seeds)

const exitCodes = new Set<number>()
if (options.world) await runWorld(options.world)
else await Promise.all(Object.keys(worlds).map(runApart))
process.exitCode = exitCodes.size > 0 ? Math.min(...exitCodes) : 0

/** Each world in a process of its own, for they share nothing. */
async function runApart(world: string): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--world', world])
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) exitCodes.add(code ?? 1)
}

async function runWorld(world: string): Promise<void> {
  const startedMs = performance.now()
  const marks = new Map<string, number>()
  let failed = 0
  const fail = (code: number, what: string, details: readonly string[] = []): void => {
    failed++
    exitCodes.add(code)
    console.log(what)
    for (const detail of details.slice(0, 5)) console.log(`  ${detail}`)
  }
  for (let seed = first; seed < first + seeds; seed++) {
    const outcome = await worlds[world]!(seed).catch(
      (error: Error): Outcome => ({ safety: [`it threw ${error.stack}`], liveness: [], marks: {}, repeatable: true }),
    )
    for (const [mark, times] of Object.entries(outcome.marks)) marks.set(mark, (marks.get(mark) ?? 0) + times)
    const again = `run it again with: npm run simulate -- --world ${world} --seed ${seed}`
    if (outcome.safety.length > 0) fail(1, `seed ${seed} is not safe; ${again}`, outcome.safety)
    else if (outcome.liveness.length > 0)
      fail(2, `seed ${seed} healed, and did not catch up; ${again}`, outcome.liveness)
    if (!outcome.repeatable) fail(4, `seed ${seed} ran differently the second time; ${again}`)
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`${world}: reached ${[...marks].map(([mark, times]) => `${mark} ${times}`).join(', ')}`)
  for (const [mark, times] of marks)
    if (times === 0 && seeds >= seedsForMarks[world]!) fail(3, `no seed reached the branch ${mark}`)
  console.log(`${world}: ${seeds} seeds in ${seconds} s: ${failed === 0 ? 'all well' : `${failed} failed`}`)
}
