/** Definitions compiled for PROFILE: what each event changes, and what each trait and match reads. */
import type { FieldState } from '../../schemas/avro/types.ts'
import {
  type ConsentSignal,
  type Definitions,
  type EventMatch,
  type Expression,
  type Literal,
  type TraitDefinition,
  type TraitSource,
  type ValuePath,
  windowedCountMax,
} from '../../schemas/definitions.ts'
import { compileMatch, type EventPredicate } from '../event/condition.ts'
import type { EventReader } from '../event/event.ts'
import { digest } from '../ids.ts'
import { perDefinitions } from '../memo.ts'
import type { AggregateCaps } from './aggregate.ts'
import { boundedText, type FieldOrder, fieldValue } from './field.ts'

/** No list of newest events is longer: a rule that counts further can never be seen to hold. */
const newestMax = 1_000

export type TraitRule = FieldRule | ComputedRule

export type FieldRule = FieldOrder & {
  readonly kind: 'field'
  readonly id: string
  readonly trust: number
  readonly matches: EventPredicate
  /** The value an event gives; undefined when it gives none of the trait's type. */
  readonly read: (reader: EventReader) => FieldState['value'] | undefined
}

export type ComputedRule = { readonly id: string; readonly aggregate: AggregateRule } & (
  | { readonly kind: 'sum' }
  | { readonly kind: 'union'; readonly max: number }
  | { readonly kind: 'count'; readonly windowMs: number | null }
)

export type AggregateRule = {
  /** Digest of what is kept: rules that keep the same share it. */
  readonly key: string
  readonly caps: AggregateCaps
  readonly matches: EventPredicate
  readonly keeps: Keeps
}

/** Events alone, or a value of them as well. */
type Keeps = { readonly kind: 'matches' } | { readonly kind: 'sum' | 'union'; readonly value: readonly ValuePath[] }

export type ConsentRule = {
  readonly matches: EventPredicate
  readonly granted: boolean
  readonly purposes: (reader: EventReader) => readonly string[]
}

/** What can change on an event of one name. */
export type EventRules = {
  readonly fields: readonly FieldRule[]
  readonly aggregates: readonly AggregateRule[]
  readonly consents: readonly ConsentRule[]
  /** Among them are aggregates that a windowed count reads. */
  readonly windowed: boolean
}

export type ProfileRules = {
  readonly traits: ReadonlyMap<string, TraitRule>
  readonly aggregates: ReadonlyMap<string, AggregateRule>
  /** By the very object in the definitions: the aggregate that counts its events and keeps the newest. */
  readonly matches: ReadonlyMap<EventMatch, AggregateRule>
  /** Traits whose value falls as time goes by. */
  readonly windows: readonly { readonly aggregate: AggregateRule; readonly windowMs: number }[]
  readonly forEvent: (name: string | null) => EventRules
}

const compiled = perDefinitions(compile)

/** The rules of the definitions in force; before there are any, profiles keep identifiers and times only. */
export function profileRules(definitions: Definitions | undefined): ProfileRules {
  return definitions ? compiled(definitions) : noRules
}

function compile({ traits, segments, consent }: Pick<Definitions, 'traits' | 'segments' | 'consent'>): ProfileRules {
  const demands = [
    ...traits.flatMap(({ source }) => (source.kind === 'field' ? [] : [demandOf(source)])),
    ...segments.flatMap(({ expression }) => demandsOf(expression)),
  ]
  const aggregates = aggregateRules(demands)
  const ruleOf = (demand: Demand) => aggregates.get(demand.key)!
  const matching = demands.filter(({ keeps }) => keeps.kind === 'matches')
  const traitRules = traits.map((trait) => traitRule(trait, (source) => ruleOf(demandOf(source))))
  return {
    traits: new Map(traitRules.map((rule) => [rule.id, rule])),
    aggregates,
    matches: new Map(matching.map((demand) => [demand.match, ruleOf(demand)])),
    windows: windowsOf(traitRules),
    forEvent: eventRules(traits, traitRules, demands, aggregates, consent),
  }
}

// --- what is asked of the events ---

type Demand = {
  readonly key: string
  readonly match: EventMatch
  readonly keeps: Keeps
  readonly caps: AggregateCaps
}

type ComputedSource = Exclude<TraitSource, { readonly kind: 'field' }>

function demandOf(source: ComputedSource): Demand {
  if (source.kind === 'count') return matchDemand(source.match, source.windowMs === null ? 1 : windowedCountMax)
  const { kind, match, value } = source
  const key = digest(kind, canonicalJson(match), canonicalJson(value))
  return { key, match, keeps: { kind, value }, caps: { newest: 1, values: kind === 'union' ? source.max : 0 } }
}

/** The matches an expression looks at, and how many of their newest events it needs to tell. */
function demandsOf(expression: Expression): readonly Demand[] {
  switch (expression.op) {
    case 'and':
    case 'or':
      return expression.of.flatMap(demandsOf)
    case 'not':
      return demandsOf(expression.of)
    case 'count': {
      // An exact answer to any comparison with n needs to know whether there are n, and whether there are n + 1.
      const { match, windowMs, threshold } = expression
      return [matchDemand(match, windowMs === null ? 1 : Math.floor(threshold) + 1)]
    }
    case 'absent': {
      const { match, after } = expression
      return [matchDemand(match, 1), ...(after ? [matchDemand(after, 1)] : [])]
    }
    case 'trait':
    case 'trait_in':
    case 'has':
      return []
  }
}

