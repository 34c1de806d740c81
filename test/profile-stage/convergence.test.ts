/**
 * Merges race with events, with each other and with the hand-overs they cause. Whatever the order in which partitions
 * see what was written for them, in the end a customer is one profile, and it is the profile that one partition would have
 * made of the same events in the order of their time.
 */
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type {
  Activation,
  Handover,
  IdentifiedEvent,
  MembershipTransition,
  Profile,
  ProfileState,
} from '../../schemas/avro/types.ts'
import type { EventMatch, Expression } from '../../schemas/definitions.ts'
import { identified, keyOf, mergeOrders, onEvent, segmentOf, shop, traitOf } from './shop.ts'
import { ProfileStage } from './stage.ts'

const count = (match: EventMatch, windowMs: number | null, threshold: number): Expression => ({
  op: 'count',
  match,
  windowMs,
  comparison: '>=',
  threshold,
})
const amount = [{ in: 'event' as const, path: ['amount'] }]

const definitions = shop({
  traits: [
    traitOf('last_amount', 'number', {
      kind: 'field',
      policy: 'recency',
      match: onEvent('buy'),
      value: amount,
      trust: 1,
    }),
    traitOf('first_amount', 'number', {
      kind: 'field',
      policy: 'first',
      match: onEvent('buy'),
      value: amount,
      trust: 1,
    }),
    traitOf('most', 'decimal', { kind: 'field', policy: 'max', match: onEvent('buy'), value: amount, trust: 1 }),
    traitOf('least', 'decimal', { kind: 'field', policy: 'min', match: onEvent('buy'), value: amount, trust: 1 }),
    traitOf('spent', 'decimal', { kind: 'sum', match: onEvent('buy'), value: amount }),
    traitOf('amounts', 'list', { kind: 'union', match: onEvent('buy'), value: amount, max: 3 }),
    traitOf('views', 'number', { kind: 'count', match: onEvent('view'), windowMs: null }),
    traitOf('recent_views', 'number', { kind: 'count', match: onEvent('view'), windowMs: 60_000 }),
  ],
  segments: [
    segmentOf('keen', count(onEvent('view'), 60_000, 2)),
    segmentOf('buyers', count(onEvent('buy'), null, 1)),
    segmentOf('silent', { op: 'absent', match: onEvent('buy'), windowMs: 90_000, after: null }),
    segmentOf('rich', { op: 'trait', trait: 'spent', comparison: '>', value: 5 }),
    segmentOf('torn', {
      op: 'or',
      of: [
        { op: 'not', of: count(onEvent(null), 45_000, 3) },
        { op: 'absent', match: onEvent('view'), windowMs: 20_000, after: onEvent('buy') },
      ],
    }),
  ],
  consent: {
    purposes: ['marketing'],
    signals: [
      { match: onEvent('agree'), granted: true, purposes: ['marketing'] },
      { match: onEvent('withdraw'), granted: false, purposes: ['marketing'] },
    ],
  },
  destinations: [
    {
      id: 'ads',
      description: '',
      type: 'file',
      segments: ['keen', 'buyers', 'silent'],
      purposes: ['marketing'],
      identifiers: [{ type: 'ID', namespace: 'user', encoding: 'plain' }],
      traits: ['spent'],
      settings: {},
    },
  ],
})

type Step =
  | {
      readonly kind: 'event'
      readonly profile: number
      readonly stale: boolean
      readonly name: string
      readonly second: number
      readonly amount: number
      readonly sitting: number
    }
  | { readonly kind: 'merge'; readonly a: number; readonly b: number }

const profilesMax = 6
const profileIndex = fc.nat(profilesMax - 1)
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('event' as const),
        profile: profileIndex,
        stale: fc.boolean(),
        name: fc.constantFrom('view', 'buy', 'agree', 'withdraw'),
        second: fc.nat(120),
        amount: fc.nat(9),
        sitting: fc.nat(2),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('merge' as const), a: profileIndex, b: profileIndex }) },
  ),
  { maxLength: 40, size: 'max' },
)

