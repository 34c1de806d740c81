/**
 * The live view: a status as lines of text for a terminal of some size. Pure, and calm: everything has its place and
 * keeps it, numbers stand to the right, colour marks little.
 */
import type pc from 'picocolors'
import type { MembershipTransition } from '../../schemas/avro/types.ts'
import type { ProfileWriterStatus } from '../../serving/redis/profile-writer.ts'
import type { DeliveryState } from '../deliveries.ts'
import { duration, grouped } from '../terminal.ts'
import type { Status } from './status.ts'

export type Colors = ReturnType<typeof pc.createColors>

export type Size = { readonly columns: number; readonly rows: number }

/** Text, and how it is painted; its width is that of the text. */
type Cell = { readonly text: string; readonly paint?: (text: string) => string }

const columnsMax = 120
const segmentColumns = 32
const barColumns = 10
const gap = 3

/** At most `rows` lines, none wider than `columns`. */
export function renderStatus(status: Status, { columns, rows }: Size, colors: Colors): string[] {
  const width = Math.max(40, Math.min(columns, columnsMax)) - 2
  const head = headLines(status, width, colors)
  const foot = footLines(status, width, colors)
  const room = Math.max(3, rows - head.length - foot.length - 1)
  const lines = [...head, ...bodyLines(status, width, room, colors), ...foot]
  return lines.slice(0, rows).map((cells) => ` ${paintLine(cells, columns - 1)}`)
}

/** One line for where nothing can be redrawn. */
export function summaryLine({
  totals,
  eventsPerSecond,
  latencyMs,
  segments,
  destinations,
  redis,
  upMs,
}: Status): string {
  const members = segments.reduce((sum, segment) => sum + segment.members, 0)
  const delivered = destinations.reduce((sum, destination) => sum + destination.delivered, 0)
  return [
    clock(upMs),
    `${grouped(totals.events)} events (${grouped(eventsPerSecond)}/s)`,
    `${grouped(totals.valid)} valid`,
    `${grouped(totals.bad)} bad`,
    `${grouped(totals.profiles)} profiles`,
    `${grouped(totals.merges)} merges`,
    `${grouped(members)} memberships`,
    `${grouped(delivered)} delivered`,
    ...(redis ? [`redis ${redisSaid(redis)}`] : []),
    latencyMs ? `p50 ${duration(latencyMs.p50)} p99 ${duration(latencyMs.p99)}` : 'p50 - p99 -',
  ].join(' · ')
}

type Line = readonly Cell[]

/** Name, value, unit. */
type Field = readonly [string, string, string?]

const nameColumns = 11
const unitColumns = 8
/** Not zero: somebody should look. */
const warned: ReadonlySet<string> = new Set(['bad', 'dead'])
const compact = new Intl.NumberFormat('en-US', { notation: 'compact' })

function headLines(status: Status, width: number, { bold, dim, yellow, cyan }: Colors): Line[] {
  const { totals, latencyMs, eventsPerSecond, destinations, upMs, url, stopping } = status
  const delivered = destinations.reduce((sum, destination) => sum + destination.delivered, 0)
  const state = stopping ? 'draining' : clock(upMs)
  const valueColumns = Math.max(4, Math.floor(width / 3) - nameColumns - unitColumns)
  const row = (...fields: readonly Field[]): Line =>
    fields.flatMap(([name, value, unit = '']) => [
      { text: name.padEnd(nameColumns), paint: dim },
      { text: value.padStart(valueColumns), ...(warned.has(name) && value !== '0' && { paint: yellow }) },
      { text: ` ${unit}`.padEnd(unitColumns), paint: dim },
    ])
  const numberOf = (value: number): string => {
    const text = grouped(value)
    return text.length <= valueColumns ? text : compact.format(value)
  }
  const quantile = (name: 'p50' | 'p95' | 'p99'): Field => [name, latencyMs ? duration(latencyMs[name]) : '-']
  return [
    between(
      [{ text: 'millrace', paint: bold }],
      [
        { text: url, paint: cyan },
        { text: `  ${state}`, paint: dim },
      ],
      width,
    ),
    [],
    row(
      ['events in', numberOf(totals.events), `${numberOf(Math.round(eventsPerSecond))}/s`],
      ['profiles', numberOf(totals.profiles)],
      ['event to segment', '', ''],
    ),
    row(['valid', numberOf(totals.valid)], ['merges', numberOf(totals.merges)], quantile('p50')),
    row(['bad', numberOf(totals.bad)], ['activated', numberOf(totals.activated)], quantile('p95')),
    row(['duplicates', numberOf(totals.duplicates)], ['delivered', numberOf(delivered)], quantile('p99')),
    ...(totals.dead > 0 ? [row(['dead', numberOf(totals.dead)])] : []),
    [],
  ]
}

/** Segments to the left, transitions to the right; below each other where that is too narrow. */
function bodyLines(status: Status, width: number, room: number, colors: Colors): Line[] {
  const { dim } = colors
  const side = width >= 76
  const left = segmentLines(status, width, room - 1, colors)
  if (!side)
    return [
      [
        { text: 'segment', paint: dim },
        { text: 'members'.padStart(segmentColumns - 7), paint: dim },
      ],
      ...left,
    ]
  const leftColumns = segmentColumns + (width >= 100 ? barColumns + 1 : 0)
  const right = transitionLines(status.transitions, width - leftColumns - gap, room - 1, colors)
  const lines: Line[] = [
    beside(
      [
        { text: 'segment', paint: dim },
        { text: 'members'.padStart(segmentColumns - 7), paint: dim },
      ],
      leftColumns,
      [{ text: 'latest transitions', paint: dim }],
    ),
  ]
  for (let i = 0; i < Math.max(left.length, right.length); i++)
    lines.push(beside(left[i] ?? [], leftColumns, right[i] ?? []))
  return lines
}

