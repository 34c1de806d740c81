/**
 * What a client has learned: the profile of each exact set of identifiers that was decided under a rule version. On a
 * shared device the answer for a set without a unique value holds for one sitting only.
 */
import type { DecidedSet, Learned, Sitting } from '../../schemas/avro/types.ts'
import { type Identifiers, isUserSet } from './identifiers.ts'
import { soleUser } from './sittings.ts'

export const decidedMax = 16

/**
 * The answer for the identifiers of an event in its sitting, if they are known. Not known: a sign-in by the only user
 * of a sitting whose anonymous events went to a profile of their own, which GRAPH is to give to that user.
 */
export function answerFor(
  decided: readonly DecidedSet[],
  { setKey, user }: Pick<Identifiers, 'setKey' | 'user'>,
  sitting: Sitting,
): DecidedSet | undefined {
  const answer = decided.find(
    (each) => each.setKey === setKey && (each.sittingId === null || each.sittingId === sitting.id),
  )
  if (!answer || user === null || soleUser(sitting) !== user) return answer
  const unclaimed = decided.some((each) => each.sittingId === sitting.id && each.profileId !== answer.profileId)
  return unclaimed ? undefined : answer
}

/** With the entry as the most recently used. */
export function used(decided: readonly DecidedSet[], entry: DecidedSet): readonly DecidedSet[] {
  if (decided.at(-1) === entry) return decided
  return [...decided.filter((each) => each !== entry), entry].slice(-decidedMax)
}

/** Once a second user has signed in, what was decided for the sitting on account of the first holds no more. */
export function revoked(decided: readonly DecidedSet[], sitting: Sitting): readonly DecidedSet[] {
  return decided.some((each) => each.sittingId === sitting.id)
    ? decided.filter((each) => each.sittingId !== sitting.id)
    : decided
}

/** Applies an answer or a correction. `latest` tells that it answers the client's last request. */
export function learn(decided: readonly DecidedSet[], learned: Learned, latest: boolean): readonly DecidedSet[] {
  const corrected = learned.replaces === null ? decided : decided.map((each) => correctedBy(each, learned))
  return learned.setKey === '' ? corrected : settled(corrected, learned, latest)
}

function correctedBy(entry: DecidedSet, { replaces, profileId, identitySeq }: Learned): DecidedSet {
  const outdated = entry.profileId === replaces && entry.identitySeq < identitySeq
  return outdated ? { ...entry, profileId, identitySeq } : entry
}

function settled(decided: readonly DecidedSet[], learned: Learned, latest: boolean): readonly DecidedSet[] {
  const { setKey, sittingId, profileId, identitySeq } = learned
  const kept = decided.filter((each) => !isReplaced(each, learned) && !isDoubtful(each, learned))
  // A later request of the client may have changed whose the sitting is; the answer to that one will tell.
  if (sittingId !== null && !latest) return kept
  return [...kept, { setKey, sittingId, profileId, identitySeq }].slice(-decidedMax)
}

function isReplaced(entry: DecidedSet, { setKey, sittingId }: Learned): boolean {
  return entry.setKey === setKey && (sittingId === null || entry.sittingId === null || entry.sittingId === sittingId)
}

/** Somebody signed in here and is another profile than the anonymous events': the device may be shared, so GRAPH is to be asked again. */
function isDoubtful(entry: DecidedSet, { setKey, profileId }: Learned): boolean {
  return isUserSet(setKey) && !isUserSet(entry.setKey) && entry.profileId !== profileId
}