/** All is written first, as IDENTIFY and GRAPH would; then partitions see it in an order of chance. */
function race(script: readonly Step[], partitions: number, seed: number) {
  const racing = new ProfileStage(definitions, partitions, seed % 2 === 0)
  const root = Array.from({ length: profilesMax }, (_, i) => i)
  const rootOf = (i: number): number => (root[i] === i ? i : rootOf(root[i]!))
  const events: {
    readonly owner: number
    readonly parts: Parameters<typeof identified>[0]
    readonly logTimeMs: number
  }[] = []
  let seq = 0
  script.forEach((step, i) => {
    const logTimeMs = 120_000 + i
    if (step.kind === 'merge') {
      const [from, to] = [rootOf(step.a), rootOf(step.b)]
      if (from === to) return
      root[from] = to
      seq += 1
      for (const order of mergeOrders(`p${from}`, `p${to}`, seq, 120_000)) racing.send('graph', order, logTimeMs)
      return
    }
    const { profile, stale, name, second, amount, sitting } = step
    const parts = {
      name,
      atMs: second * 1000,
      id: `event-${i}`,
      fragment: sitting === 0 ? `user:${profile}` : `cookie:${profile}/${sitting}`,
      data: { amount: amount / 10 },
      identifiers: [{ namespace: 'user', value: `u${profile}`, hash: `h${profile}` }],
      collectorMs: logTimeMs,
    }
    events.push({ owner: profile, parts, logTimeMs })
    // A client that has not learned of a merge yet sends its events to where they went before.
    const profileId = `p${stale ? profile : rootOf(profile)}`
    racing.send(stale ? `identify/${profile % 2}` : 'graph', identified({ ...parts, profileId }), logTimeMs)
  })
  const random = mulberry32(seed)
  racing.drain((writers) => {
    mark(racing)
    return Math.floor(random() * writers.length)
  })

  const plain = new ProfileStage(definitions)
  for (const { owner, parts, logTimeMs } of events.sort((a, b) => a.parts.atMs - b.parts.atMs)) {
    plain.send('graph', identified({ ...parts, profileId: `p${rootOf(owner)}` }), logTimeMs)
  }
  plain.drain()
  return { racing, plain, roots: root.map((_, i) => rootOf(i)), events }
}

/** How often the rare branches were reached. */
const marks = new Map<string, number>()

function mark(stage: ProfileStage): void {
  const note = (name: string, reached: boolean) => marks.set(name, (marks.get(name) ?? 0) + Number(reached))
  for (const key of stage.keys()) {
    for (const { announced, partsSeen, parts } of stage.state<ProfileState>('profile', key)?.handovers ?? []) {
      note('an order before its hand-over', announced && parts === 0)
      note('a hand-over before its order', !announced && partsSeen === parts)
      note('a part before its order', !announced && partsSeen < parts)
      note('a part after its order', announced && 0 < partsSeen && partsSeen < parts)
    }
  }
  const last = stage.emitted.at(-1)
  const handover = last?.kind === 'handover' ? (last.value as Handover) : undefined
  note('a hand-over with empty hands', handover?.fragments.length === 0)
  note('a profile leaves while it waits', (handover?.handovers.length ?? 0) > 0)
  note('a hand-over passed on', handover !== undefined && handover.mergeId !== mergeOf(stage, handover))
  const twice = stage.emitted.at(-2)
  note('an event forwarded twice', twice?.kind === 'event' && (twice.value as IdentifiedEvent).hops > 1)
}

/** The merge by which a profile went where the hand-over goes. */
function mergeOf(stage: ProfileStage, { from, to }: Handover): string | undefined {
  const forward = stage.state<ProfileState>('profile', keyOf(from))?.forward
  return forward?.to === to ? forward.mergeId : undefined
}

afterAll(() => {
  for (const [name, times] of marks) expect(times, name).toBeGreaterThan(0)
})

const inputs = [steps, fc.integer({ min: 1, max: 4 }), fc.integer()] as const

