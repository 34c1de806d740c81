/** `millrace dump`: what is in a topic. */
import { once } from 'node:events'
import { inspect } from 'node:util'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { DumpedRecord, DumpOptions } from '../dump.ts'
import { dataOption, integer } from '../options.ts'

type Options = DumpOptions & { readonly data: string; readonly json?: true }

export function addDump(program: Command): void {
  program
    .command('dump')
    .summary('print the records of a topic')
    .description(
      'Prints the records of a topic, decoded, partition after partition. Nothing may run on the data folder.',
    )
    .argument('<topic>', 'such as profiles, segments.memberships or events.bad; `millrace topology` names them')
    .addOption(new Option('--from <offset>', 'begin there, in each partition').argParser(integer(0, 1e15)))
    .addOption(new Option('--max <count>', 'print so many records').argParser(integer(0, 1e15)))
    .addOption(new Option('--partition <number>', 'only this one').argParser(integer(0, 1e6)))
    .addOption(dataOption())
    .option('--json', 'a JSON line for each record; tombstones have value null, bytes are base64')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dump segments.memberships --max 10\n  $ millrace dump profiles --json | jq .value.traits\n  $ millrace dump events.bad --json --from 100 --partition 0\n',
    )
    .action(async (topic: string, { data, json, ...options }: Options) => {
      const [{ withLog }, { dump }] = await Promise.all([import('../data.ts'), import('../dump.ts')])
      await withLog(data, async (log, codec) => {
        for await (const record of dump(log, codec, topic, options)) {
          const kept = process.stdout.write(`${json ? JSON.stringify(record) : readable(record)}\n`)
          if (!kept) await once(process.stdout, 'drain')
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
