import fc from 'fast-check'
import { expect, test } from 'vitest'
import { schemaType } from '../../schemas/avro/index.ts'
import type { Fragment, Profile, ProfileState } from '../../schemas/avro/types.ts'
import type { TraitSource } from '../../schemas/definitions.ts'
import { type EventParts, identified, onEvent, shop, traitOf } from '../../test/profile-stage/shop.ts'
import { EventReader } from '../event/event.ts'
import { foldClosed, foldEvent, fragmentsMax, joinAll, joinIdentifiers } from './fragment.ts'
import { profileRules } from './rules.ts'
import { FragmentsView } from './view.ts'

const amount = [{ in: 'event' as const, path: ['amount'] }]
const field = (policy: 'recency' | 'first' | 'max' | 'min'): TraitSource => ({
  kind: 'field',
  policy,
  match: onEvent(null),
  value: amount,
  trust: 1,
})

const definitions = shop({
  traits: [
    traitOf('constructor', 'number', field('recency')),
    traitOf('first', 'string', field('first')),
    traitOf('most', 'number', field('max')),
    traitOf('least', 'decimal', field('min')),
    traitOf('spent', 'decimal', { kind: 'sum', match: onEvent('buy'), value: amount }),
    traitOf('some', 'list', { kind: 'union', match: onEvent(null), value: amount, max: 2 }),
    traitOf('often', 'number', { kind: 'count', match: onEvent('view'), windowMs: 7 }),
    traitOf('ever', 'number', { kind: 'count', match: onEvent('view'), windowMs: null }),
  ],
  consent: {
    purposes: ['marketing', 'analytics'],
    signals: [
      { match: onEvent('agree'), granted: true, purposes: { from: { in: 'event', path: ['for'] } } },
      { match: onEvent('refuse'), granted: false, purposes: ['marketing', 'undeclared'] },
    ],
  },
})
const rules = profileRules(definitions)

const events = fc
  .array(
    fc.record({
      name: fc.constantFrom('view', 'buy', 'agree', 'refuse'),
      atMs: fc.nat(12),
      fragment: fc.constantFrom('user_id:x', 'cookie:y/1', 'cookie:y/2', 'cookie:y/3'),
      amount: fc.oneof(fc.nat(4), fc.constantFrom('1.50', 'none', null)),
      identifiers: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }),
    }),
    { maxLength: 12 },
  )
  .map((list) =>
    list.map(({ amount, identifiers, ...event }, i) => ({
      ...event,
      id: `e${i % 5}-${i}`,
      data: { amount, for: ['marketing', 'analytics', 'undeclared'] },
      identifiers: identifiers.map((hash) => ({ namespace: 'cookie', value: `${hash}!`, hash })),
    })),
  )

function fold(list: readonly EventParts[]): readonly Fragment[] {
  const fragments = new Map<string, Fragment>()
  for (const { value } of list.map(identified)) {
    const reader = new EventReader(value.event)
    const { fragment } = value
    fragments.set(fragment, foldEvent(fragments.get(fragment), value, reader, rules.forEvent(reader.name)))
  }
  return [...fragments.values()]
}

/** What leaves of a profile, byte for byte, but for the names of its fragments. */
function read(fragments: readonly Fragment[], clockMs = 10): string {
  const record: Profile = new FragmentsView(fragments, rules).record(
    'shop',
    'p',
    0,
    { generation: 0, sequence: 1 },
    clockMs,
  )
  return JSON.stringify({ ...record, consents: Object.entries(record.consents).sort(), fragments: [] })
}

test('any order of the events gives the same profile, byte for byte', () => {
  const shuffled = events.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
  )
  fc.assert(
    fc.property(shuffled, ([list, other]) => {
      expect(read(fold(other))).toBe(read(fold(list)))
    }),
    { numRuns: 150 },
  )
})

test('events may be split among fragments and profiles in any way', () => {
  fc.assert(
    fc.property(events, events, (a, b) => {
      const late = b.map((event, i) => ({ ...event, id: `late${i}` }))
      const apart = joinAll(fold(a), fold(late), rules)
      expect(read(apart)).toBe(read(fold([...a, ...late])))
      expect(joinAll(fold(late), fold(a), rules).map(({ key }) => key)).toEqual(apart.map(({ key }) => key))
      const one = [...a, ...late].map((event) => ({ ...event, fragment: 'user_id:x' }))
      expect(read(fold(one))).toBe(read(apart))
    }),
    { numRuns: 150 },
  )
})

