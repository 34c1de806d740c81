/** `on:` and `where:` of traits and consent signals: which events are meant, and where their values stand. */
import type { EventMatch, ValuePath } from '../schemas/definitions.ts'
import { anyEvent, type Catalogue } from './catalogue.ts'
import { readCondition, readPath } from './condition.ts'
import { quote } from './problem.ts'
import { text } from './shape.ts'
import type { Path, Source } from './source.ts'

/** The keys of a match, for shapes. */
export const matchShape = {
  on: text("the name of an event, or '*' for every event", 128),
  where: text('a condition on the event', 4_096).optional(),
}

type MatchValue = { readonly on: string; readonly where?: string | undefined }

/** Null after a problem was noted. */
export function matchFrom(
  { on, where }: MatchValue,
  path: Path,
  source: Source,
  catalogue: Catalogue,
): EventMatch | null {
  const astray = catalogue.astrayEvent(on)
  if (astray !== null) source.report([...path, 'on'], quote(on), astray)
  const condition = where === undefined ? null : readCondition(where, astray === null ? on : anyEvent, catalogue)
  if (condition) source.reportText([...path, 'where'], condition.problems)
  if (astray !== null || (condition && condition.value === null)) return null
  return { event: on === anyEvent ? null : on, where: condition?.value ?? null }
}

/** Null after a problem was noted. */
export function pathFrom(
  written: string,
  on: string,
  at: Path,
  source: Source,
  catalogue: Catalogue,
): ValuePath | null {
  const known = catalogue.astrayEvent(on) === null
  const { value, problems } = readPath(written, known ? on : anyEvent, catalogue)
  source.reportText(at, problems)
  return value
}

/** All of the paths; null when one of them was refused. `at` is the place of the one path or of the list. */
export function pathsFrom(
  written: string | readonly string[],
  on: string,
  at: Path,
  source: Source,
  catalogue: Catalogue,
): readonly ValuePath[] | null {
  const paths =
    typeof written === 'string'
      ? [pathFrom(written, on, at, source, catalogue)]
      : written.map((each, index) => pathFrom(each, on, [...at, index], source, catalogue))
  return paths.every((path) => path !== null) ? paths : null
}