function segmentLines({ segments }: Status, width: number, room: number, { cyan, dim }: Colors): Line[] {
  const most = Math.max(1, ...segments.map(({ members }) => members))
  const shown = segments.length > room ? segments.slice(0, room - 1) : segments
  const lines = shown.map(({ id, members }): Line => {
    const name = cut(id, segmentColumns - 9).padEnd(segmentColumns - 9)
    const cells: Cell[] = [{ text: name }, { text: grouped(members).padStart(9) }]
    if (width >= 100) cells.push({ text: ` ${bar(members / most)}`, paint: cyan })
    return cells
  })
  const hidden = segments.length - shown.length
  return hidden > 0 ? [...lines, [{ text: `and ${hidden} more`, paint: dim }]] : lines
}

function transitionLines(
  transitions: readonly MembershipTransition[],
  width: number,
  room: number,
  { green, red, dim }: Colors,
): Line[] {
  const idColumns = width >= 55 ? 9 : 0
  const segmentWidth = Math.max(8, width - 8 - 3 - 1 - idColumns - 10)
  return transitions.slice(0, room).map(({ status, segmentId, profileId, reason, effectiveAtMs }) => {
    const entered = status === 'entered'
    return [
      { text: timeOfDay(effectiveAtMs), paint: dim },
      { text: entered ? ' + ' : ' - ', paint: entered ? green : red },
      { text: `${cut(segmentId, segmentWidth).padEnd(segmentWidth)} ` },
      { text: profileId.slice(0, Math.max(0, idColumns - 1)).padEnd(idColumns), paint: dim },
      { text: cut(reason, 10), paint: dim },
    ]
  })
}

function footLines({ destinations, redis, shop, dataFolder, stopping }: Status, width: number, colors: Colors): Line[] {
  const { dim } = colors
  const end = stopping
    ? 'Finishing what is under way; Ctrl-C again ends at once.'
    : `${shopSaid(shop)}Ctrl-C drains and ends; ${dataFolder} keeps everything.`
  return [
    [],
    ...destinations.slice(0, 6).map((destination): Line => destinationLine(destination, width, colors)),
    ...(redis ? [redisLine(redis, width, colors)] : []),
    [],
    [{ text: cut(end, width), paint: dim }],
  ]
}

function shopSaid(shop: Status['shop']): string {
  if (!shop) return ''
  return shop.lost === 0
    ? 'The customers are made up. '
    : `The customers are made up; ${shop.lost} of their events got lost. `
}

function destinationLine(destination: DeliveryState, width: number, { dim, yellow, red }: Colors): Line {
  const { id, type, state, reason, delivered, dead, simulated } = destination
  const paint = state === 'running' ? dim : state === 'disabled' ? red : yellow
  const name = cut(id, 22).padEnd(23)
  const kind = type.padEnd(8)
  const said =
    state === 'running'
      ? `${grouped(delivered)} delivered${simulated ? ' to a receiver of this demo' : ''}${dead > 0 ? `, ${grouped(dead)} refused` : ''}`
      : `${state}: ${reason ?? 'no reason given'}`
  return [{ text: name }, { text: kind, paint: dim }, { text: cut(said, width - 31), paint }]
}

function redisLine(redis: ProfileWriterStatus, width: number, { dim, yellow }: Colors): Line {
  return [
    { text: 'profiles'.padEnd(23) },
    { text: 'redis'.padEnd(8), paint: dim },
    { text: cut(redisSaid(redis), width - 31), paint: redis.state === 'writing' ? dim : yellow },
  ]
}

function redisSaid({ state, behind, reason }: ProfileWriterStatus): string {
  const records = behind === null ? 'not there yet' : behind === 0 ? 'up to date' : `${grouped(behind)} records behind`
  return state === 'writing' ? records : `${state}, ${records}: ${reason}`
}

// --- text ---

function paintLine(cells: Line, columns: number): string {
  let left = columns
  return cells
    .map(({ text, paint }) => {
      const shown = text.slice(0, Math.max(0, left))
      left -= shown.length
      return paint && shown.trim() ? paint(shown) : shown
    })
    .join('')
}

const widthOf = (cells: Line): number => cells.reduce((sum, { text }) => sum + text.length, 0)

function between(left: Line, right: Line, width: number): Line {
  return [...left, { text: ' '.repeat(Math.max(1, width - widthOf(left) - widthOf(right))) }, ...right]
}

function beside(left: Line, leftColumns: number, right: Line): Line {
  return [...left, { text: ' '.repeat(Math.max(0, leftColumns - widthOf(left)) + gap) }, ...right]
}

function cut(text: string, columns: number): string {
  const shown = text.replaceAll(/\s+/g, ' ')
  return shown.length <= columns ? shown : `${shown.slice(0, Math.max(0, columns - 1))}…`
}

/** A share from 0 to 1 in eighths of a cell. */
function bar(share: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * barColumns * 8)
  const partial = [...' ▏▎▍▌▋▊▉'][eighths % 8]!
  return `${'█'.repeat(eighths >> 3)}${eighths % 8 > 0 ? partial : ''}`.padEnd(barColumns)
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function timeOfDay(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 8)
}
