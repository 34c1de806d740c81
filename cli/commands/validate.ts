/** `millrace validate`: which events of a file are good, and why others are not. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { RawFormat } from '../../schemas/avro/types.ts'
import { rawFormats, workspaceOption } from '../options.ts'
import { grouped, type Progress, printJson, startProgress, table } from '../terminal.ts'
import type { ValidateResult } from '../validate.ts'

type Options = {
  readonly format: RawFormat
  readonly out: string
  readonly workspace: string
  readonly json?: true
}

export function addValidate(program: Command): void {
  program
    .command('validate')
    .summary('check a file of events, with nothing running')
    .description(
      'Checks the events of a file against the schemas of a workspace, and needs nothing but these two. Writes to a folder:\n' +
        'good.ndjson, the events as `ingest --format ndjson` takes them; bad.ndjson, a Snowplow bad row for each of the\n' +
        'others; summary.json. Formats are those of `ingest`.',
    )
    .argument('<file>', 'a file, or - for standard input')
    .addOption(new Option('--format <format>', 'of the file').choices(rawFormats).makeOptionMandatory())
    .addOption(new Option('--out <folder>', 'where the results go').makeOptionMandatory())
    .addOption(workspaceOption())
    .option('--json', 'the summary as one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace validate events.ndjson --format ndjson --out checked --workspace my-shop\n' +
        '  $ zcat enriched.tsv.gz | millrace validate - --format tsv --out checked --json\n',
    )
    .action(async (path: string, { format, out, workspace, json }: Options) => {
      const { validateFile } = await import('../validate.ts')
      let progress: Progress | undefined
      try {
        const result = await validateFile({
          path,
          format,
          outFolder: out,
          workspaceFolder: workspace,
          onStart: (totalBytes) => {
            progress = startProgress(path, totalBytes ?? 0, 'bytes')
          },
          onProgress: (bytes) => progress?.update(bytes),
        })
        progress?.end()
        if (json) printJson(result)
        else console.log(summary(result, out))
      } finally {
        progress?.end()
      }
    })
}

function summary({ events, good, bad, kinds, reasons, seconds }: ValidateResult, out: string): string {
  const rows = [['good', good] as const, ['bad', bad] as const, ...Object.entries(kinds)]
  const shown = reasons.slice(0, 10)
  const width = Math.max(0, ...shown.map(({ events: count }) => grouped(count).length))
  return [
    pc.bold(`${grouped(events)} events in ${seconds.toFixed(1)} s`),
    table(rows.map(([name, count], row) => [row < 2 ? name : `  ${name}`, grouped(count)])),
    ...(shown.length > 0 ? ['', pc.bold('why')] : []),
    ...shown.map(({ events: count, reason }) => `  ${grouped(count).padStart(width)}  ${reason.slice(0, 200)}`),
    pc.dim(`written to ${out}`),
  ].join('\n')
}
