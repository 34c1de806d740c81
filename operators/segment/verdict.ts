/** Three-valued answers with a term: whether a rule holds, since when, and until when with no further event. */

export type Verdict = {
  /** Unknown: what is missing could turn it. */
  readonly holds: boolean | 'unknown'
  /** From when on it has held, as far as the state tells; -Infinity when it always has, or cannot be told. */
  readonly sinceMs: number
  /** It may change at this instant, and not before, unless there is news. Infinity: only with news. Always after the clock. */
  readonly untilMs: number
}

const always = Number.NEGATIVE_INFINITY
const never = Number.POSITIVE_INFINITY

export const certain = (holds: boolean, sinceMs = always, untilMs = never): Verdict => ({ holds, sinceMs, untilMs })
export const unknown: Verdict = { holds: 'unknown', sinceMs: always, untilMs: never }

export function negate({ holds, sinceMs, untilMs }: Verdict): Verdict {
  return { holds: holds === 'unknown' ? holds : !holds, sinceMs, untilMs }
}

export const conjunction = (verdicts: readonly Verdict[]): Verdict => combine(verdicts, false)
export const disjunction = (verdicts: readonly Verdict[]): Verdict => combine(verdicts, true)

/**
 * Kleene's strong logic: one verdict of the deciding kind settles it, and for as long as any such verdict stands;
 * without one the others must all stay as they are.
 */
function combine(verdicts: readonly Verdict[], deciding: boolean): Verdict {
  let decided = false
  let decidedSinceMs = never
  let decidedUntilMs = always
  let open = false
  let sinceMs = always
  let untilMs = never
  for (const verdict of verdicts) {
    if (verdict.holds === deciding) {
      decided = true
      decidedSinceMs = Math.min(decidedSinceMs, verdict.sinceMs)
      decidedUntilMs = Math.max(decidedUntilMs, verdict.untilMs)
    } else {
      open ||= verdict.holds === 'unknown'
      sinceMs = Math.max(sinceMs, verdict.sinceMs)
      untilMs = Math.min(untilMs, verdict.untilMs)
    }
  }
  if (decided) return { holds: deciding, sinceMs: decidedSinceMs, untilMs: decidedUntilMs }
  return open ? { holds: 'unknown', sinceMs: always, untilMs } : { holds: !deciding, sinceMs, untilMs }
}
