/** Fragments: what was learned from the events attributed to one identifier, for devices and cookies per sitting. */
import type {
  AggregateState,
  ConsentState,
  FieldState,
  Fragment,
  IdentifiedEvent,
  SeenIdentifier,
} from '../../schemas/avro/types.ts'
import { addDecimals, decimalOf } from '../decimal.ts'
import type { EventReader } from '../event/event.ts'
import { type AggregateCaps, emptyAggregate, insertEntry, joinAggregates, joinValues } from './aggregate.ts'
import { boundedText, compareText, joinFields } from './field.ts'
import { type AggregateRule, allOf, type EventRules, firstOf, type ProfileRules } from './rules.ts'

/** A sitting that has been silent for this long is closed. */
const sittingGapMs = 30 * 60_000
/** Above this many, or this large, the fragments seen longest ago become one, which no later split can take apart. */
export const fragmentsMax = 32
/** Leaves room for the rest of the row: no stored value may exceed 256 KiB. */
const bytesMax = 160 * 1024
/** Of one namespace; the smallest hashes are kept, which no order of arrival changes. */
const identifiersMax = 32
/** The key of the fragment that took in those beyond the bound. */
const overflowKey = '*'

/** The fragment with one more event; `fragment` is undefined for its first. */
export function foldEvent(
  fragment: Fragment | undefined,
  event: IdentifiedEvent,
  reader: EventReader,
  rules: EventRules,
): Fragment {
  const { timeMs } = reader
  const before = fragment ?? emptyFragment(event.fragment, timeMs)
  return {
    key: before.key,
    ownerSeq: Math.max(before.ownerSeq, event.identitySeq),
    firstSeenMs: Math.min(before.firstSeenMs, timeMs),
    lastSeenMs: Math.max(before.lastSeenMs, timeMs),
    events: before.events + 1,
    identifiers: foldIdentifiers(before.identifiers, event, timeMs),
    fields: foldFields(before.fields, event, reader, rules),
    aggregates: foldAggregates(before.aggregates, event.event.event_id, reader, rules),
    consents: foldConsents(before.consents, event.event.event_id, reader, rules),
  }
}

/** The fragment of two sets of events that have no event in common. */
export function joinFragments(key: string, a: Fragment, b: Fragment, rules: ProfileRules): Fragment {
  return {
    key,
    ownerSeq: Math.max(a.ownerSeq, b.ownerSeq),
    firstSeenMs: Math.min(a.firstSeenMs, b.firstSeenMs),
    lastSeenMs: Math.max(a.lastSeenMs, b.lastSeenMs),
    events: a.events + b.events,
    identifiers: joinIdentifiers(a.identifiers, b.identifiers),
    fields: joinMaps(a.fields, b.fields, (x, y, id) => {
      const rule = rules.traits.get(id)
      return rule?.kind === 'field' ? joinFields(rule, x, y) : joinUndefined(x, y)
    }),
    aggregates: joinMaps(a.aggregates, b.aggregates, (x, y, key) =>
      joinAggregates(x, y, rules.aggregates.get(key)?.caps ?? widestCaps),
    ),
    consents: joinMaps(a.consents, b.consents, joinConsents),
  }
}

/** Those of both, joined where both have one of a key. */
export function joinAll(a: readonly Fragment[], b: readonly Fragment[], rules: ProfileRules): readonly Fragment[] {
  const joined = new Map(a.map((fragment) => [fragment.key, fragment]))
  for (const fragment of b) {
    const own = joined.get(fragment.key)
    joined.set(fragment.key, own ? joinFragments(fragment.key, own, fragment, rules) : fragment)
  }
  return [...joined.values()].sort((x, y) => compareText(x.key, y.key))
}

/**
 * Folds closed sittings, but for the newest of each identifier, into the fragment of the identifier; and what is
 * beyond the bounds into one. The view is the same before and after.
 */
export function foldClosed(fragments: readonly Fragment[], clockMs: number, rules: ProfileRules): readonly Fragment[] {
  if (fragments.length < 2) return fragments
  const closed = fragments.filter(
    (fragment) => fragment.lastSeenMs + sittingGapMs < clockMs && isFollowed(fragment, fragments),
  )
  let folded = fragments
  if (closed.length > 0) {
    const rest = fragments.filter((fragment) => !closed.includes(fragment))
    const moved = closed.map((fragment) => ({ ...fragment, key: sittingBase(fragment.key)! }))
    folded = moved.reduce<readonly Fragment[]>((all, each) => joinAll(all, [each], rules), rest)
  }
  while (folded.length > fragmentsMax || (folded.length > 1 && estimatedBytes(folded) > bytesMax)) {
    folded = foldOldest(folded, rules)
  }
  return folded
}

