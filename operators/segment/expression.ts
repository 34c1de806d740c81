/** Segment expressions, compiled once to closures over a profile's view. */
import { invariant } from '../../runtime/errors.ts'
import type { TraitValue } from '../../schemas/avro/types.ts'
import {
  type Comparison,
  type EventMatch,
  type Expression,
  type Literal,
  type TraitDefinition,
  windowedCountMax,
} from '../../schemas/definitions.ts'
import { compareDecimals, decimalOf } from '../decimal.ts'
import { compileComparison } from '../event/condition.ts'
import type { ProfileView } from '../profile/update.ts'
import { certain, conjunction, disjunction, negate, unknown, type Verdict } from './verdict.ts'

/** `pending`: events are missing, of any time; then only what no event could turn is certain. */
export type Evaluate = (view: ProfileView, clockMs: number, pending: boolean) => Verdict

export function compileExpression(expression: Expression, traits: ReadonlyMap<string, TraitDefinition>): Evaluate {
  switch (expression.op) {
    case 'and':
      return combine(
        expression.of.map((each) => compileExpression(each, traits)),
        conjunction,
      )
    case 'or':
      return combine(
        expression.of.map((each) => compileExpression(each, traits)),
        disjunction,
      )
    case 'not': {
      const of = compileExpression(expression.of, traits)
      return (view, clockMs, pending) => negate(of(view, clockMs, pending))
    }
    case 'count':
      return compileCount(expression.match, expression.windowMs, expression.comparison, expression.threshold)
    case 'absent':
      return compileAbsent(expression.match, expression.windowMs, expression.after)
    case 'trait':
      return compileTrait(traitOf(traits, expression.trait), expression.comparison, expression.value)
    case 'trait_in': {
      const trait = traitOf(traits, expression.trait)
      return combine(
        expression.values.map((value) => compileTrait(trait, '==', value)),
        disjunction,
      )
    }
    case 'has':
      return compileHas(traitOf(traits, expression.trait))
  }
}

/** The names of events on which the verdict can change; null stands for every event. */
export function eventsOf(
  expression: Expression,
  traits: ReadonlyMap<string, TraitDefinition>,
): ReadonlySet<string | null> {
  switch (expression.op) {
    case 'and':
    case 'or':
      return new Set(expression.of.flatMap((each) => [...eventsOf(each, traits)]))
    case 'not':
      return eventsOf(expression.of, traits)
    case 'count':
      return new Set([expression.match.event])
    case 'absent':
      // Without an anchor of its own it counts from the profile's first event, which any late event can be.
      return new Set([expression.match.event, expression.after ? expression.after.event : null])
    case 'trait':
    case 'trait_in':
    case 'has':
      return new Set([traitOf(traits, expression.trait).source.match.event])
  }
}

function combine(of: readonly Evaluate[], by: (verdicts: readonly Verdict[]) => Verdict): Evaluate {
  return (view, clockMs, pending) => by(of.map((evaluate) => evaluate(view, clockMs, pending)))
}

function traitOf(traits: ReadonlyMap<string, TraitDefinition>, id: string): TraitDefinition {
  const trait = traits.get(id)
  invariant(trait, `a segment names traits that are defined (${id})`)
  return trait
}

// --- counts ---

/** Every comparison of a whole number comes down to whether there are at least so many. */
function compileCount(
  match: EventMatch,
  windowMs: number | null,
  comparison: Comparison,
  threshold: number,
  countMax = Number.POSITIVE_INFINITY,
): Evaluate {
  const atLeast = (count: number) => (count > countMax ? () => certain(false) : compileAtLeast(match, windowMs, count))
  const least = Math.ceil(threshold)
  const more = Math.floor(threshold) + 1
  const not =
    (of: Evaluate): Evaluate =>
    (...given) =>
      negate(of(...given))
  // For a threshold that is no whole number, `least` and `more` are the same, and no count is equal to it.
  const equal = combine([atLeast(least), not(atLeast(more))], conjunction)
  switch (comparison) {
    case '>=':
      return atLeast(least)
    case '>':
      return atLeast(more)
    case '<':
      return not(atLeast(least))
    case '<=':
      return not(atLeast(more))
    case '==':
      return equal
    case '!=':
      return not(equal)
  }
}

