/** consent.yaml: the purposes a customer can agree to, and how events speak of them. */
import { z } from 'zod'
import type { ConsentRules, ConsentSignal, EventCondition } from '../schemas/definitions.ts'
import { byText } from './canonical.ts'
import type { Catalogue } from './catalogue.ts'
import { matchFrom, matchShape, pathFrom } from './match.ts'
import { hint, quote } from './problem.ts'
import { id, list, mapping, text } from './shape.ts'
import type { Path, Source } from './source.ts'

const purposesMax = 50

const named = 'all, a list of purposes, or { from: path }'
const purposes = z.union(
  [
    z.literal('all'),
    list(id, 'purposes', purposesMax),
    mapping({ from: text('a path to a list of purposes', 256), others: z.literal('deny').optional() }),
  ],
  { error: `${named}; { from: path, others: deny } denies what the list does not name` },
)

const signalShape = mapping({ ...matchShape, grant: purposes.optional(), deny: purposes.optional() })

const fileShape = mapping({
  purposes: list(id, 'purposes', purposesMax),
  signals: z.array(z.unknown(), { error: 'a list of signals' }).max(100, { error: 'at most 100 signals' }),
})

/** Null after a problem was noted. */
export function readConsent(source: Source, catalogue: Catalogue): ConsentRules | null {
  const file = source.value === undefined ? null : source.read(fileShape, [], source.value)
  if (!file) return null
  file.purposes.forEach((purpose, index) => {
    if (file.purposes.indexOf(purpose) < index) source.report(['purposes', index], quote(purpose), 'each purpose once')
  })
  const all = [...new Set(file.purposes)].sort(byText)
  const signals = file.signals.map((value, index) => readSignal(value, ['signals', index], all, source, catalogue))
  return signals.every((each) => each !== null) ? { purposes: all, signals: signals.flat() } : null
}

function readSignal(
  value: unknown,
  path: Path,
  all: readonly string[],
  source: Source,
  catalogue: Catalogue,
): readonly ConsentSignal[] | null {
  const signal = source.read(signalShape, path, value)
  if (!signal) return null
  const match = matchFrom(signal, path, source, catalogue)
  const granted = signal.grant !== undefined
  const key = granted ? 'grant' : 'deny'
  const meant = signal.grant ?? signal.deny
  if (meant === undefined || (signal.grant !== undefined && signal.deny !== undefined)) {
    source.report(path, meant === undefined ? 'neither grant nor deny' : 'both grant and deny', 'one of them')
    return null
  }
  if (meant === 'all') return match && [{ match, granted, purposes: all }]
  if (!('from' in meant)) {
    const unknown = meant.filter((purpose) => !all.includes(purpose))
    for (const purpose of unknown) {
      source.report([...path, key, meant.indexOf(purpose)], quote(purpose), `a purpose${hint(purpose, all)}`)
    }
    return match && unknown.length === 0 ? [{ match, granted, purposes: meant }] : null
  }
  const from = pathFrom(meant.from, signal.on, [...path, key, 'from'], source, catalogue)
  if (!match || !from) return null
  const listed: ConsentSignal = { match, granted, purposes: { from } }
  if (meant.others === undefined) return [listed]
  if (!granted) {
    source.report([...path, key, 'others'], quote(meant.others), 'others only under grant')
    return null
  }
  // What the list leaves out is denied purpose by purpose, so that a smaller choice takes back a larger one.
  const left = all.map((purpose): ConsentSignal => {
    const unlisted: EventCondition = { op: 'not', of: { op: 'compare', path: from, comparison: '==', value: purpose } }
    const where: EventCondition = match.where ? { op: 'and', of: [match.where, unlisted] } : unlisted
    return { match: { event: match.event, where }, granted: false, purposes: [purpose] }
  })
  return [listed, ...left]
}
