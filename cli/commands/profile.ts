/** `millrace profile get`: everything known of one customer. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { TraitType } from '../../schemas/definitions.ts'
import type { ProfileAnswer } from '../../serving/profile-answer.ts'
import type { Freshness } from '../../serving/redis/profile-cache.ts'
import { dataOption, redisOption, redisUrlOf, workspaceOption } from '../options.ts'
import type { FoundProfile } from '../profile-query.ts'
import { duration, grouped, printJson } from '../terminal.ts'

type Options = {
  readonly data: string
  readonly workspace: string
  readonly redis?: string | true
  readonly json?: true
}

/** An answer from Redis is called late when its writer has not been heard of for so long. */
const silentMsMax = 10_000

export function addProfile(program: Command): void {
  const profile = program
    .command('profile')
    .summary('look at customers')
    .description('Looks at customers.')
    .helpCommand(false)
  profile
    .command('get')
    .summary('everything known of one customer')
    .description(
      'Shows one profile: traits and where they come from, identifiers, consents, and the segments it is in.\n' +
        'It is read from Redis with --redis, or where REDIS_URL is set and --data is not given; that `millrace start --redis`\n' +
        'keeps up. Otherwise from the topics in the data folder, on which nothing may run.',
    )
    .argument('<profile>', 'a profile id (one that was merged will do), or namespace:value')
    .addOption(dataOption())
    .addOption(redisOption('reads it there'))
    .addOption(workspaceOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace profile get 5f3c2a10-1111-8222-9333-444455556666\n  $ millrace profile get email:anna@example.com --json\n  $ millrace profile get domain_userid:my-browser\n  $ millrace profile get email:anna@example.com --redis redis://localhost:6379\n',
    )
    .action(async (wanted: string, options: Options, command: Command) => {
      const found = await find(wanted, options, command.getOptionValueSource('data') === 'cli')
      if (options.json) printJson(found.profile)
      else console.log(readable(found))
    })
}

async function find(wanted: string, { data, workspace, redis }: Options, dataIsGiven: boolean): Promise<FoundProfile> {
  const { findCachedProfile, findProfile } = await import('../profile-query.ts')
  const { env } = process
  if (redis === undefined && (dataIsGiven || !env['REDIS_URL'])) {
    const { withLog } = await import('../data.ts')
    return withLog(data, (log, codec) => findProfile(log, codec, wanted))
  }
  const redisUrl = redisUrlOf(redis ?? true, env)
  const found = await findCachedProfile({ redisUrl, workspaceFolder: workspace, dataFolder: data, env }, wanted)
  const late = lateness(found.freshness)
  if (late) console.error(`millrace: this may not be the latest: ${late}`)
  return found
}

/** Why an answer from Redis may be behind the log; null when it is not. */
function lateness({ behind, silentMs }: Freshness): string | null {
  if (silentMs > silentMsMax) return `nothing has been written to Redis for ${duration(silentMs)}`
  return behind > 0 ? `${grouped(behind)} records are still to be written to Redis` : null
}

function readable({ profile, traitTypes }: FoundProfile): string {
  const { traits, identifiers, consents, memberships, mergedFrom } = profile
  const sections = [
    section(
      'identifiers',
      ['namespace', 'value', 'last seen'],
      identifiers.map(({ namespace, value, lastSeenMs }) => [namespace, value, instant(lastSeenMs)]),
    ),
    section(
      'segments',
      ['segment', 'since', 'until'],
      memberships.map(({ segmentId, sinceMs, untilMs }) => [
        segmentId,
        instant(sinceMs),
        untilMs === null ? 'an event says otherwise' : instant(untilMs),
      ]),
    ),
    section(
      'traits',
      ['trait', 'value', 'as of', 'source', 'event'],
      Object.entries(traits)
        .sort(byName)
        .map(([id, { value, eventTimeMs, source, eventId }]) => [
          id,
          shown(value, traitTypes.get(id)),
          instant(eventTimeMs),
          source,
          eventId,
        ]),
    ),
    section(
      'consents',
      ['purpose', 'decision', 'as of'],
      Object.entries(consents)
        .sort(byName)
        .map(([purpose, { granted, eventTimeMs }]) => [purpose, granted ? 'granted' : 'denied', instant(eventTimeMs)]),
    ),
  ]
  return [
    `${pc.bold(profile.profileId)}${mergedFrom.length > 0 ? pc.dim(`  (${mergedFrom.join(' → ')} was merged into it)`) : ''}`,
    pc.dim(`${profile.events} events, from ${instant(profile.firstSeenMs)} to ${instant(profile.lastSeenMs)}`),
    ...sections.flatMap((lines) => ['', ...lines]),
  ].join('\n')
}

function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [`${pc.bold(title)} ${pc.dim('none')}`]
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]!.length)))
  const line = (cells: readonly string[]): string =>
    `  ${cells
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd()}`
  return [pc.bold(title), pc.dim(line(head)), ...rows.map(line)]
}

function shown(value: ProfileAnswer['traits'][string]['value'], type: TraitType | undefined): string {
  if (type === 'timestamp' && typeof value === 'number') return instant(value)
  const text = Array.isArray(value) ? value.join(', ') : String(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** UTC, to the second. */
function instant(ms: number): string {
  if (Math.abs(ms) > 8.64e15) return '-'
  return ms === 0 ? '-' : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
