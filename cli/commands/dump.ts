/** `millrace dump`: what is in a topic. */
import { once } from 'node:events'
import { inspect } from 'node:util'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { addPlaceFlags, type PlaceFlags, placeOfFlags } from '../cluster/options.ts'
import type { DumpedRecord, DumpOptions, EventFormat } from '../dump.ts'
import { integer } from '../options.ts'

type Options = PlaceFlags & DumpOptions & { readonly format?: EventFormat | 'json'; readonly json?: true }

export function addDump(program: Command): void {
  const command = program
    .command('dump')
    .summary('print the records of a topic')
    .description(
      'Prints the records of a topic, decoded, partition after partition; of a cluster, or of a data folder that nothing\n' +
        'runs on.',
    )
    .argument('<topic>', 'such as profiles, segments.memberships or events.bad; `millrace topology` names them')
    .addOption(new Option('--from <offset>', 'begin there, in each partition').argParser(integer(0, 1e15)))
    .addOption(new Option('--max <count>', 'print so many records').argParser(integer(0, 1e15)))
    .addOption(new Option('--partition <number>', 'only this one').argParser(integer(0, 1e6)))
  addPlaceFlags(command)
    .addOption(
      new Option(
        '--format <format>',
        'json: a line for each record; tombstones have value null, bytes are base64. tsv, sdk-json: only events, a line each, as Snowplow enriches them and as its Analytics SDKs give them',
      ).choices(['json', 'tsv', 'sdk-json']),
    )
    .option('--json', 'the same as --format json')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dump segments.memberships --max 10\n  $ millrace dump profiles --json | jq .value.traits\n  $ millrace dump events.bad --json --from 100 --partition 0\n  $ millrace dump events.identified --format tsv > enriched.tsv\n',
    )
    .action(async (topic: string, { json, format = json && 'json', from, max, partition, ...flags }: Options) => {
      const [{ withLogAt }, { dump, dumpEvents }] = await Promise.all([import('../place.ts'), import('../dump.ts')])
      const options = {
        ...(from !== undefined && { from }),
        ...(max !== undefined && { max }),
        ...(partition !== undefined && { partition }),
      }
      await withLogAt(placeOfFlags(flags, command), async (log, codec) => {
        const write = async (line: string): Promise<void> => {
          if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
        }
        if (format === 'tsv' || format === 'sdk-json') {
          for await (const line of dumpEvents(log, codec, topic, format, options)) await write(line)
        } else {
          for await (const record of dump(log, codec, topic, options))
            await write(format === 'json' ? JSON.stringify(record) : readable(record))
        }
      })
    })
}

function readable({ topic, partition, offset, kind, key, timestamp, value }: DumpedRecord): string {
  const head = `${pc.cyan(`${topic}/${partition}@${offset}`)} ${pc.dim(timestamp)} ${pc.bold(kind)} ${key}`
  if (value === null) return `${head} ${pc.yellow('tombstone')}`
  const text = inspect(value, {
    depth: 12,
    colors: pc.isColorSupported,
    breakLength: 100,
    compact: 3,
    maxStringLength: 500,
  })
  return `${head}\n${text.replace(/^/gm, '  ')}`
}
