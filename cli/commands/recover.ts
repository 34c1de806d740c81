/** `millrace recover`: bad rows, mended, become events. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { addPlaceFlags, type PlaceFlags, placeOfFlags } from '../cluster/options.ts'
import type { Recovered } from '../recover.ts'
import { grouped, type Progress, printJson, startProgress } from '../terminal.ts'

type Options = PlaceFlags & { readonly flow: string; readonly dryRun?: boolean; readonly json?: true }

export function addRecover(program: Command): void {
  const command = program
    .command('recover')
    .summary('mend bad rows and put their events back')
    .description(
      'Mends the rows of events.bad by flows in the format of Snowplow event recovery, and puts their events back, with\n' +
        'their ids and times. Each row goes back once, however often this is run. On a cluster, or in a data folder that\n' +
        'nothing runs on, where the events come through at the next start.',
    )
    .requiredOption('--flow <file>', 'recoveries/jsonschema/4-0-0: conditions and steps for each schema of bad rows')
  addPlaceFlags(command)
    .option('--dry-run', 'count the rows, and change nothing')
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace recover --flow flow.json --dry-run\n  $ millrace recover --flow flow.json --json\n',
    )
    .action(async ({ flow, dryRun = false, json, ...flags }: Options) => {
      const [{ withLogAt }, { readFlows, recoverRows }] = await Promise.all([
        import('../place.ts'),
        import('../recover.ts'),
      ])
      const flows = await readFlows(flow)
      let progress: Progress | undefined
      const onProgress = (done: number, total: number): void => {
        progress ??= startProgress('bad rows', total, 'records')
        progress.update(done)
      }
      try {
        const result = await withLogAt(placeOfFlags(flags, command), (log, codec) =>
          recoverRows(log, codec, { flows, dryRun, onProgress }),
        )
        progress?.end()
        if (json) printJson({ dryRun, ...result })
        else console.log(summary(result, dryRun))
      } finally {
        progress?.end()
      }
    })
}

function summary({ recovered, events, errors, ...counts }: Recovered, dryRun: boolean): string {
  const others = [
    [counts.done, 'were dealt with before'],
    [counts.unmatched, 'have no flow'],
    [counts.unrecoverable, 'hold too little of an event'],
    [counts.failed, 'have a flow that does not fit them'],
  ] as const
  return [
    `${pc.bold(grouped(recovered))} of ${grouped(counts.rows)} bad rows ${dryRun ? 'would go back' : 'went back'}, as ${grouped(events)} events`,
    ...others.filter(([count]) => count > 0).map(([count, why]) => `  ${grouped(count)} ${why}`),
    ...errors.map(({ error, rows }) => pc.dim(`    ${grouped(rows)}  ${error}`)),
  ].join('\n')
}