test('every event is in exactly one live profile, the one GRAPH merged into, and nobody waits any more', () => {
  fc.assert(
    fc.property(...inputs, (script, partitions, seed) => {
      const { racing, roots, events } = race(script, partitions, seed)
      roots.forEach((root, i) => {
        const state = racing.state<ProfileState>('profile', keyOf(`p${i}`))
        expect(state?.handovers ?? []).toEqual([])
        if (root !== i) expect(state).toMatchObject({ forward: { to: `p${nextOf(script, i)}` }, fragments: [] })
        else {
          expect(state?.forward ?? null).toBe(null)
          const owned = events.filter(({ owner }) => roots[owner] === i)
          expect(state?.fragments.reduce((sum, fragment) => sum + fragment.events, 0) ?? 0).toBe(owned.length)
        }
      })
    }),
    { numRuns: 40 },
  )
})

test('profiles, memberships and what destinations hold are those of a plain fold, now and for all time to come', () => {
  fc.assert(
    fc.property(...inputs, fc.nat(200_000), (script, partitions, seed, laterMs) => {
      const { racing, plain, roots } = race(script, partitions, seed)
      for (const atMs of [121_000, 121_000 + laterMs, 1_000_000]) {
        const already = racing.of('segments.memberships').length
        const alreadyPlain = plain.of('segments.memberships').length
        racing.advance(atMs)
        plain.advance(atMs)
        expect(profiles(racing)).toEqual(profiles(plain))
        expect(members(racing)).toEqual(members(plain))
        expect(audience(racing)).toEqual(audience(plain))
        // Once all is in, time does the same to both, at the same instants.
        if (atMs > 121_000) expect(changesAfter(racing, already)).toEqual(changesAfter(plain, alreadyPlain))
      }
      const dead = roots.flatMap((root, i) => (root === i ? [] : [`p${i}`]))
      for (const id of members(racing).keys()) expect(dead).not.toContain(id.split(' ')[0])
      for (const id of dead) expect([...racing.timers(keyOf(id))]).toEqual([])
    }),
    { numRuns: 40 },
  )
})

test('statuses alternate, sequences have no gaps, versions rise, no id is given twice', () => {
  fc.assert(
    fc.property(...inputs, (script, partitions, seed) => {
      const { racing } = race(script, partitions, seed)
      racing.advance(1_000_000)
      const transitions = racing.of<MembershipTransition>('segments.memberships')
      const last = new Map<string, MembershipTransition>()
      for (const transition of transitions) {
        const of = `${transition.profileId} ${transition.segmentId}`
        const before = last.get(of)
        expect(transition.seq).toBe((before?.seq ?? 0) + 1)
        expect(transition.status).toBe(before?.status === 'entered' ? 'exited' : 'entered')
        expect(transition.effectiveAtMs).toBeGreaterThanOrEqual(before?.effectiveAtMs ?? 0)
        expect(transition.effectiveAtMs).toBeLessThanOrEqual(transition.evaluatedAtMs)
        last.set(of, transition)
      }
      expect(new Set(transitions.map(({ id }) => id)).size).toBe(transitions.length)
      const keys = racing.of<Activation>('connect.ads').map(({ idempotencyKey }) => idempotencyKey)
      expect(new Set(keys).size).toBe(keys.length)
    }),
    { numRuns: 40 },
  )
})

