/** `millrace demo`: the whole topology at full speed over a made-up history. */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { DemoResult } from '../demo.ts'
import { integer, workspaceOption } from '../options.ts'
import { duration, grouped, printJson, startProgress, table } from '../terminal.ts'

type Options = {
  readonly events: number
  readonly visitors: number
  readonly seed: number
  readonly data?: string
  readonly workspace: string
  readonly json?: true
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('run a made-up month of a shop through everything, and say what came of it')
    .description(
      'Runs a made-up month of a shop through the whole topology, as fast as it goes and in its own time, until\n' +
        'every timer has fired and every destination has what it is due. The same options give the same outcome.',
    )
    .addOption(new Option('--events <count>', 'events to send').argParser(integer(1, 100_000_000)).default(20_000))
    .addOption(
      new Option('--visitors <count>', 'people and crawlers').argParser(integer(1, 100_000_000)).default(4_000),
    )
    .addOption(
      new Option('--seed <number>', 'another seed, another history').argParser(integer(0, 2 ** 32 - 1)).default(7),
    )
    .option(
      '--data <folder>',
      'keep the data there, and go on from it after an interruption (default: a temporary folder)',
    )
    .addOption(workspaceOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace demo\n  $ millrace demo --events 20000 --visitors 4000 --seed 7 --json\n  $ millrace demo --data /tmp/demo && millrace dump segments.memberships --data /tmp/demo --max 5\n',
    )
    .action(async (options: Options) => {
      const { runDemo } = await import('../demo.ts')
      const dataFolder = options.data ?? (await temporaryFolder())
      const progress = startProgress('events', options.events, 'events')
      const onProgress = (events: number) => progress.update(events)
      const { events, visitors, seed, workspace } = options
      const result = await runDemo({
        events,
        visitors,
        seed,
        dataFolder,
        workspaceFolder: workspace,
        onProgress,
      }).finally(progress.end)
      if (options.json) printJson(result)
      else console.log(summary(result, options.data))
    })
}

/** A folder that goes when the process ends, unless it is killed. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => process.exit(status))
  return folder
}

function summary(result: DemoResult, folder: string | undefined): string {
  const { latencyMs: latency } = result
  const rows = (names: readonly (keyof DemoResult & string)[]) =>
    table(names.map((name): [string, string] => [name, grouped(Number(result[name]))]))
  return [
    pc.bold(
      `${grouped(result.events)} events in ${result.seconds.toFixed(1)} s, ${grouped(result.eventsPerSecond)} a second`,
    ),
    '',
    pc.dim('events'),
    rows(['valid', 'bad', 'duplicates', 'dead']),
    pc.dim('people'),
    rows(['profiles', 'merges']),
    pc.dim('segments and destinations'),
    rows(['entered', 'exited', 'activated', 'delivered']),
    '',
    `latency of a chunk: p50 ${duration(latency.p50)}, p95 ${duration(latency.p95)}, p99 ${duration(latency.p99)}`,
    pc.dim(`profiles ${result.profilesDigest}`),
    ...(folder === undefined
      ? []
      : [pc.dim(`kept in ${folder}; look into it with \`millrace dump profiles --data ${folder}\``)]),
  ].join('\n')
}
