/**
 * What a finished run must have come to, worked out anew from the accepted events by brute force: which events belong to
 * which profile, every trait, every membership. Shares no state, no aggregate and no timer with the operators.
 */

import { compileMatch } from '../../operators/event/condition.ts'
import { EventReader } from '../../operators/event/event.ts'
import type { DrivenRecord } from '../../runtime/driver.ts'
import type {
  Event,
  IdentifiedEvent,
  IdentityAlias,
  IdentityChange,
  MembershipTransition,
  Profile,
} from '../../schemas/avro/types.ts'
import type {
  Definitions,
  EventMatch,
  Expression,
  Literal,
  TraitDefinition,
  ValuePath,
} from '../../schemas/definitions.ts'

export type Outcome = {
  readonly records: (topic: string) => readonly DrivenRecord[]
  readonly counters: ReadonlyMap<string, number>
  readonly definitionsOf: (tenant: string) => Definitions
  /** Where log time has come to; every timer due by then has fired. */
  readonly clockMs: number
}

/** Each line says what is wrong; none when the run came out as it must. */
export function checkOutcome(outcome: Outcome): string[] {
  const { records, counters } = outcome
  const wrong: string[] = []
  const counted = (name: string): number => counters.get(name) ?? 0
  const require = (holds: boolean, what: string): void => {
    if (!holds) wrong.push(what)
  }

  // Nothing lost: in = out + bad + dead.
  require(counted('dead') === 0, `${counted('dead')} records died`)
  require(counted('raw.events') === counted('valid') + counted('bad'), 'raw events = valid + bad')
  require(counted('valid') === counted('accepted') + counted('duplicates'), 'valid = accepted + duplicates')

  const decided = records('events.identified')
    .filter(({ kind }) => kind === 'event')
    .map(({ value }) => value as IdentifiedEvent)
    .filter(({ hops }) => hops === 0)
  require(decided.length ===
    counted('accepted'), `${decided.length} events were identified, ${counted('accepted')} accepted`)
  const ids = new Set(decided.map(({ tenant, event }) => `${tenant}/${event.event_id}`))
  require(ids.size === decided.length, 'an event was identified twice')

  const aliases = new Map<string, string>()
  for (const { value } of records('identity.aliases')) {
    const { tenant, profileId, mergedInto } = value as IdentityAlias
    aliases.set(`${tenant}/${profileId}`, `${tenant}/${mergedInto}`)
  }
  const ownerOf = (key: string): string => {
    let owner = key
    for (let hops = 0; aliases.has(owner); hops++) {
      if (hops > aliases.size) throw new Error(`the aliases of ${key} go round in a circle`)
      owner = aliases.get(owner)!
    }
    return owner
  }
  require(aliases.size === counted('merges'), `${aliases.size} aliases, ${counted('merges')} merges`)

  const changes = records('identity.changes').map(({ value }) => value as IdentityChange)
  for (const tenant of new Set(changes.map((change) => change.tenant))) {
    const seqs = changes.filter((change) => change.tenant === tenant).map(({ seq }) => seq)
    require(new Set(seqs).size === seqs.length &&
      Math.max(...seqs) === seqs.length, `${tenant}: identity sequence has gaps`)
  }

  const owned = new Map<string, EventReader[]>()
  for (const { tenant, profileId, event } of decided) {
    const owner = ownerOf(`${tenant}/${profileId}`)
    owned.set(owner, [...(owned.get(owner) ?? []), new EventReader(event)])
  }

  const profiles = new Map<string, Profile>()
  for (const { key, value } of records('profiles')) {
    if (value === null) profiles.delete(key)
    else profiles.set(key, value as Profile)
  }
  require(sameList(
    [...profiles.keys()],
    [...owned.keys()],
  ), `profiles ${profiles.size}, owners of events ${owned.size}`)

  const memberships = checkTransitions(
    records('segments.memberships').map(({ value }) => value as MembershipTransition),
    require,
  )

  for (const [key, events] of owned) {
    const profile = profiles.get(key)
    if (!profile) continue
    const definitions = outcome.definitionsOf(profile.tenant)
    require(profile.events === events.length, `${key}: ${profile.events} events, ${events.length} expected`)
    const traits = new Map(definitions.traits.map((trait) => [trait.id, traitOf(trait, events, outcome.clockMs)]))
    for (const [id, expected] of traits) {
      const actual = profile.traits[id]?.value ?? null
      require(sameValue(
        actual,
        expected,
      ), `${key}: trait ${id} is ${JSON.stringify(actual)}, ${JSON.stringify(expected)} expected`)
    }
    for (const { id, expression } of definitions.segments) {
      const expected = holds(expression, events, traits, outcome.clockMs)
      const actual = memberships.get(`${key} ${id}`) === 'entered'
      require(actual === expected, `${key}: ${actual ? 'in' : 'out of'} ${id}, ${expected ? 'in' : 'out'} expected`)
    }
  }
  for (const [place, status] of memberships) {
    const owner = place.slice(0, place.indexOf(' '))
    require(status === 'exited' || owned.has(owner), `${place}: a merged profile is still a member`)
  }
  return wrong
}

