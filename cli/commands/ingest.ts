/** `millrace ingest`: events of a file. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { RawFormat } from '../../schemas/avro/types.ts'
import type { ClusterIngestResult } from '../cluster/ingest.ts'
import { addPlaceFlags, type PlaceFlags, placeOfFlags } from '../cluster/options.ts'
import type { IngestResult } from '../ingest.ts'
import { rawFormats, workspaceOption } from '../options.ts'
import { grouped, type Progress, printJson, startProgress, table } from '../terminal.ts'

type Options = PlaceFlags & {
  readonly format: RawFormat
  readonly history?: boolean
  readonly workspace: string
  readonly json?: true
}

export function addIngest(program: Command): void {
  const command = program
    .command('ingest')
    .summary('take in events from a file')
    .description(
      'Takes in the events of a file and lets them come through to the end. tp2: a line is a payload_data JSON or the\n' +
        'parameters of one event; ndjson: a line is one object of atomic fields; tsv: enriched events; segment: a line is a\n' +
        "call of the Segment spec, or a batch; thrift: collector payloads, as `kcat -f '%R%s'` writes them (each behind its\n" +
        'length, four bytes, big-endian). What is no event becomes a bad row.\n' +
        'Into a data folder that nothing runs on, or into a cluster, whose processes take it from there.',
    )
    .argument('<file>', 'a file, or - for standard input')
    .addOption(new Option('--format <format>', 'of a line').choices(rawFormats).makeOptionMandatory())
    .option('--history', 'give the events the time they say they had, and fire what was due until today')
  addPlaceFlags(command)
    .addOption(workspaceOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace ingest events.ndjson --format ndjson --history\n  $ zcat payloads.gz | millrace ingest - --format tp2 --json\n' +
        "  $ kcat -C -b localhost:9092 -t snowplow-collector-payloads -e -f '%R%s' | millrace ingest - --format thrift\n",
    )
    .action(async (path: string, { format, history = false, workspace, json, ...flags }: Options) => {
      const place = placeOfFlags(flags, command)
      let progress: Progress | undefined
      const input = {
        path,
        format,
        history,
        workspaceFolder: workspace,
        onStart: (totalBytes: number | null) => {
          progress = startProgress(path, totalBytes ?? 0, 'bytes')
        },
        onProgress: (bytes: number) => progress?.update(bytes),
      }
      try {
        if (place.kind === 'cluster') {
          const { ingestIntoCluster } = await import('../cluster/ingest.ts')
          const result = await ingestIntoCluster({ ...input, place, onWaiting })
          progress?.end()
          if (json) printJson(result)
          else console.log(clusterSummary(result))
        } else {
          const { ingest } = await import('../ingest.ts')
          const result = await ingest({ ...input, dataFolder: place.dataFolder })
          progress?.end()
          if (json) printJson(result)
          else console.log(summary(result, place.dataFolder))
        }
      } finally {
        progress?.end()
      }
    })
}

/** A history goes no faster than the stages that take it in. */
function onWaiting(task: string): void {
  const stage = task.slice(0, task.indexOf('/'))
  console.error(`millrace: waiting for ${task}; is \`millrace run --stage ${stage}\`, or \`--all\`, running?`)
}

function clusterSummary({ events, resumedAt, seconds }: ClusterIngestResult): string {
  const before = resumedAt > 0 ? `; ${grouped(resumedAt)} were in already, from a run that was interrupted` : ''
  return `${pc.bold(`${grouped(events)} events are in the log`)} after ${seconds.toFixed(1)} s${before}`
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