test('who waits for a hand-over that is announced does nothing that it takes back', () => {
  const events = steps.map((script) => script.filter(({ kind }) => kind === 'event'))
  const merges = fc.array(fc.tuple(profileIndex, profileIndex), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(events, merges, fc.integer({ min: 1, max: 4 }), fc.integer(), (script, pairs, partitions, seed) => {
      const { racing, roots } = race(script, partitions, seed)
      expect(roots).toEqual(roots.map((_, i) => i))
      const before = members(racing)
      const sentBefore = audience(racing)
      const [skipped, skippedSent] = [racing.of('segments.memberships').length, racing.of('connect.ads').length]

      const root = [...roots]
      const rootOf = (i: number): number => (root[i] === i ? i : rootOf(root[i]!))
      pairs.forEach(([a, b], i) => {
        const [from, to] = [rootOf(a), rootOf(b)]
        if (from === to) return
        root[from] = to
        for (const order of mergeOrders(`p${from}`, `p${to}`, i, 120_000)) racing.send('graph', order, 120_000 + 40)
      })
      const random = mulberry32(seed)
      racing.drain((writers) => {
        const orders = writers.flatMap((writer, i) => (writer === 'graph' ? [i] : []))
        return orders[0] ?? Math.floor(random() * writers.length)
      })

      const flips = racing.of<MembershipTransition>('segments.memberships').slice(skipped)
      const after = members(racing)
      roots.forEach((i) => {
        for (const { id } of definitions.segments) {
          const of = `p${i} ${id}`
          const flipped = flips.filter((flip) => `${flip.profileId} ${flip.segmentId}` === of)
          expect(flipped.length, of).toBe(before.has(of) === after.has(of) ? 0 : 1)
        }
      })
      const sent = racing.of<Activation>('connect.ads').slice(skippedSent)
      for (const { op, profileId, segmentId } of sent) {
        const of = `${profileId} ${segmentId}`
        if (op === 'add') expect([sentBefore.has(of), audience(racing).has(of)]).toEqual([false, true])
        if (op === 'remove') expect(audience(racing).has(of)).toBe(false)
      }
      const once = sent.map(
        ({ profileId, segmentId, previousProfileId }) => `${profileId} ${segmentId} ${previousProfileId}`,
      )
      expect(new Set(once).size).toBe(once.length)
    }),
    { numRuns: 40 },
  )
})

/** Where the profile was merged to at once. */
function nextOf(script: readonly Step[], profile: number): number | undefined {
  const root = Array.from({ length: profilesMax }, (_, i) => i)
  const rootOf = (i: number): number => (root[i] === i ? i : rootOf(root[i]!))
  for (const step of script) if (step.kind === 'merge') root[rootOf(step.a)] = rootOf(step.b)
  return root[profile]
}

/** What the compacted topic holds, but for what tells of the way there. */
function profiles(stage: ProfileStage): ReadonlyMap<string, string> {
  const latest = new Map<string, string>()
  for (const { topic, key, value } of stage.emitted) {
    if (topic !== 'profiles') continue
    if (value === null) latest.delete(key)
    else latest.set(key, JSON.stringify({ ...(value as Profile), sequence: 0, fragments: [] }))
  }
  return new Map([...latest].sort())
}

function members(stage: ProfileStage): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  for (const { profileId, segmentId, status } of stage.of<MembershipTransition>('segments.memberships')) {
    const of = `${profileId} ${segmentId}`
    if (status === 'entered') members.set(of, status)
    else members.delete(of)
  }
  return new Map([...members].sort())
}

function changesAfter(stage: ProfileStage, skipped: number): readonly string[] {
  return stage
    .of<MembershipTransition>('segments.memberships')
    .slice(skipped)
    .map(({ profileId, segmentId, status, effectiveAtMs }) => `${effectiveAtMs} ${profileId} ${segmentId} ${status}`)
    .sort()
}

/** A destination that does as it is told. */
function audience(stage: ProfileStage): ReadonlyMap<string, string> {
  const held = new Map<string, string>()
  for (const { op, segmentId, profileId, previousProfileId, identifiers, traits } of stage.of<Activation>(
    'connect.ads',
  )) {
    const here = `${profileId} ${segmentId}`
    const before = `${previousProfileId ?? profileId} ${segmentId}`
    if (op === 'add') expect(held.has(here)).toBe(false)
    else expect(held.has(before)).toBe(true)
    if (op === 'remove' || op === 'rekey') held.delete(before)
    if (op !== 'remove') held.set(here, JSON.stringify([identifiers, traits]))
  }
  return new Map([...held].sort())
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
