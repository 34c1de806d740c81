/** `millrace dead`: what could not be processed, and the way back. */
import { inspect } from 'node:util'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { addPlaceFlags, type PlaceFlags, placeOfFlags } from '../cluster/options.ts'
import type { LetterFilter, LetterGroup, Replayed } from '../dead.ts'
import { grouped, type Progress, printJson, startProgress } from '../terminal.ts'

type Options = PlaceFlags & { readonly json?: true }
type ReplayOptions = Options & LetterFilter & { readonly all?: true; readonly dryRun?: true }

export function addDead(program: Command): void {
  const dead = program
    .command('dead')
    .summary('look at what could not be processed, and put it back')
    .description(
      'Dead letters: records and timers whose processing failed; on a cluster, or in a data folder that nothing runs on.',
    )
    .helpCommand(false)

  addPlaceFlags(addFilter(dead.command('list')))
    .summary('group the dead letters by stage, code and kind')
    .description('Groups the dead letters by stage, code and kind: how many, since when, and the newest as an example.')
    .option('--json', 'one JSON line for machines')
    .addHelpText('after', '\nExamples:\n  $ millrace dead list\n  $ millrace dead list --stage profile --json\n')
    .action(async ({ json, stage, code, ...options }: Options & LetterFilter, command: Command) => {
      const [{ withLogAt }, { groupLetters }] = await Promise.all([import('../place.ts'), import('../dead.ts')])
      const filter = filterOf(stage, code)
      const groups = await withProgress('reading dead letters', (onProgress) =>
        withLogAt(placeOfFlags(options, command), (log, codec) => groupLetters(log, codec, filter, onProgress)),
      )
      if (json) printJson(groups)
      else console.log(groups.length === 0 ? 'no dead letters' : groups.map(readableGroup).join('\n\n'))
    })

  addPlaceFlags(dead.command('show'))
    .summary('print one dead letter')
    .description('Prints one dead letter with all that is in it decoded: the record or timer, its row, and the cause.')
    .argument('<letter>', 'its place, as `dead list` names it: identify.dead/0@17')
    .option('--json', 'one JSON line for machines; bytes are base64')
    .addHelpText('after', '\nExamples:\n  $ millrace dead show identify.dead/0@17\n')
    .action(async (place: string, { json, ...options }: Options, command: Command) => {
      const [{ withLogAt }, { placeOf, readLetter }] = await Promise.all([import('../place.ts'), import('../dead.ts')])
      const letter = await withLogAt(placeOfFlags(options, command), (log, codec) =>
        readLetter(log, codec, placeOf(place)),
      )
      if (json) printJson(letter)
      else console.log(inspect(letter, { depth: 12, colors: pc.isColorSupported, breakLength: 100, compact: 3 }))
    })

  addPlaceFlags(addFilter(dead.command('replay')))
    .summary('put the records of dead letters back into their inboxes')
    .description(
      'Puts records back into the inbox partitions they came from, byte for byte, once each. Timers cannot go back. Name\n' +
        'one letter, or say which by --stage and --code, or --all.',
    )
    .argument('[letter]', 'its place, as `dead list` names it: identify.dead/0@17')
    .option('--all', 'every one')
    .option('--dry-run', 'count them, and change nothing')
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dead replay --stage profile --code EXCEPTION --dry-run\n  $ millrace dead replay identify.dead/0@17\n  $ millrace dead replay --all\n',
    )
    .action(async (place: string | undefined, options: ReplayOptions, command: Command) => {
      const { json, all, dryRun = false, stage, code } = options
      const filtered = stage !== undefined || code !== undefined
      if ([place !== undefined, filtered, all === true].filter(Boolean).length !== 1)
        command.error('error: name one letter, or say which by --stage and --code, or --all')
      const [{ withLogAt }, { placeOf, replayLetters }] = await Promise.all([
        import('../place.ts'),
        import('../dead.ts'),
      ])
      const letters = place === undefined ? filterOf(stage, code) : placeOf(place)
      const result = await withProgress('replaying dead letters', (onProgress) =>
        withLogAt(placeOfFlags(options, command), (log, codec) =>
          replayLetters(log, codec, { letters, dryRun, onProgress }),
        ),
      )
      if (json) printJson({ dryRun, ...result })
      else console.log(readableResult(result, dryRun))
    })
}

function addFilter(command: Command): Command {
  return command
    .addOption(new Option('--stage <name>', 'only those of this stage, or destination'))
    .addOption(new Option('--code <code>', 'only those with this cause'))
}

function filterOf(stage: string | undefined, code: string | undefined): LetterFilter {
  return { ...(stage !== undefined && { stage }), ...(code !== undefined && { code }) }
}

/** A bar while `work` tells how far it is. */
async function withProgress<Result>(
  what: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<Result>,
): Promise<Result> {
  let progress: Progress | undefined
  try {
    return await work((done, total) => {
      progress ??= startProgress(what, total, 'letters')
      progress.update(done)
    })
  } finally {
    progress?.end()
  }
}

function readableGroup({
  stage,
  code,
  kind,
  letters,
  replayed,
  firstMs,
  lastMs,
  example,
  message,
}: LetterGroup): string {
  const back = replayed > 0 ? pc.dim(` (${grouped(replayed)} replayed)`) : ''
  return [
    `${pc.bold(stage)} ${pc.red(code)} ${kind}: ${grouped(letters)}${back}`,
    pc.dim(`  ${instant(firstMs)} to ${instant(lastMs)}`),
    `  ${pc.cyan(example)} ${message.length > 200 ? `${message.slice(0, 199)}…` : message}`,
  ].join('\n')
}

function readableResult({ replayed, skipped }: Replayed, dryRun: boolean): string {
  const reasons = [
    [skipped.done, 'had been put back before'],
    [skipped.timers, 'are timers, whose rows have gone on without them: a timer is no record that could go back'],
    [skipped.homeless, 'came from a partition that is no more'],
  ] as const
  return [
    `${pc.bold(grouped(replayed))} ${dryRun ? 'would go back' : 'went back'}`,
    ...reasons.filter(([count]) => count > 0).map(([count, why]) => `  ${grouped(count)} skipped: they ${why}`),
  ].join('\n')
}

/** UTC, to the second. */
function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}