/** Statuses alternate, sequences have no gaps, and effective times do not go back. Answers the last status of each. */
function checkTransitions(
  transitions: readonly MembershipTransition[],
  require: (holds: boolean, what: string) => void,
): Map<string, 'entered' | 'exited'> {
  const last = new Map<string, MembershipTransition>()
  const ids = new Set<string>()
  for (const transition of transitions) {
    const place = `${transition.tenant}/${transition.profileId} ${transition.segmentId}`
    const before = last.get(place)
    require(transition.status !== (before?.status ?? 'exited'), `${place}: ${transition.status} twice`)
    require(transition.seq === (before?.seq ?? 0) + 1, `${place}: seq ${transition.seq} follows ${before?.seq ?? 0}`)
    require(transition.effectiveAtMs >= (before?.effectiveAtMs ?? 0), `${place}: effective times go back`)
    require(!ids.has(transition.id), `${place}: id ${transition.id} is used twice`)
    ids.add(transition.id)
    last.set(place, transition)
  }
  return new Map([...last].map(([place, { status }]) => [place, status]))
}

// --- brute force ---

function matching(match: EventMatch, events: readonly EventReader[]): EventReader[] {
  const matches = compileMatch(match)
  return events.filter((event) => matches(event))
}

function idOf(reader: EventReader): string {
  return reader.event.event_id
}

function firstValue(paths: readonly ValuePath[] | { readonly literal: Literal }, event: EventReader): unknown {
  if ('literal' in paths) return paths.literal
  return paths.map((path) => event.value(path)).find((value) => value !== undefined && value !== null)
}

function traitOf({ type, source }: TraitDefinition, events: readonly EventReader[], clockMs: number): unknown {
  const matches = matching(source.match, events)
  if (source.kind === 'count') {
    if (source.windowMs === null) return matches.length
    return Math.min(512, matches.filter(({ timeMs }) => timeMs > clockMs - source.windowMs!).length)
  }
  const valued = matches
    .map((event) => ({ event, value: convert(firstValue(source.value, event), type) }))
    .filter(({ value }) => value !== undefined)
  if (source.kind === 'union') {
    const distinct = [...new Set(matches.flatMap((event) => valuesOf(source.value, event)))].sort()
    return distinct.length > 0 ? distinct.slice(0, source.max) : null
  }
  if (source.kind === 'sum') {
    // Cents are enough for what the traffic spends.
    const cents = valued.reduce((sum, { value }) => sum + Math.round(Number(value) * 100), 0)
    return cents / 100
  }
  const better = {
    recency: (a: Valued, b: Valued) => a.event.timeMs - b.event.timeMs || order(idOf(a.event), idOf(b.event)),
    first: (a: Valued, b: Valued) => b.event.timeMs - a.event.timeMs || order(idOf(b.event), idOf(a.event)),
    max: (a: Valued, b: Valued) => order(a.value as string, b.value as string),
    min: (a: Valued, b: Valued) => order(b.value as string, a.value as string),
  }[source.policy]
  type Valued = (typeof valued)[number]
  return (
    valued.reduce<Valued | undefined>(
      (best, one) => (best === undefined || better(one, best) > 0 ? one : best),
      undefined,
    )?.value ?? null
  )
}

function valuesOf(paths: readonly ValuePath[], event: EventReader): string[] {
  return paths.flatMap((path) => event.values(path).map(String))
}

function convert(value: unknown, type: TraitDefinition['type']): unknown {
  if (value === undefined || value === null) return undefined
  if (type === 'number') return Number.isFinite(Number(value)) && value !== '' ? Number(value) : undefined
  return value
}

function order(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function holds(
  expression: Expression,
  events: readonly EventReader[],
  traits: ReadonlyMap<string, unknown>,
  clockMs: number,
): boolean {
  switch (expression.op) {
    case 'and':
      return expression.of.every((part) => holds(part, events, traits, clockMs))
    case 'or':
      return expression.of.some((part) => holds(part, events, traits, clockMs))
    case 'not':
      return !holds(expression.of, events, traits, clockMs)
    case 'has':
      return listOf(traits.get(expression.trait)).length > 0
    case 'trait_in':
      return listOf(traits.get(expression.trait)).some((value) =>
        expression.values.some((one) => compare(value, '==', one)),
      )
    case 'trait':
      return listOf(traits.get(expression.trait)).some((value) =>
        compare(value, expression.comparison, expression.value),
      )
    case 'count': {
      const { match, windowMs, comparison, threshold } = expression
      const inWindow = matching(match, events).filter(({ timeMs }) => windowMs === null || timeMs > clockMs - windowMs)
      return compare(inWindow.length, comparison, threshold)
    }
    case 'absent': {
      const { match, windowMs, after } = expression
      const anchors = (after ? matching(after, events) : events).map(({ timeMs }) => timeMs)
      if (anchors.length === 0) return false
      const anchorMs = after ? Math.max(...anchors) : Math.min(...anchors)
      const since = matching(match, events).filter(({ timeMs }) => timeMs >= anchorMs)
      return clockMs >= Math.max(anchorMs, ...since.map(({ timeMs }) => timeMs)) + windowMs
    }
  }
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : [value]
}

function compare(left: unknown, comparison: string, right: Literal): boolean {
  const [a, b] = typeof right === 'number' ? [Number(left), right] : [left as Literal, right]
  switch (comparison) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    default:
      return a >= b
  }
}

function sameValue(actual: unknown, expected: unknown): boolean {
  if (Array.isArray(expected)) return Array.isArray(actual) && sameList(actual, expected)
  if (typeof expected === 'number' && actual !== null) return Math.abs(Number(actual) - expected) < 1e-6
  return actual === expected
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return [...a].sort().join('\n') === [...b].sort().join('\n')
}

export type { Event }
