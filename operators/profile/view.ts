/** The merge of the fragments a profile owns, made as far as somebody looks. */
import { invariant } from '../../runtime/errors.ts'
import type {
  ConsentState,
  Entry,
  FieldState,
  Fragment,
  Profile,
  SeenIdentifier,
  TraitValue,
} from '../../schemas/avro/types.ts'
import { type EventMatch, windowedCountMax } from '../../schemas/definitions.ts'
import { addDecimals } from '../decimal.ts'
import { countAfter, joinEntries, joinValues } from './aggregate.ts'
import { joinFields } from './field.ts'
import { joinConsents, joinIdentifiers, ownValue } from './fragment.ts'
import type { AggregateRule, FieldRule, ProfileRules, TraitRule } from './rules.ts'
import type { ProfileView } from './update.ts'

/** What a computed trait names as its source. */
const computed = 'computed'

export class FragmentsView implements ProfileView {
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly events: number
  readonly #fragments: readonly Fragment[]
  readonly #rules: ProfileRules
  /** Joined entries by aggregate. */
  #newest: Map<AggregateRule, readonly Entry[]> | null = null
  #identifiers: readonly SeenIdentifier[] | null = null

  constructor(fragments: readonly Fragment[], rules: ProfileRules) {
    let firstSeenMs = Number.POSITIVE_INFINITY
    let lastSeenMs = Number.NEGATIVE_INFINITY
    let events = 0
    for (const fragment of fragments) {
      firstSeenMs = Math.min(firstSeenMs, fragment.firstSeenMs)
      lastSeenMs = Math.max(lastSeenMs, fragment.lastSeenMs)
      events += fragment.events
    }
    this.firstSeenMs = firstSeenMs
    this.lastSeenMs = lastSeenMs
    this.events = events
    this.#fragments = fragments
    this.#rules = rules
  }

  get identifiers(): readonly SeenIdentifier[] {
    this.#identifiers ??= this.#fragments.map(({ identifiers }) => identifiers).reduce(joinIdentifiers, [])
    return this.#identifiers
  }

  trait(id: string, clockMs: number): TraitValue | undefined {
    const rule = this.#rules.traits.get(id)
    return rule && this.#trait(rule, clockMs)
  }

  consent(purpose: string): ConsentState | undefined {
    let decision: ConsentState | undefined
    for (const { consents } of this.#fragments) {
      const own = ownValue(consents, purpose)
      if (own) decision = decision ? joinConsents(decision, own) : own
    }
    return decision
  }

  total(match: EventMatch): number {
    return this.#countOf(this.#ruleOf(match))
  }

  newest(match: EventMatch): readonly Entry[] {
    return this.#newestOf(this.#ruleOf(match))
  }

  /** The next instant after the clock at which a windowed count falls; Infinity when none will. */
  nextExpiryMs(clockMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const { aggregate, windowMs } of this.#rules.windows) {
      const newest = this.#newestOf(aggregate)
      const inWindow = countAfter(newest, clockMs - windowMs)
      if (inWindow > 0) nextMs = Math.min(nextMs, newest[inWindow - 1]!.atMs + windowMs)
    }
    return nextMs
  }

  /** The record that leaves, under a version. */
  record(
    tenant: string,
    profileId: string,
    createdAtMs: number,
    { generation, sequence }: Pick<Profile, 'generation' | 'sequence'>,
    clockMs: number,
  ): Profile {
    const traits: Record<string, TraitValue> = {}
    for (const rule of this.#rules.traits.values()) {
      const value = this.#trait(rule, clockMs)
      if (value) traits[rule.id] = value
    }
    const consents: Record<string, ConsentState> = {}
    for (const { consents: own } of this.#fragments) {
      for (const purpose of Object.keys(own)) consents[purpose] ??= this.consent(purpose)!
    }
    return {
      tenant,
      profileId,
      generation,
      sequence,
      createdAtMs,
      firstSeenMs: this.firstSeenMs,
      lastSeenMs: this.lastSeenMs,
      events: this.events,
      traits,
      identifiers: this.identifiers,
      consents,
      fragments: this.#fragments.map(({ key }) => key),
    }
  }

  #ruleOf(match: EventMatch): AggregateRule {
    const rule = this.#rules.matches.get(match)
    invariant(rule, 'a match that is asked for stands in the definitions in force')
    return rule
  }

  #trait(rule: TraitRule, clockMs: number): TraitValue | undefined {
    switch (rule.kind) {
      case 'field':
        return this.#field(rule)
      case 'count':
        return this.#computed(rule.aggregate, this.#countWithin(rule.aggregate, rule.windowMs, clockMs))
      case 'sum':
        return this.#computed(rule.aggregate, this.#sumOf(rule.aggregate))
      case 'union': {
        const values = this.#valuesOf(rule.aggregate).slice(0, rule.max)
        return values.length === 0 ? undefined : this.#computed(rule.aggregate, values)
      }
    }
  }

  #field(rule: FieldRule): TraitValue | undefined {
    let winner: FieldState | undefined
    for (const { fields } of this.#fragments) {
      const own = ownValue(fields, rule.id)
      if (own) winner = winner ? joinFields(rule, winner, own) : own
    }
    return winner
  }

  /** Stamped with the newest event that went into it; with the profile's first, before there is one. */
  #computed(rule: AggregateRule, value: TraitValue['value']): TraitValue {
    const newest = this.#newestOf(rule)[0]
    return newest
      ? { value, eventTimeMs: newest.atMs, source: computed, eventId: newest.eventId }
      : { value, eventTimeMs: Number.isFinite(this.firstSeenMs) ? this.firstSeenMs : 0, source: computed, eventId: '' }
  }

  #countWithin(rule: AggregateRule, windowMs: number | null, clockMs: number): number {
    if (windowMs === null) return this.#countOf(rule)
    return Math.min(countAfter(this.#newestOf(rule), clockMs - windowMs), windowedCountMax)
  }

  #countOf({ key }: AggregateRule): number {
    let count = 0
    for (const { aggregates } of this.#fragments) count += aggregates[key]?.count ?? 0
    return count
  }

  #sumOf({ key }: AggregateRule): string {
    let sum: string | undefined
    for (const { aggregates } of this.#fragments) {
      const own = aggregates[key]?.sum
      if (own) sum = sum === undefined ? own : addDecimals(sum, own)
    }
    return sum ?? '0'
  }

  #valuesOf({ key, caps }: AggregateRule): readonly string[] {
    return this.#fragments.reduce<readonly string[]>(
      (values, { aggregates }) => joinValues(values, aggregates[key]?.values ?? [], caps.values),
      [],
    )
  }

  #newestOf(rule: AggregateRule): readonly Entry[] {
    const known = this.#newest?.get(rule)
    if (known) return known
    const { key, caps } = rule
    let newest = noEntries
    for (const { aggregates } of this.#fragments) {
      const own = aggregates[key]?.newest
      if (own) newest = joinEntries(newest, own, caps.newest)
    }
    this.#newest ??= new Map()
    this.#newest.set(rule, newest)
    return newest
  }
}

const noEntries: readonly Entry[] = []
