/** A member is whoever the rule holds for, at every instant, given the events that have come in by then. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MembershipTransition, SegmentState } from '../../schemas/avro/types.ts'
import { holdsAt, oracleEvents, oracleExpressions, oracleTraits } from './oracle.ts'
import { type EventParts, identified, keyOf, segmentOf, shop } from './shop.ts'
import { ProfileStage } from './stage.ts'

const arrivals = oracleEvents.chain((events) =>
  fc
    .array(fc.nat(12), { minLength: events.length, maxLength: events.length })
    .map((delays) =>
      events
        .map((event, i) => ({ ...event, collectorMs: event.atMs + delays[i]! }))
        .sort((a, b) => a.collectorMs - b.collectorMs),
    ),
)

test('transitions follow the rule through late events and the passing of time, each at its instant', () => {
  fc.assert(
    fc.property(fc.array(oracleExpressions, { minLength: 1, maxLength: 3 }), arrivals, (expressions, events) => {
      const segments = expressions.map((expression, i) => segmentOf(`s${i}`, expression))
      const stage = new ProfileStage(shop({ traits: oracleTraits, segments }))
      const seen: EventParts[] = []
      for (let nowMs = 0; nowMs <= 60; nowMs++) {
        stage.advance(nowMs)
        for (const event of events.filter(({ collectorMs }) => collectorMs === nowMs)) {
          stage.send('identify', identified(event), nowMs)
          stage.drain()
          seen.push(event)
        }
        const members = segments.filter(({ expression }) => seen.length > 0 && holdsAt(expression, seen, nowMs))
        expect(membersOf(stage)).toEqual(members.map(({ id }) => id))
        expect(stage.timers(keyOf('p')).get('segment') ?? null).toBe(earliestDeadline(stage))
      }
      for (const { reason, effectiveAtMs, evaluatedAtMs, causeEventId } of transitionsOf(stage)) {
        expect(effectiveAtMs).toBeLessThanOrEqual(evaluatedAtMs)
        if (reason === 'timer') expect([effectiveAtMs, causeEventId]).toEqual([evaluatedAtMs, null])
        else expect(events.map(({ id }) => id)).toContain(causeEventId)
      }
    }),
    { numRuns: 100 },
  )
})

function transitionsOf(stage: ProfileStage): readonly MembershipTransition[] {
  return stage.of<MembershipTransition>('segments.memberships')
}

function membersOf(stage: ProfileStage): readonly string[] {
  const members = new Set<string>()
  for (const { segmentId, status } of transitionsOf(stage)) {
    if (status === 'entered') members.add(segmentId)
    else members.delete(segmentId)
  }
  return [...members].sort()
}

function earliestDeadline(stage: ProfileStage): number | null {
  const state = stage.state<SegmentState>('segment', keyOf('p'))
  const deadlines = (state?.memberships ?? []).flatMap(({ validUntilMs }) => validUntilMs ?? [])
  return deadlines.length === 0 ? null : Math.min(...deadlines)
}