const halfHourMs = 30 * 60_000

test('closed sittings but the newest are folded into their identifier, and the view stays as it is', () => {
  fc.assert(
    fc.property(events, fc.nat(12), (list, laterMs) => {
      const fragments = fold(list)
      const folded = foldClosed(fragments, halfHourMs + laterMs, rules)
      expect(read(folded)).toBe(read(fragments))
      const sittings = fragments.filter(({ key }) => key.includes('/'))
      const newestMs = Math.max(...sittings.map(({ lastSeenMs }) => lastSeenMs))
      for (const { key, lastSeenMs } of sittings) {
        const stays = lastSeenMs >= laterMs || lastSeenMs === newestMs
        if (!stays) expect(folded.map((each) => each.key)).not.toContain(key)
        if (lastSeenMs >= laterMs) expect(folded.map((each) => each.key)).toContain(key)
      }
      if (sittings.length > 0) expect(folded.some(({ key }) => key.includes('/'))).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('fragments are bounded: those seen longest ago become one', () => {
  const list = Array.from({ length: fragmentsMax + 8 }, (_, i) => ({
    name: 'view',
    atMs: i,
    fragment: `cookie:${i}`,
    data: { amount: i },
  }))
  const fragments = fold(list)
  const folded = foldClosed(fragments, 0, rules)
  expect(folded).toHaveLength(fragmentsMax)
  expect(folded.find(({ key }) => key === '*')?.events).toBe(9)
  expect(read(folded)).toBe(read(fragments))
  expect(foldClosed(folded, 0, rules)).toBe(folded)
})

test('fragments are bounded in bytes: those seen longest ago become one, as long as there are two', () => {
  const long = '€'.repeat(1_000)
  const list = Array.from({ length: 30 }, (_, i) => ({
    name: 'view',
    atMs: i,
    fragment: `cookie:${i}`,
    data: { amount: `${i}${long}` },
  }))
  const fragments = fold(list)
  const folded = foldClosed(fragments, 0, rules)
  expect(schemaType('ProfileState').toBuffer(stateOf(fragments)).length).toBeGreaterThan(160 * 1024)
  expect(schemaType('ProfileState').toBuffer(stateOf(folded)).length).toBeLessThan(160 * 1024)
  expect(folded.length).toBeGreaterThan(5)
  expect(read(folded)).toBe(read(fragments))
})

const stateOf = (fragments: readonly Fragment[]): ProfileState => ({
  tenant: 'shop',
  profileId: 'p',
  createdAtMs: 0,
  forward: null,
  handovers: [],
  fragments,
})

test('of a namespace a bounded number of identifiers is kept, the same for every order', () => {
  const seen = Array.from({ length: 40 }, (_, i) => ({
    namespace: i % 2 === 0 ? 'cookie' : 'email',
    value: String(i),
    hash: String(100 + i),
    firstSeenMs: i,
    lastSeenMs: i,
  }))
  const many = [...seen, ...seen.map((each) => ({ ...each, hash: `2${each.hash}` }))]
  const forwards = many.reduce<Fragment['identifiers']>((all, each) => joinIdentifiers(all, [each]), [])
  const backwards = many.reduceRight<Fragment['identifiers']>((all, each) => joinIdentifiers(all, [each]), [])
  expect(backwards).toEqual(forwards)
  expect(forwards.map(({ namespace }) => namespace)).toEqual([...Array(32).fill('cookie'), ...Array(32).fill('email')])
})

test('consent: the newer decision counts, of two at one instant the denial; undeclared purposes are nobody’s', () => {
  const consent = (list: readonly EventParts[]) => new FragmentsView(fold(list), rules).consent('marketing')?.granted
  const agree: EventParts = { name: 'agree', atMs: 5, data: { for: ['marketing'] } }
  expect(consent([agree])).toBe(true)
  expect(consent([agree, { name: 'refuse', atMs: 4 }])).toBe(true)
  expect(consent([agree, { name: 'refuse', atMs: 5 }])).toBe(false)
  expect(consent([{ name: 'refuse', atMs: 5, fragment: 'cookie:z' }, agree])).toBe(false)
  expect(Object.keys(fold([agree, { name: 'refuse', atMs: 5 }])[0]!.consents)).toEqual(['marketing'])
})