function matchDemand(match: EventMatch, newest: number): Demand {
  const key = digest('matches', canonicalJson(match))
  return { key, match, keeps: { kind: 'matches' }, caps: { newest: Math.min(newest, newestMax), values: 0 } }
}

/** One rule a key, wide enough for all who ask. The newest event is always kept, to tell when. */
function aggregateRules(demands: readonly Demand[]): ReadonlyMap<string, AggregateRule> {
  const rules = new Map<string, AggregateRule>()
  for (const { key, match, keeps, caps } of demands) {
    const known = rules.get(key)
    rules.set(key, {
      key,
      keeps,
      matches: known?.matches ?? compileMatch(match),
      caps: {
        newest: Math.max(known?.caps.newest ?? 1, caps.newest),
        values: Math.max(known?.caps.values ?? 0, caps.values),
      },
    })
  }
  return rules
}

// --- traits ---

function traitRule(trait: TraitDefinition, aggregateOf: (source: ComputedSource) => AggregateRule): TraitRule {
  const { id, source } = trait
  if (source.kind === 'field') return fieldRule(trait, source)
  const aggregate = aggregateOf(source)
  switch (source.kind) {
    case 'count':
      return { id, aggregate, kind: 'count', windowMs: source.windowMs }
    case 'sum':
      return { id, aggregate, kind: 'sum' }
    case 'union':
      return { id, aggregate, kind: 'union', max: source.max }
  }
}

function fieldRule({ id, type }: TraitDefinition, source: Extract<TraitSource, { readonly kind: 'field' }>): FieldRule {
  const { policy, trust, value, match } = source
  const rule = { kind: 'field', id, type, policy, trust, matches: compileMatch(match) } as const
  if ('literal' in value) {
    const constant = fieldValue(type, value.literal)
    return { ...rule, read: () => constant }
  }
  if (type === 'list') return { ...rule, read: (reader) => listOf(reader, value) }
  return {
    ...rule,
    read(reader) {
      const literal = firstOf(reader, value)
      return literal === undefined ? undefined : fieldValue(type, literal)
    },
  }
}

function windowsOf(rules: readonly TraitRule[]): ProfileRules['windows'] {
  return rules.flatMap((rule) =>
    rule.kind === 'count' && rule.windowMs !== null ? [{ aggregate: rule.aggregate, windowMs: rule.windowMs }] : [],
  )
}

/** The first value that is set. */
export function firstOf(reader: EventReader, paths: readonly ValuePath[]): Literal | undefined {
  for (const path of paths) {
    const value = reader.value(path)
    if (value !== undefined) return value
  }
  return undefined
}

/** All values of the first path that has any. */
export function allOf(reader: EventReader, paths: readonly ValuePath[]): readonly string[] {
  for (const path of paths) {
    const values = reader.values(path)
    if (values.length > 0) return values.map(String)
  }
  return []
}

const listLengthMax = 64

function listOf(reader: EventReader, paths: readonly ValuePath[]): readonly string[] | undefined {
  const texts = allOf(reader, paths).slice(0, listLengthMax)
  const list = texts.flatMap((text) => boundedText(text) ?? [])
  return list.length === 0 ? undefined : list
}

// --- by event ---

type Named<Rule> = { readonly event: string | null; readonly rule: Rule }

function eventRules(
  traits: readonly TraitDefinition[],
  rules: readonly TraitRule[],
  demands: readonly Demand[],
  aggregates: ReadonlyMap<string, AggregateRule>,
  consent: Definitions['consent'],
): ProfileRules['forEvent'] {
  const purposes = new Set(consent.purposes)
  const fields = rules.flatMap((rule, i): readonly Named<FieldRule>[] =>
    rule.kind === 'field' ? [{ event: traits[i]!.source.match.event, rule }] : [],
  )
  const eventOf = new Map(demands.map(({ key, match }) => [key, match.event]))
  const counted = [...aggregates].map(([key, rule]): Named<AggregateRule> => ({ event: eventOf.get(key)!, rule }))
  const consents = consent.signals.map((signal) => ({ event: signal.match.event, rule: consentRule(signal, purposes) }))
  const windowed = new Set(windowsOf(rules).map(({ aggregate }) => aggregate))

  const rulesOf = (name: string | null): EventRules => {
    const concerned = concerning(counted, name)
    return {
      fields: concerning(fields, name),
      aggregates: concerned,
      consents: concerning(consents, name),
      windowed: concerned.some((rule) => windowed.has(rule)),
    }
  }
  const names = new Set([...fields, ...counted, ...consents].map(({ event }) => event))
  const named = new Map([...names].map((name) => [name, rulesOf(name)]))
  const other = rulesOf(null)
  return (name) => named.get(name) ?? other
}

/** Those that look at events of the name, or at every event. */
function concerning<Rule>(all: readonly Named<Rule>[], name: string | null): readonly Rule[] {
  return all.filter(({ event }) => event === null || event === name).map(({ rule }) => rule)
}

/** A purpose that is not declared is nobody's: it is left out. */
function consentRule({ match, granted, purposes }: ConsentSignal, declared: ReadonlySet<string>): ConsentRule {
  const known = (names: readonly string[]) => names.filter((name) => declared.has(name))
  const rule = { matches: compileMatch(match), granted }
  if ('from' in purposes) return { ...rule, purposes: (reader) => known(reader.values(purposes.from).map(String)) }
  const fixed = known(purposes)
  return { ...rule, purposes: () => fixed }
}

/** One text for one meaning: members by name. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

const noRules = compile({ traits: [], segments: [], consent: { purposes: [], signals: [] } })