/** Further events only raise a count, so that enough of them are enough also while some are missing. */
function compileAtLeast(match: EventMatch, windowMs: number | null, count: number): Evaluate {
  if (count <= 0) return () => certain(true)
  if (windowMs === null) {
    return (view, _, pending) => {
      const enough = view.total(match) >= count
      if (enough) return certain(true, view.newest(match)[0]?.atMs)
      return pending ? unknown : certain(false)
    }
  }
  return (view, clockMs, pending) => {
    const newest = view.newest(match)
    const kth = newest[count - 1]
    const endMs = kth && kth.atMs + windowMs
    if (endMs !== undefined && clockMs < endMs) return certain(true, newest[0]!.atMs, endMs)
    return pending ? unknown : certain(false, endMs)
  }
}

// --- absence ---

function compileAbsent(match: EventMatch, windowMs: number, after: EventMatch | null): Evaluate {
  return (view, clockMs, pending) => {
    const newestMs = view.newest(match)[0]?.atMs ?? Number.NEGATIVE_INFINITY
    const anchorMs = after
      ? view.newest(after)[0]?.atMs
      : Number.isFinite(view.firstSeenMs)
        ? view.firstSeenMs
        : undefined
    if (anchorMs === undefined) return pending ? unknown : certain(false)
    const startMs = Math.max(anchorMs, newestMs)
    if (!pending) {
      const endMs = startMs + windowMs
      return clockMs < endMs ? certain(false, startMs, endMs) : certain(true, endMs)
    }
    // What is missing can only move a match and the newest anchor on; the first event it can move back.
    const surelyMs = (after ? startMs : newestMs) + windowMs
    return clockMs < surelyMs ? certain(false, startMs, surelyMs) : unknown
  }
}

// --- traits ---

function compileTrait(trait: TraitDefinition, comparison: Comparison, literal: Literal): Evaluate {
  const { source, id } = trait
  if (source.kind === 'count') {
    if (typeof literal !== 'number') return () => certain(false)
    return compileCount(
      source.match,
      source.windowMs,
      comparison,
      literal,
      source.windowMs === null ? Number.POSITIVE_INFINITY : windowedCountMax,
    )
  }
  const holds = compileValueComparison(trait, comparison, literal)
  return (view, clockMs, pending) => {
    if (pending) return unknown
    const trait = view.trait(id, clockMs)
    return trait ? certain(holds(trait.value), trait.eventTimeMs) : certain(false)
  }
}

/** A list compares true when any of its values does; a decimal by size, exactly; a time with the time a text names. */
function compileValueComparison(
  { type, source }: TraitDefinition,
  comparison: Comparison,
  literal: Literal,
): (value: TraitValue['value']) => boolean {
  if ((type === 'decimal' || source.kind === 'sum') && typeof literal === 'number') {
    const decimal = decimalOf(literal)
    const holds = compileComparison(comparison, 0)
    return (value) => decimal !== undefined && typeof value === 'string' && holds(compareDecimals(value, decimal))
  }
  const holds = compileComparison(
    comparison,
    type === 'timestamp' && typeof literal === 'string' ? Date.parse(literal) : literal,
  )
  return (value) => (Array.isArray(value) ? value.some(holds) : holds(value))
}

/** A trait that is set stays set, whatever else comes. */
function compileHas({ id, source }: TraitDefinition): Evaluate {
  if (source.kind === 'count' || source.kind === 'sum') return () => certain(true)
  return (view, clockMs, pending) => {
    const value = view.trait(id, clockMs)
    if (value) return certain(true, value.eventTimeMs)
    return pending ? unknown : certain(false)
  }
}
