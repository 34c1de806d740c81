/** What a destination is told of a profile: its identifiers in the destination's form, and the traits it asks for. */
import { createHash } from 'node:crypto'
import type { Activation, SentIdentifier, TraitValue } from '../../schemas/avro/types.ts'
import type { DestinationDefinition, DestinationIdentifier } from '../../schemas/definitions.ts'
import { digest } from '../ids.ts'
import { memoised } from '../memo.ts'
import type { ProfileView } from '../profile/update.ts'

export type Payload = {
  readonly identifiers: readonly SentIdentifier[]
  readonly traits: Activation['traits']
  readonly traitsDigest: string
}

/** Null when nothing may leave: a purpose is not granted, or the destination would not know whom it is about. */
export function payloadFor(destination: DestinationDefinition, view: ProfileView, clockMs: number): Payload | null {
  if (!destination.purposes.every((purpose) => view.consent(purpose)?.granted)) return null
  const identifiers = identifiersFor(destination.identifiers, view)
  if (identifiers.length === 0) return null
  const traits: Record<string, TraitValue['value']> = {}
  for (const id of destination.traits) {
    const trait = view.trait(id, clockMs)
    if (trait) traits[id] = trait.value
  }
  return { identifiers, traits, traitsDigest: digestOf(JSON.stringify(traits)) }
}

export function sameIdentifiers(a: readonly SentIdentifier[], b: readonly SentIdentifier[]): boolean {
  return a.length === b.length && a.every(({ type, value }, i) => type === b[i]!.type && value === b[i]!.value)
}

/** By type and value, none twice: the order says nothing, so that seeing an identifier again is no change. */
function identifiersFor(forms: readonly DestinationIdentifier[], view: ProfileView): readonly SentIdentifier[] {
  const named: SentIdentifier[] = []
  for (const { type, namespace, encoding } of forms) {
    for (const identifier of view.identifiers) {
      if (identifier.namespace !== namespace) continue
      named.push({ type, value: encoding === 'sha256' ? sha256(identifier.value) : identifier.value })
    }
  }
  named.sort((a, b) => compare(a.type, b.type) || compare(a.value, b.value))
  return named.filter((each, i) => i === 0 || each.type !== named[i - 1]!.type || each.value !== named[i - 1]!.value)
}

const sha256 = memoised((value) => createHash('sha256').update(value, 'utf8').digest('hex'))
const digestOf = memoised((text) => digest(text))

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
