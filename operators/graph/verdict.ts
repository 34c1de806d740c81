/**
 * Whose an event is: the rules of the graph, over what a survey found.
 *
 * An event with a unique value (a user id) belongs to the profiles that do not contradict it; those become one. An
 * event without belongs to all the profiles its identifiers lead to, as long as at most one of them is a known person.
 * Where several are (a shared device), nothing is guessed: the sitting decides, by who alone signed in during it, else
 * as an anonymous profile of its own.
 */

import { invariant } from '../../runtime/errors.ts'
import type { IdentityRequest } from '../../schemas/avro/types.ts'
import { identifierKey } from '../ids.ts'
import { isAmong, isKnown, type Root } from './forest.ts'
import { isShared, type Link, ownersOf, type Survey } from './survey.ts'

export type Verdict = {
  /** One profile from now on; empty when a profile is to be founded. */
  readonly accepted: readonly Root[]
  /** A profile to found on an identifier, which may then be joined with `accepted`. */
  readonly founding: Founding | null
  /** Identifiers to link to the profile. */
  readonly linked: readonly Link[]
  /** Those of them that stay with others too, whom a unique value keeps apart from the profile. */
  readonly refused: readonly { readonly link: Link; readonly roots: readonly Root[] }[]
  /** Values of unique namespaces that are the profile's from now on: [namespace, hash]. */
  readonly unique: readonly (readonly [namespace: string, hash: string])[]
  /** The answer holds for this sitting only. */
  readonly sittingOnly: boolean
  /** Identifiers that too many profiles share to be linked to one more. */
  readonly overshared: number
  /** Why, for the record. */
  readonly rule: 'founded' | 'unique' | 'same_event' | 'sitting'
}

export type Founding = { readonly on: Link; readonly profileId: string }

/** Who shares an identifier is recorded up to here. */
export const ownersMax = 8

export function verdictOn(request: IdentityRequest, survey: Survey): Verdict {
  if (request.kind === 'notice') return onNotice(survey)
  if (survey.links.some(({ rule }) => rule.unique)) return onUnique(request, survey)
  if (!isShared(survey.links)) return onAgreement(survey)
  const persons = survey.links.filter(({ rule }) => rule.class === 'person')
  const named = ownersOf(persons).filter(isKnown)
  return named.length === 1 ? onPerson(named[0]!, survey) : onShared(request, survey)
}

/** The event says whose it is: best identifier first, whoever does not contradict what has been accepted is the same person. */
function onUnique(request: IdentityRequest, { links, sitting, newId }: Survey): Verdict {
  const unique = links.filter(({ rule }) => rule.unique).map((link) => uniqueOf(link))
  const held = new Map(unique)
  const signsIn = sitting && links.some(({ identifier }) => identifierKey(identifier) === request.sittingUser)
  const accepted: Root[] = []
  for (const root of ownersOf(signsIn ? [...links, sitting] : links)) {
    if (contradicts(root, held)) continue
    accepted.push(root)
    for (const [namespace, hash] of Object.entries(root.node.unique)) held.set(namespace, hash)
  }
  const apart = links.filter(({ roots }) => !roots.some((root) => isAmong(accepted, root)))
  const linked = apart.filter(hasRoom)
  return {
    accepted,
    founding: accepted.length === 0 ? { on: links[0]!, profileId: newId } : null,
    linked,
    refused: linked.filter(({ roots }) => roots.length > 0).map((link) => ({ link, roots: link.roots })),
    unique,
    sittingOnly: false,
    overshared: apart.length - linked.length,
    rule: 'unique',
  }
}

/** At most one known person among them: all of them are one. */
function onAgreement({ links, newId }: Survey): Verdict {
  const accepted = ownersOf(links)
  return plain({
    accepted,
    founding: accepted.length === 0 ? { on: links[0]!, profileId: newId } : null,
    linked: links.filter(isUnowned),
    sittingOnly: false,
    rule: 'same_event',
  })
}

/** A shared device, but the event names one person whom we know. */
function onPerson(person: Root, { links }: Survey): Verdict {
  const linked = links.filter(isUnowned)
  return plain({ accepted: [person], founding: null, linked, sittingOnly: false, rule: 'same_event' })
}

function onShared(request: IdentityRequest, { links, sitting, user }: Survey): Verdict {
  invariant(sitting, 'the sitting of a shared device was read')
  const anonymous = sitting.roots.filter((root) => !isKnown(root))
  const owners = user.filter((root) => Object.entries(root.node.unique).some(isSittingUser(request)))
  const accepted = owners.length === 1 ? [...owners, ...anonymous] : anonymous
  const founding = accepted.length === 0 ? { on: sitting, profileId: sitting.newId } : null
  const linked = [...(founding ? [sitting] : []), ...links.filter(isUnowned)]
  return plain({ accepted, founding, linked, sittingOnly: true, rule: 'sitting' })
}

/** IDENTIFY has founded a profile on a new client key. Usually nobody else has seen it; if somebody has, they are one. */
function onNotice({ links, sitting, founded, newId }: Survey): Verdict {
  const own = links[0]!
  const founding = founded ? null : { on: own, profileId: newId }
  if (isShared(links)) {
    invariant(sitting, 'the sitting of a shared device was read')
    const accepted = founded ? [founded] : []
    return plain({ accepted, founding, linked: founded ? [] : [sitting], sittingOnly: true, rule: 'sitting' })
  }
  const accepted = founded && !isAmong(own.roots, founded) ? [founded, ...own.roots] : own.roots
  return plain({ accepted, founding, linked: isUnowned(own) ? [own] : [], sittingOnly: false, rule: 'founded' })
}

type Plain = Pick<Verdict, 'accepted' | 'founding' | 'linked' | 'sittingOnly' | 'rule'>

/** A verdict that sets nobody apart. */
function plain({ accepted, founding, linked, sittingOnly, rule }: Plain): Verdict {
  return { accepted, founding, linked, refused: [], unique: [], sittingOnly, overshared: 0, rule }
}

function contradicts(root: Root, held: ReadonlyMap<string, string>): boolean {
  return Object.entries(root.node.unique).some(([namespace, hash]) => (held.get(namespace) ?? hash) !== hash)
}

const isSittingUser =
  ({ sittingUser }: IdentityRequest) =>
  ([namespace, hash]: readonly [string, string]): boolean =>
    identifierKey({ namespace, hash }) === sittingUser

const uniqueOf = ({ identifier }: Link): readonly [string, string] => [identifier.namespace, identifier.hash]
const isUnowned = ({ roots }: Link): boolean => roots.length === 0
const hasRoom = ({ roots }: Link): boolean => roots.length < ownersMax
