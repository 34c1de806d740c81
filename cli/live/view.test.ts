import fc from 'fast-check'
import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import type { MembershipTransition } from '../../schemas/avro/types.ts'
import type { Status } from './status.ts'
import { renderStatus, summaryLine } from './view.ts'

const transition: MembershipTransition = {
  id: '00000000-0000-5000-8000-000000000000',
  tenant: 'shop',
  segmentId: 'viewed_shoes_300s',
  version: 'v',
  profileId: '0f3a2b1c-0000-8000-8000-000000000000',
  status: 'entered',
  seq: 1,
  effectiveAtMs: new Date(2024, 5, 1, 12, 30, 5).getTime(),
  evaluatedAtMs: 0,
  reason: 'event',
  causeEventId: null,
  mergedInto: null,
  origin: 'live',
}

const status: Status = {
  url: 'http://127.0.0.1:8080',
  dataFolder: '.millrace',
  upMs: 3_723_000,
  totals: {
    events: 12_345,
    valid: 12_300,
    bad: 40,
    dead: 0,
    duplicates: 5,
    profiles: 678,
    merges: 9,
    entered: 700,
    exited: 100,
    activated: 50,
  },
  eventsPerSecond: 41.4,
  redis: null,
  latencyMs: { p50: 4.2, p95: 21.6, p99: 1234 },
  segments: [
    { id: 'cart_abandoners', members: 12 },
    { id: 'viewed_shoes_300s', members: 48 },
  ],
  transitions: [transition, { ...transition, status: 'exited', reason: 'timer', segmentId: 'cart_abandoners' }],
  destinations: [
    { id: 'ad_audience', type: 'file', state: 'running', reason: null, simulated: false, delivered: 1500, dead: 0 },
    {
      id: 'email_tool',
      type: 'webhook',
      state: 'held',
      reason: 'the environment variable X is not set',
      simulated: false,
      delivered: 0,
      dead: 0,
    },
  ],
  shop: null,
  stopping: false,
}

const plain = pc.createColors(false)

test('the view on a usual terminal', () => {
  expect(renderStatus(status, { columns: 80, rows: 24 }, plain).map((line) => line.trimEnd())).toEqual([
    ' millrace                                       http://127.0.0.1:8080  01:02:03',
    '',
    ' events in   12,345 41/s   profiles       678        event to segment',
    ' valid       12,300        merges           9        p50         4.2 ms',
    ' bad             40        activated       50        p95          22 ms',
    ' duplicates       5        delivered    1,500        p99          1.2 s',
    '',
    ' segment                  members   latest transitions',
    ' cart_abandoners               12   12:30:05 + viewed_shoes_300s     event',
    ' viewed_shoes_300s             48   12:30:05 - cart_abandoners       timer',
    '',
    ' ad_audience            file    1,500 delivered',
    ' email_tool             webhook held: the environment variable X is not set',
    '',
    ' Ctrl-C drains and ends; .millrace keeps everything.',
  ])
})

describe('on a terminal of any size', () => {
  const many: Status = {
    ...status,
    totals: { ...status.totals, events: 9_876_543_210, dead: 3 },
    segments: Array.from({ length: 60 }, (_, i) => ({ id: `segment_${'x'.repeat(i)}`, members: i * 1000 })),
    transitions: Array.from({ length: 64 }, () => transition),
    shop: { sent: 10, lost: 3 },
  }
  const sizes = fc.record({ columns: fc.integer({ min: 1, max: 250 }), rows: fc.integer({ min: 1, max: 80 }) })

  test('no line is too wide, and there are not too many', () => {
    fc.assert(
      fc.property(sizes, fc.constantFrom(status, many, { ...many, stopping: true, latencyMs: null }), (size, shown) => {
        const lines = renderStatus(shown, size, plain)
        expect(lines.length).toBeLessThanOrEqual(size.rows)
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(1, size.columns))
      }),
    )
  })

  test('colours change nothing but colour', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal takes as colour begins with one
    const escapes = /\x1b\[\d+m/g
    fc.assert(
      fc.property(sizes, (size) => {
        const painted = renderStatus(many, size, pc.createColors(true)).map((line) => line.replaceAll(escapes, ''))
        expect(painted).toEqual(renderStatus(many, size, plain))
      }),
    )
  })

  test('what does not fit of the segments is counted', () => {
    expect(renderStatus(many, { columns: 80, rows: 24 }, plain).join('\n')).toMatch(/and \d+ more/)
  })
})

test('the line for where nothing can be redrawn', () => {
  expect(summaryLine(status)).toBe(
    '01:02:03 · 12,345 events (41.4/s) · 12,300 valid · 40 bad · 678 profiles · 9 merges · 60 memberships · 1,500 delivered · p50 4.2 ms p99 1.2 s',
  )
})

test('Redis has its line below the destinations, and its place in the one line', () => {
  const lineOf = (redis: Status['redis']): string =>
    renderStatus({ ...status, redis }, { columns: 80, rows: 24 }, plain).find((line) =>
      line.startsWith(' profiles   '),
    )!
  expect(lineOf({ state: 'writing', reason: null, behind: 0 })).toContain('redis   up to date')
  const away = { state: 'waiting', reason: 'Redis at localhost:6379: connect ECONNREFUSED', behind: 1200 } as const
  expect(lineOf(away)).toContain('waiting, 1,200 records behind: Redis at ')
  expect(summaryLine({ ...status, redis: away })).toContain(' · redis waiting, 1,200 records behind: Redis at')
})
