/** A profile that goes on from what was told of it: told again is what its rules say otherwise, and nothing else. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digest } from '../../operators/ids.ts'
import type {
  Activation,
  Adoption,
  Membership,
  MembershipTransition,
  Profile,
  SegmentState,
  Sent,
} from '../../schemas/avro/types.ts'
import type { DestinationDefinition } from '../../schemas/definitions.ts'
import { holdsAt, oracleEvents, oracleExpressions, oracleTraits } from './oracle.ts'
import { type EventParts, identified, keyOf, mergeOrders, onEvent, segmentOf, shop, tenant } from './shop.ts'
import { ProfileStage } from './stage.ts'

const email = { namespace: 'email', value: 'a@x', hash: '1' }
const identifiers = [{ type: 'address', value: 'a@x' }]
const formerIdentifiers = [{ type: 'address', value: 'b@x' }]
const ids = ['s0', 's1', 's2', 'gone']

const mail: DestinationDefinition = {
  id: 'mail',
  description: '',
  type: 'webhook',
  segments: ids,
  purposes: [],
  identifiers: [{ type: 'address', namespace: 'email', encoding: 'plain' }],
  traits: [],
  settings: {},
}

const membershipOf = (segmentId: string, seq: number): Membership => ({
  segmentId,
  version: `${segmentId}-v0`,
  member: seq % 2 === 1,
  seq,
  effectiveAtMs: 1,
  validUntilMs: null,
})

const sentOf = (segmentId: string, profileId = 'p', of = identifiers): Sent => ({
  destinationId: 'mail',
  segmentId,
  profileId,
  identifiers: of,
  traitsDigest: digest('{}'),
  seq: 1,
})

function adoptionOf(parts: Partial<Adoption>, profileId = 'p') {
  const nothing = { published: false, memberships: [], activations: 0, sent: [] }
  return { kind: 'adoption' as const, key: keyOf(profileId), value: { tenant, profileId, ...nothing, ...parts } }
}

const told = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom(...ids),
    seq: fc.integer({ min: 1, max: 4 }),
    sent: fc.constantFrom(null, 'same', 'other'),
  }),
  { selector: ({ id }) => id, maxLength: 4 },
)

test('true differences alone, with the seqs of before, whatever the replay had made of it', () => {
  fc.assert(
    fc.property(
      fc.tuple(oracleExpressions, oracleExpressions, oracleExpressions),
      oracleEvents,
      told,
      (rules, all, known) => {
        const segments = rules.map((expression, i) => segmentOf(`s${i}`, expression))
        const stage = new ProfileStage(shop({ traits: oracleTraits, segments, destinations: [mail] }))
        const events: readonly EventParts[] = all.map((event) => ({ ...event, identifiers: [email] }))
        for (const event of events) {
          stage.send('identify', identified(event), event.atMs)
          stage.drain()
        }
        const nowMs = 40
        stage.advance(nowMs)
        stage.emitted.length = 0
        const memberships = known
          .map(({ id, seq }) => membershipOf(id, seq))
          .sort((a, b) => (a.segmentId < b.segmentId ? -1 : 1))
        const sent = known.flatMap(({ id, sent }) =>
          sent ? [sentOf(id, 'p', sent === 'same' ? identifiers : formerIdentifiers)] : [],
        )
        stage.send('promote', adoptionOf({ memberships, activations: 7, sent, published: true }), nowMs)
        stage.drain()

        const isMember = (id: string): boolean =>
          events.length > 0 && segments.some((each) => each.id === id && holdsAt(each.expression, events, nowMs))
        const seqOf = (id: string): number => known.find((each) => each.id === id)?.seq ?? 0
        const differ = ids.filter((id) => isMember(id) !== (seqOf(id) % 2 === 1))
        const transitions = stage.of<MembershipTransition>('segments.memberships')
        expect(transitions.map(({ segmentId, seq, status }) => [segmentId, seq, status]).sort()).toEqual(
          differ.map((id) => [id, seqOf(id) + 1, isMember(id) ? 'entered' : 'exited']).sort(),
        )
        const state = stage.state<SegmentState>('segment', keyOf('p'))
        for (const id of ids) {
          const stored = state?.memberships.find(({ segmentId }) => segmentId === id)
          expect([id, stored?.member ?? false, stored?.seq ?? 0]).toEqual([
            id,
            isMember(id),
            seqOf(id) + Number(differ.includes(id)),
          ])
        }
        const activations = stage.of<Activation>('connect.mail')
        const expected = ids.flatMap((id) => {
          const held = known.find((each) => each.id === id)?.sent
          if (!isMember(id)) return held ? [['remove', id]] : []
          return held === 'same' ? [] : [[held ? 'update' : 'add', id]]
        })
        expect(activations.map(({ op, segmentId }) => [op, segmentId]).sort()).toEqual(expected.sort())

        // Said again, as by a promotion that was interrupted, it counts again.
        const once = stage.emitted.map(({ topic, kind, key, value }) => ({
          topic,
          kind,
          key,
          value: withoutSequence(value),
        }))
        stage.emitted.length = 0
        stage.send('promote', adoptionOf({ memberships, activations: 7, sent, published: true }), nowMs)
        stage.drain()
        expect(
          stage.emitted.map(({ topic, kind, key, value }) => ({ topic, kind, key, value: withoutSequence(value) })),
        ).toEqual(once)
      },
    ),
    { numRuns: 200 },
  )
})

const withoutSequence = (value: unknown): unknown =>
  value && typeof value === 'object' && 'sequence' in value ? { ...value, sequence: 0 } : value

const visitors = segmentOf('s0', { op: 'count', match: onEvent('a'), windowMs: null, comparison: '>=', threshold: 1 })
const newStage = () => new ProfileStage(shop({ segments: [visitors], destinations: [mail] }))
const visit = (profileId: string) =>
  identified({ profileId, name: 'a', atMs: 1, identifiers: [email], fragment: `user_id:${profileId}` })

test('a profile that is no more leaves its segments, its destinations and the topic of profiles', () => {
  const stage = newStage()
  const memberships = [membershipOf('s0', 3)]
  stage.send('promote', adoptionOf({ memberships, activations: 1, sent: [sentOf('s0')], published: true }), 5)
  stage.drain()
  expect(stage.of<Profile | null>('profiles')).toEqual([null])
  expect(stage.of('segments.memberships')).toMatchObject([{ status: 'exited', seq: 4, reason: 'backfill' }])
  expect(stage.of('connect.mail')).toMatchObject([{ op: 'remove', identifiers, reason: 'backfill' }])
  // Should it come after all, it goes on from there.
  stage.send('identify', visit('p'), 6)
  stage.drain()
  expect(stage.of('segments.memberships').at(-1)).toMatchObject({ status: 'entered', seq: 5 })
})

test('a profile that is another one now leaves as in a merge, and its destinations hear of the heir alone', () => {
  const stage = newStage()
  for (const id of ['p', 'q']) stage.send('identify', visit(id), 1)
  for (const order of mergeOrders('p', 'q', 1, 2)) stage.send('graph', order, 2)
  stage.drain()
  stage.emitted.length = 0
  const memberships = [membershipOf('s0', 1)]
  stage.send('promote', adoptionOf({ memberships, activations: 1, published: true }), 5)
  stage.send('promote', adoptionOf({ memberships, activations: 1, sent: [sentOf('s0'), sentOf('s0', 'q')] }, 'q'), 5)
  stage.drain()
  expect(stage.of('segments.memberships')).toMatchObject([
    { profileId: 'p', status: 'exited', seq: 2, reason: 'merge', mergedInto: 'q' },
  ])
  expect(stage.of('connect.mail')).toMatchObject([{ profileId: 'q', op: 'rekey', previousProfileId: 'p' }])
})