/** Whether it is of a sitting, and there is a newer one of the same identifier. */
function isFollowed(fragment: Fragment, fragments: readonly Fragment[]): boolean {
  const base = sittingBase(fragment.key)
  if (base === null) return false
  return fragments.some((other) => sittingBase(other.key) === base && isNewer(other, fragment))
}

/** `namespace:hash` of `namespace:hash/sitting`; null for a fragment that is not of a sitting. */
function sittingBase(key: string): string | null {
  const slash = key.indexOf('/')
  return slash < 0 ? null : key.slice(0, slash)
}

function foldOldest(fragments: readonly Fragment[], rules: ProfileRules): readonly Fragment[] {
  const oldest = fragments
    .filter(({ key }) => key !== overflowKey)
    .reduce((oldest, fragment) => (isNewer(oldest, fragment) ? fragment : oldest))
  const rest = fragments.filter((fragment) => fragment !== oldest)
  return joinAll(rest, [{ ...oldest, key: overflowKey }], rules)
}

/** Texts of events may take three bytes a character; ids are plain; what is of fixed size is rounded up. */
function estimatedBytes(fragments: readonly Fragment[]): number {
  let bytes = 0
  for (const { identifiers, fields, aggregates } of fragments) {
    bytes += 1_024
    for (const { value } of identifiers) bytes += 80 + 3 * value.length
    for (const id in fields) bytes += 160 + textBytes(fields[id]!.value)
    for (const key in aggregates) {
      const { values, newest } = aggregates[key]!
      bytes += 80 + 48 * newest.length + textBytes(values)
    }
  }
  return bytes
}

function textBytes(value: FieldState['value']): number {
  if (typeof value === 'string') return 3 * value.length
  return Array.isArray(value) ? value.reduce<number>((sum, text) => sum + 3 + textBytes(text), 0) : 8
}

function isNewer(a: Fragment, b: Fragment): boolean {
  return (a.lastSeenMs - b.lastSeenMs || compareText(a.key, b.key)) > 0
}

function emptyFragment(key: string, timeMs: number): Fragment {
  return {
    key,
    ownerSeq: 0,
    firstSeenMs: timeMs,
    lastSeenMs: timeMs,
    events: 0,
    identifiers: [],
    fields: {},
    aggregates: {},
    consents: {},
  }
}

// --- identifiers ---

function foldIdentifiers(
  seen: readonly SeenIdentifier[],
  { identifiers }: IdentifiedEvent,
  timeMs: number,
): readonly SeenIdentifier[] {
  let joined = seen
  for (const { namespace, value, hash } of identifiers) {
    const at = joined.findIndex((known) => known.hash === hash && known.namespace === namespace)
    const here: SeenIdentifier = { namespace, value, hash, firstSeenMs: timeMs, lastSeenMs: timeMs }
    joined = at < 0 ? joinIdentifiers(joined, [here]) : joined.with(at, joinSeen(joined[at]!, here))
  }
  return joined
}

/** By namespace, then hash; of each namespace no more than the bound. */
export function joinIdentifiers(a: readonly SeenIdentifier[], b: readonly SeenIdentifier[]): readonly SeenIdentifier[] {
  if (a.length === 0) return b
  if (b.length === 0) return a
  const joined: SeenIdentifier[] = []
  let namespaceStart = 0
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const order = i === a.length ? 1 : j === b.length ? -1 : compareIdentifiers(a[i]!, b[j]!)
    const next = order < 0 ? a[i++]! : order > 0 ? b[j++]! : joinSeen(a[i++]!, b[j++]!)
    if (joined[namespaceStart]?.namespace !== next.namespace) namespaceStart = joined.length
    if (joined.length - namespaceStart < identifiersMax) joined.push(next)
  }
  return joined
}

function compareIdentifiers(a: SeenIdentifier, b: SeenIdentifier): number {
  return compareText(a.namespace, b.namespace) || compareText(a.hash, b.hash)
}

