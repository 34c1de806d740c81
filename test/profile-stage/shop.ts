/** Definitions, events and orders for tests of the stage. */
import { EventReader } from '../../operators/event/event.ts'
import { eventOf } from '../../operators/event/testing.ts'
import { foldEvent } from '../../operators/profile/fragment.ts'
import { profileRules } from '../../operators/profile/rules.ts'
import type { ProfileView } from '../../operators/profile/update.ts'
import { FragmentsView } from '../../operators/profile/view.ts'
import type { Inbound } from '../../runtime/operator.ts'
import type { Fragment, IdentifiedEvent, Identifier, MergeOrder } from '../../schemas/avro/types.ts'
import {
  type ConsentRules,
  type Definitions,
  type DestinationDefinition,
  defaultEnrichments,
  type EventMatch,
  type Expression,
  type SegmentDefinition,
  type TraitDefinition,
  type TraitSource,
  type TraitType,
} from '../../schemas/definitions.ts'

export const tenant = 'shop'
export const keyOf = (profileId: string) => `${tenant}/${profileId}`

export const onEvent = (event: string | null): EventMatch => ({ event, where: null })

export function traitOf(id: string, type: TraitType, source: TraitSource): TraitDefinition {
  return { id, description: '', type, source }
}

export function segmentOf(id: string, expression: Expression): SegmentDefinition {
  return { id, description: '', source: '', expression, version: `${id}-v1` }
}

export type ShopParts = {
  readonly traits?: readonly TraitDefinition[]
  readonly segments?: readonly SegmentDefinition[]
  readonly destinations?: readonly DestinationDefinition[]
  readonly consent?: ConsentRules
  readonly hash?: string
}

export function shop({ traits = [], segments = [], destinations = [], consent, hash = 'v1' }: ShopParts): Definitions {
  return {
    tenant,
    version: 1,
    hash,
    tenantKey: Buffer.from('secret'),
    schemas: new Map(),
    identity: { namespaces: [], blocked: [], ruleVersion: 'r1' },
    traits,
    segments,
    destinations,
    consent: consent ?? { purposes: [], signals: [] },
    enrichments: defaultEnrichments,
    secrets: new Map(),
  }
}

export type EventParts = {
  readonly profileId?: string
  readonly name: string
  readonly atMs: number
  readonly id?: string
  readonly fragment?: string
  readonly data?: unknown
  readonly identifiers?: readonly Identifier[]
  readonly collectorMs?: number
}

export function identified({
  profileId = 'p',
  name,
  atMs,
  id = `${name}@${atMs}`,
  fragment = `user_id:${profileId}`,
  data,
  identifiers = [],
  collectorMs = atMs,
}: EventParts): Inbound<'event', IdentifiedEvent> {
  return {
    kind: 'event',
    key: keyOf(profileId),
    value: {
      tenant,
      profileId,
      fragment,
      client: `client-${profileId}`,
      sittingId: '',
      identitySeq: 0,
      hops: 0,
      identifiers,
      event: eventOf({
        event_id: id,
        event_name: name,
        collector_tstamp: collectorMs,
        derived_tstamp: atMs,
        ...(data === undefined ? {} : { data }),
      }),
    },
  }
}

/** Both copies of an order, the leaving profile's first, as GRAPH writes them. */
export function mergeOrders(
  from: string,
  to: string,
  seq: number,
  atMs: number,
): readonly Inbound<'merge', MergeOrder>[] {
  const value = { tenant, mergeId: `m${seq}`, from, to, identitySeq: seq, eventId: `e${seq}`, effectiveAtMs: atMs }
  return [from, to].map((profileId) => ({ kind: 'merge', key: keyOf(profileId), value }))
}

/** The view of one profile that had the events, whatever their order. */
export function viewOf(definitions: Definitions, events: readonly EventParts[]): ProfileView {
  const rules = profileRules(definitions)
  const fragments = new Map<string, Fragment>()
  for (const { value } of events.map(identified)) {
    const reader = new EventReader(value.event)
    const fragment = foldEvent(fragments.get(value.fragment), value, reader, rules.forEvent(reader.name))
    fragments.set(value.fragment, fragment)
  }
  return new FragmentsView([...fragments.values()], rules)
}
