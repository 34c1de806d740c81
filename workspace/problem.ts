/** What is wrong with a workspace, said so that its author can mend it. */
import { MillraceError } from '../runtime/errors.ts'

export type Problem = {
  /** Path below the workspace, with forward slashes. */
  readonly file: string
  /** From 1; null where there is no text to point at. */
  readonly line: number | null
  readonly column: number | null
  /** Of the value within the file, such as `email.field.policy`; empty for the file itself. */
  readonly path: string
  readonly found: string
  readonly expected: string
}

/** `segments/vip.yaml:3:9 vip.when: found 'profil.tier', expected …` */
export function formatProblem({ file, line, column, path, found, expected }: Problem): string {
  const place = line === null ? file : `${file}:${line}:${column ?? 1}`
  return `${place}${path && ` ${path}`}: found ${found}, expected ${expected}`
}

/** One error for all problems; CONFIG_INVALID. */
export function problemsError(folder: string, problems: readonly Problem[]): MillraceError {
  const listed = problems.slice(0, listedMax).map((problem) => `  ${formatProblem(problem)}`)
  const rest = problems.length - listed.length
  if (rest > 0) listed.push(`  and ${rest} more`)
  const head = `the workspace ${folder} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`
  return new MillraceError('CONFIG_INVALID', [head, ...listed].join('\n'))
}

const listedMax = 100

/** A value in few words: texts quoted, long ones cut, control characters escaped. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'nothing (null)'
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  return String(value)
}

/** In single quotes, or in double ones where the text has single ones itself. */
export function quote(text: string): string {
  const escaped = JSON.stringify(text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text).slice(1, -1)
  return text.includes("'") ? `"${escaped}"` : `'${escaped.replaceAll('\\"', '"')}'`
}

const quotedMax = 60

/** ` (did you mean 'x'?)` with the nearest candidate, or nothing when none is near. */
export function hint(name: string, candidates: Iterable<string>): string {
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(Math.min(name.length, nameMax) / 3)) + 1
  for (const candidate of [...candidates].sort()) {
    const distance = editDistance(name.slice(0, nameMax), candidate.slice(0, nameMax), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best === null ? '' : ` (did you mean ${quote(best)}?)`
}

const nameMax = 64

/** Insertions, deletions, substitutions and swaps of neighbours; `limit` when there are that many or more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + changed)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, beforeLast[j - 2]! + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length]!, limit)
}
