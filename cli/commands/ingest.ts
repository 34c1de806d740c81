/** `millrace ingest`: events of a file. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { RawFormat } from '../../schemas/avro/types.ts'
import type { IngestResult } from '../ingest.ts'
import { dataOption, workspaceOption } from '../options.ts'
import { grouped, type Progress, printJson, startProgress, table } from '../terminal.ts'

type Options = {
  readonly format: RawFormat
  readonly history?: boolean
  readonly data: string
  readonly workspace: string
  readonly json?: true
}

export function addIngest(program: Command): void {
  program
    .command('ingest')
    .summary('take in events from a file')
    .description(
      'Takes in the events of a file and lets them come through to the end. tp2: a line is a payload_data JSON or the\n' +
        'parameters of one event; ndjson: a line is one object of atomic fields. Lines that are no events become bad rows.',
    )
    .argument('<file>', 'a file, or - for standard input')
    .addOption(new Option('--format <format>', 'of a line').choices(['tp2', 'ndjson']).makeOptionMandatory())
    .option('--history', 'give the events the time they say they had, and fire what was due until today')
    .addOption(dataOption())
    .addOption(workspaceOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace ingest events.ndjson --format ndjson --history\n  $ zcat payloads.gz | millrace ingest - --format tp2 --json\n',
    )
    .action(async (path: string, { format, history = false, data, workspace, json }: Options) => {
      const { ingest } = await import('../ingest.ts')
      let progress: Progress | undefined
      const result = await ingest({
        path,
        format,
        history,
        dataFolder: data,
        workspaceFolder: workspace,
        onStart: (totalBytes) => {
          progress = startProgress(path, totalBytes ?? 0, 'bytes')
        },
        onProgress: (bytes) => progress?.update(bytes),
      }).finally(() => progress?.end())
      if (json) printJson(result)
      else console.log(summary(result, data))
    })
}

function summary(result: IngestResult, folder: string): string {
  const names = ['valid', 'bad', 'duplicates', 'dead', 'profiles', 'merges', 'entered', 'exited', 'activated'] as const
  return [
    pc.bold(`${grouped(result.events)} events in ${result.seconds.toFixed(1)} s`),
    ...(result.resumedAt > 0 ? [`${grouped(result.resumedAt)} were in already, from a run that was interrupted`] : []),
    table(names.map((name) => [name, grouped(result[name])])),
    pc.dim(`kept in ${folder}`),
  ].join('\n')
}
