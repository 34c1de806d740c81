/** `millrace profile get`: everything known of one customer. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { TraitType } from '../../schemas/definitions.ts'
import { dataOption } from '../options.ts'
import type { FoundProfile, ProfileAnswer } from '../profile-query.ts'
import { printJson } from '../terminal.ts'

type Options = { readonly data: string; readonly json?: true }

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
        'Nothing may run on the data folder.',
    )
    .argument('<profile>', 'a profile id (one that was merged will do), or namespace:value')
    .addOption(dataOption())
    .option('--json', 'one JSON line for machines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace profile get 5f3c2a10-1111-8222-9333-444455556666\n  $ millrace profile get email:anna@example.com --json\n  $ millrace profile get domain_userid:my-browser\n',
    )
    .action(async (wanted: string, { data, json }: Options) => {
      const [{ withLog }, { findProfile }] = await Promise.all([import('../data.ts'), import('../profile-query.ts')])
      const found = await withLog(data, (log, codec) => findProfile(log, codec, wanted))
      if (json) printJson(found.profile)
      else console.log(readable(found))
    })
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