function joinSeen(a: SeenIdentifier, b: SeenIdentifier): SeenIdentifier {
  const firstSeenMs = Math.min(a.firstSeenMs, b.firstSeenMs)
  const lastSeenMs = Math.max(a.lastSeenMs, b.lastSeenMs)
  return a.firstSeenMs === firstSeenMs && a.lastSeenMs === lastSeenMs ? a : { ...a, firstSeenMs, lastSeenMs }
}

// --- fields ---

function foldFields(fields: Fragment['fields'], event: IdentifiedEvent, reader: EventReader, rules: EventRules) {
  let changed: Record<string, FieldState> | null = null
  for (const rule of rules.fields) {
    if (!rule.matches(reader)) continue
    const value = rule.read(reader)
    if (value === undefined) continue
    const field: FieldState = {
      value,
      eventTimeMs: reader.timeMs,
      source: event.event.source,
      trust: rule.trust,
      eventId: event.event.event_id,
    }
    const own = ownValue(fields, rule.id)
    const winner = own ? joinFields(rule, own, field) : field
    if (winner === own) continue
    changed ??= { ...fields }
    changed[rule.id] = winner
  }
  return changed ?? fields
}

/** A trait that is defined no more keeps its newest value, in case it comes back. */
function joinUndefined(a: FieldState, b: FieldState): FieldState {
  return joinFields({ policy: 'recency', type: 'string' }, a, b)
}

// --- aggregates ---

/** For an aggregate that no rule in force looks at: it is kept whole, in case a later one does. */
const widestCaps: AggregateCaps = { newest: 1_000, values: 1_000 }

function foldAggregates(aggregates: Fragment['aggregates'], eventId: string, reader: EventReader, rules: EventRules) {
  let changed: Record<string, AggregateState> | null = null
  for (const rule of rules.aggregates) {
    if (!rule.matches(reader)) continue
    const own = ownValue(aggregates, rule.key) ?? emptyAggregate
    const next = foldAggregate(own, rule, eventId, reader)
    if (next === own) continue
    changed ??= { ...aggregates }
    changed[rule.key] = next
  }
  return changed ?? aggregates
}

function foldAggregate(own: AggregateState, rule: AggregateRule, eventId: string, reader: EventReader): AggregateState {
  const { keeps, caps } = rule
  let { sum, values } = own
  if (keeps.kind === 'sum') {
    const amount = decimalOf(firstOf(reader, keeps.value))
    if (amount === undefined) return own
    sum = sum === null ? amount : addDecimals(sum, amount)
  } else if (keeps.kind === 'union') {
    const texts = allOf(reader, keeps.value).flatMap((text) => boundedText(text) ?? [])
    if (texts.length === 0) return own
    values = joinValues(values, [...new Set(texts)].sort(), caps.values)
  }
  const newest = insertEntry(own.newest, { atMs: reader.timeMs, eventId }, caps.newest)
  return { count: own.count + 1, sum, values, newest }
}

// --- consents ---

function foldConsents(consents: Fragment['consents'], eventId: string, reader: EventReader, rules: EventRules) {
  let changed: Record<string, ConsentState> | null = null
  for (const { matches, granted, purposes } of rules.consents) {
    if (!matches(reader)) continue
    const decision: ConsentState = { granted, eventTimeMs: reader.timeMs, eventId }
    for (const purpose of purposes(reader)) {
      const own = ownValue(changed ?? consents, purpose)
      const winner = own ? joinConsents(own, decision) : decision
      if (winner === own) continue
      changed ??= { ...consents }
      changed[purpose] = winner
    }
  }
  return changed ?? consents
}

/** The newer decision; of two at one instant the denial. */
export function joinConsents(a: ConsentState, b: ConsentState): ConsentState {
  const order =
    a.eventTimeMs - b.eventTimeMs || Number(b.granted) - Number(a.granted) || compareText(a.eventId, b.eventId)
  return order >= 0 ? a : b
}

// --- maps by the ids of definitions ---

/** The members of both, joined where both have one of a name. */
export function joinMaps<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  join: (a: T, b: T, key: string) => T,
): Readonly<Record<string, T>> {
  const joined: Record<string, T> = { ...a }
  for (const [key, value] of Object.entries(b)) {
    const own = ownValue(a, key)
    joined[key] = own === undefined ? value : join(own, value, key)
  }
  return joined
}

/** A definition may be called `constructor`; a map from the log has a prototype. */
export function ownValue<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined
}
