/** `millrace replay`: the past once more, beside what is live. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { Partitions } from '../../topologies/customer-data.ts'
import { addPlaceFlags, type PlaceFlags, placeOfFlags } from '../cluster/options.ts'
import { partitionCounts, workspaceOption } from '../options.ts'
import type { Comparison, Difference } from '../replay/compare.ts'
import type { Promotion } from '../replay/promote.ts'
import type { ReplayResult } from '../replay/replay.ts'
import type { ListedReplay } from '../replay/replays.ts'
import type { SameBytes } from '../replay/same-bytes.ts'
import { grouped, type Progress, printJson, startProgress, table } from '../terminal.ts'

type Options = PlaceFlags & { readonly name: string; readonly json?: true }
type ReplayOptions = Omit<Options, 'name'> & {
  readonly name?: string
  readonly stage?: string
  readonly from?: string
  readonly to?: string
  readonly partitions?: Partial<Partitions>
  readonly workspace: string
  readonly state: string
}

type PromoteOptions = Options & { readonly workspace: string; readonly state: string }
type DeleteOptions = Omit<Options, 'name'> & { readonly state: string }

const nameOption = (): Option => new Option('--name <name>', 'of the replay')

const stateOption = (): Option =>
  new Option(
    '--state <folder>',
    'on a cluster: of a process of this deployment, for its tenant key; stores of the replay go below it',
  ).default('.millrace/run')

export function addReplay(program: Command): void {
  const command = program
    .command('replay')
    .summary('run the past once more, beside what is live, and compare')
    .description(
      'Runs what the log holds once more, into topics (replay.<name>.…) and stores of its own; no destination hears of it.\n' +
        'All stages from the events of events.raw, under the definitions in force now; or one stage from its inbox, whose\n' +
        'output is the same byte for byte. Run again, it goes on where it was, and catches up with what has come since.\n' +
        'On a cluster while it runs, or in a data folder that nothing runs on.',
    )
    .helpCommand(false)
    .addOption(nameOption())
    .addOption(new Option('--stage <name>', 'only this one, from its inbox').choices(['identify', 'graph', 'profile']))
    .addOption(
      new Option(
        '--from <place>',
        'an instant of log time, or offsets by partition: 0:1500,1:1400 (default: the first)',
      ),
    )
    .addOption(new Option('--to <place>', 'likewise, and up to there (default: what is there now)'))
    .addOption(
      new Option('--partitions <counts>', 'of the stages, such as identify=6,profile=6 (default: as live)')
        .argParser(partitionCounts)
        .conflicts('stage'),
    )
  addPlaceFlags(command)
    .addOption(workspaceOption())
    .addOption(stateOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace replay --name new-rules\n  $ millrace replay --name wider --partitions identify=6,profile=6\n  $ millrace replay --name audit --stage profile\n  $ millrace replay --name november --from 2026-11-01 --to 2026-12-01\n',
    )
    .action(async (options: ReplayOptions) => {
      const result = await run(options, command)
      if (options.json) printJson(result)
      else console.log(summary(result))
    })

  addPlaceFlags(command.command('compare'))
    .summary('what a replay came to, beside what is live')
    .description(
      'Shows who is in which segment live, in the replay, and in both; likewise which profiles there are, and which links the\n' +
        'identity graph refused. With --bytes whether a replay of one stage wrote what the stage had written.',
    )
    .addOption(nameOption().makeOptionMandatory())
    .option('--bytes', 'byte for byte, for a replay of one stage')
    .option('--exit-code', 'end with 1 when there is a difference')
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace replay compare --name new-rules\n  $ millrace replay compare --name audit --bytes --exit-code\n',
    )
    .action(async (options: Options & { readonly bytes?: true; readonly exitCode?: true }, compare: Command) => {
      const { name, json, bytes, exitCode } = options
      const place = placeOfFlags(options, compare)
      const { withDeploymentAt } = await import('../place.ts')
      let differs: boolean
      if (bytes) {
        const { compareBytes } = await import('../replay/same-bytes.ts')
        const compared = await withDeploymentAt(place, (deployment) => compareBytes(deployment, name))
        if (json) printJson(compared)
        else console.log(compared.map(readableBytes).join('\n'))
        differs = compared.some(({ differing }) => differing > 0)
      } else {
        const { compareReplay } = await import('../replay/compare.ts')
        const comparison = await withDeploymentAt(place, (deployment) => compareReplay(deployment, name))
        if (json) printJson(comparison)
        else console.log(readable(comparison))
        differs = differencesIn(comparison).some(([, { onlyLive, onlyReplay }]) => onlyLive + onlyReplay > 0)
      }
      if (exitCode && differs) process.exitCode = 1
    })

  addPlaceFlags(command.command('promote'))
    .summary('go on where a replay is, in place of what is live')
    .description(
      'Lets the replay catch up, and brings it into force: stages go on in its topics, over its partitions. Readers and\n' +
        'destinations keep theirs, and are told what is different from then on, nothing else. The deployment and its\n' +
        'collectors have to be stopped, and are started again afterwards. Look at `replay compare` first. Can be run again\n' +
        'at any time: then it takes over what a collector still sent to where nobody reads any more.',
    )
    .addOption(nameOption().makeOptionMandatory())
    .addOption(workspaceOption())
    .addOption(stateOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText('after', '\nExamples:\n  $ millrace replay promote --name wider\n')
    .action(async (options: PromoteOptions, promoting: Command) => {
      const { name, json, workspace, state } = options
      const [{ openLive }, { promote }] = await Promise.all([
        import('../replay/live.ts'),
        import('../replay/promote.ts'),
      ])
      let progress: Progress | undefined
      const place = placeOfFlags(options, promoting)
      const live = await openLive({ place, workspaceFolder: workspace, stateFolder: state })
      try {
        const promotion = await promote(live, {
          name,
          onStart: (records) => {
            progress?.end()
            progress = startProgress(`replay ${name}`, records, 'records')
          },
          onProgress: (records) => progress?.update(records),
        })
        progress?.end()
        if (json) printJson(promotion)
        else console.log(readablePromotion(promotion))
      } finally {
        progress?.end()
        await live.close()
      }
    })

  addPlaceFlags(command.command('list'))
    .summary('list the replays there are, and what was promoted')
    .description('Lists the generations that are kept, the first one being `original`, and the replays beside them.')
    .option('--json', 'one JSON line for machines')
    .addHelpText('after', '\nExamples:\n  $ millrace replay list\n')
    .action(async (options: Options, list: Command) => {
      const [{ withDeploymentAt }, { listReplays }] = await Promise.all([
        import('../place.ts'),
        import('../replay/replays.ts'),
      ])
      const replays = await withDeploymentAt(placeOfFlags(options, list), listReplays)
      if (options.json) printJson(replays)
      else console.log(table(replays.map((replay) => [replay.name, readableReplay(replay)])))
    })

  addPlaceFlags(command.command('delete'))
    .summary('delete a replay, or a generation that is no longer in force')
    .description(
      'Deletes the topics of a replay, and its stores on this machine. After a promotion the generation before can be\n' +
        'deleted in the same way; the first one is called `original`.',
    )
    .argument('<name>', 'of the replay')
    .addOption(stateOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText('after', '\nExamples:\n  $ millrace replay delete audit\n  $ millrace replay delete original\n')
    .action(async (name: string, options: DeleteOptions, deleting: Command) => {
      const [{ withDeploymentAt }, { deleteReplay }, { storeFolders }] = await Promise.all([
        import('../place.ts'),
        import('../replay/replays.ts'),
        import('../replay/live.ts'),
      ])
      const place = placeOfFlags(options, deleting)
      const topics = await withDeploymentAt(place, (deployment) =>
        deleteReplay(deployment, storeFolders(place, options.state), name),
      )
      if (options.json) printJson({ name, topics })
      else console.log(`deleted ${name}: ${grouped(topics)} topics`)
    })
}

async function run(options: ReplayOptions, command: Command): Promise<ReplayResult> {
  const { name, stage, partitions = {}, workspace, state } = options
  // Were it mandatory to commander, its subcommands would miss it.
  if (name === undefined) command.error("error: required option '--name <name>' not specified")
  const [{ openLive }, { boundOf }] = await Promise.all([import('../replay/live.ts'), import('../replay/ranges.ts')])
  let progress: Progress | undefined
  const common = {
    name,
    ...(options.from !== undefined && { from: boundOf(options.from) }),
    ...(options.to !== undefined && { to: boundOf(options.to) }),
    onStart: (records: number) => {
      progress = startProgress(`replay ${name}`, records, 'records')
    },
    onProgress: (records: number) => progress?.update(records),
  }
  const place = placeOfFlags(options, command)
  const live = await openLive({ place, workspaceFolder: workspace, stateFolder: state })
  try {
    if (stage === undefined) {
      const { rebuild } = await import('../replay/rebuild.ts')
      return await rebuild(live, { ...common, partitions })
    }
    const { reprocess } = await import('../replay/reprocess.ts')
    return await reprocess(live, { ...common, stage })
  } finally {
    progress?.end()
    await live.close()
  }
}

// --- output ---

function summary({ name, stage, records, seconds, ...totals }: ReplayResult): string {
  const names = ['events', 'valid', 'bad', 'duplicates', 'dead', 'profiles', 'merges', 'entered', 'exited'] as const
  const shown = names.filter((counter) => stage === null || totals[counter] > 0)
  return [
    pc.bold(`${grouped(records)} records in ${seconds.toFixed(1)} s`),
    ...(shown.length > 0 ? [table(shown.map((counter) => [counter, grouped(totals[counter])]))] : []),
    pc.dim(`millrace replay compare --name ${name}${stage === null ? '' : ' --bytes'} shows what came out differently`),
  ].join('\n')
}

function readablePromotion({ name, generation, adopted, takenOver }: Promotion): string {
  if (adopted === 0)
    return `${pc.bold(name)} is in force already, as generation ${generation}; ${grouped(takenOver)} records were taken over`
  return [
    pc.bold(`${name} is in force, as generation ${generation}`),
    `${grouped(adopted)} profiles and aliases go on from what was told of them`,
    pc.dim('start the deployment again; what is different leaves with its first steps'),
  ].join('\n')
}

function readableReplay({ generation, inForce, stage, topics }: ListedReplay): string {
  const what = generation === null ? `replay of ${stage ?? 'all stages'}` : `generation ${generation}`
  return `${what}, ${grouped(topics)} topics${inForce ? pc.green(', in force') : ''}`
}

function differencesIn({ segments, profiles, refusedLinks }: Comparison): readonly (readonly [string, Difference])[] {
  return [
    ...Object.entries(segments ?? {}).map(([id, difference]) => [`segment ${id}`, difference] as const),
    ...(profiles ? [['profiles', profiles] as const] : []),
    ...(refusedLinks ? [['refused links', refusedLinks] as const] : []),
  ]
}

function readable(comparison: Comparison): string {
  const differences = differencesIn(comparison)
  const lines = differences.flatMap(([what, difference]) => {
    const { same, onlyLive, onlyReplay, examplesLive, examplesReplay } = difference
    const counts = [
      `${grouped(same)} in both`,
      `${grouped(onlyLive)} only live`,
      `${grouped(onlyReplay)} only in the replay`,
    ]
    return [
      `${pc.bold(what)}: ${counts.join(', ')}`,
      ...examples(pc.red('-'), examplesLive, onlyLive),
      ...examples(pc.green('+'), examplesReplay, onlyReplay),
    ]
  })
  if (differences.length === 0) lines.push('the stage decides neither segments nor links; compare it with --bytes')
  if (comparison.behind > 0)
    lines.push(
      pc.yellow(`${grouped(comparison.behind)} records have come since; \`millrace replay\` catches up with them`),
    )
  return lines.join('\n')
}

function examples(sign: string, shown: readonly string[], of: number): string[] {
  const more = of - shown.length
  return [...shown.map((each) => `  ${sign} ${each}`), ...(more > 0 ? [`  ${sign} and ${grouped(more)} more`] : [])]
}

function readableBytes({ topic, keys, differing, examples: shown }: SameBytes): string {
  const outcome = differing === 0 ? pc.green('equal') : pc.red(`${grouped(differing)} differ`)
  return [`${pc.bold(topic)}: ${grouped(keys)} keys, ${outcome}`, ...examples(' ', shown, differing)].join('\n')
}
