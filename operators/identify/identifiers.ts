/** The identifiers of an event: read where the rules say, normalised, without those that are nobody's, best first. */
import type { Identifier } from '../../schemas/avro/types.ts'
import type { Definitions, IdentifierClass, NamespaceRule } from '../../schemas/definitions.ts'
import type { EventReader } from '../event/event.ts'
import { digest, identifierHash, identifierKey } from '../ids.ts'
import { perDefinitions } from '../memo.ts'
import { isBlocked } from './blocked.ts'

/** The namespace of the client key itself, for events that carry no identifier at all. */
export const clientNamespace = 'client'

export type Identifiers = {
  /** Best first; never empty. */
  readonly all: readonly Identifier[]
  readonly bestClass: IdentifierClass
  /** Whether a unique value is among them: such an event says whose it is. */
  readonly unique: boolean
  /** namespace:hash of the best unique identifier of a person: who is signed in; null when nobody is. */
  readonly user: string | null
  /** Digest of the exact set and the rule version; `user:` in front when a unique value is in it, else `anon:`. */
  readonly setKey: string
  /** Values left out as blocked. */
  readonly blocked: number
  /** Unique namespaces left out since the event has two values of them. */
  readonly conflicting: number
}

/** Reads the identifiers of an event; the client key stands in when it has none. */
export function identifiersOf(reader: EventReader, client: string, definitions: Definitions): Identifiers {
  const rules = rulesOf(definitions)
  const all: Identifier[] = []
  let bestClass: IdentifierClass = 'cookie'
  let unique = false
  let user: string | null = null
  let blocked = 0
  let conflicting = 0
  for (const rule of rules.namespaces) {
    const usable = usableValues(reader, rule, rules.blocked)
    blocked += usable.blocked
    const value = usable.values[0]
    if (value === undefined) continue
    if (rule.unique && usable.values.length > 1) {
      conflicting++
      continue
    }
    const { namespace } = rule
    const identifier = { namespace, value, hash: identifierHash(definitions, namespace, value) }
    if (all.length === 0) bestClass = rule.class
    all.push(identifier)
    unique ||= rule.unique
    if (rule.unique && rule.class === 'person') user ??= identifierKey(identifier)
  }
  if (all.length === 0) {
    all.push({ namespace: clientNamespace, value: client, hash: identifierHash(definitions, clientNamespace, client) })
  }
  const setKey = setKeyOf(all, unique, definitions.identity.ruleVersion)
  return { all, bestClass, unique, user, setKey, blocked, conflicting }
}

/** Whether the set that a key names has a unique value in it. */
export function isUserSet(setKey: string): boolean {
  return setKey.startsWith(userPrefix)
}

const userPrefix = 'user:'
const anonymousPrefix = 'anon:'

function setKeyOf(identifiers: readonly Identifier[], unique: boolean, ruleVersion: string): string {
  const keys = identifiers.map(identifierKey).sort()
  return (unique ? userPrefix : anonymousPrefix) + digest(ruleVersion, ...keys)
}

/** Distinct values that may be used: for a unique namespace all of them, else the first. */
function usableValues(
  reader: EventReader,
  rule: NamespaceRule,
  own: ReadonlySet<string>,
): { readonly values: readonly string[]; readonly blocked: number } {
  const values: string[] = []
  let blocked = 0
  for (const path of rule.from) {
    for (const raw of reader.values(path)) {
      const value = normalise(rule.normalise, String(raw))
      if (value === null) continue
      if (isBlocked(value, own)) blocked++
      else if (!values.includes(value)) values.push(value)
      if (values.length > 0 && !rule.unique) return { values, blocked }
    }
  }
  return { values, blocked }
}

const telephonePunctuation = /[\s().\-/]/g
const e164 = /^\+[1-9]\d{7,14}$/

/** The one spelling of a value, or null when it cannot be an identifier of the kind. */
export function normalise(how: NamespaceRule['normalise'], raw: string): string | null {
  const value = raw.normalize('NFC').trim()
  switch (how) {
    case 'trim':
      return value
    case 'trim_lower':
      return value.toLowerCase()
    case 'e164': {
      const digits = value.replace(telephonePunctuation, '')
      return e164.test(digits) ? digits : null
    }
  }
}

type Rules = { readonly namespaces: readonly NamespaceRule[]; readonly blocked: ReadonlySet<string> }

const rulesOf = perDefinitions(
  ({ identity: { namespaces, blocked } }): Rules => ({
    namespaces: [...namespaces].sort((a, b) => a.priority - b.priority),
    blocked: new Set(blocked.map((value) => value.normalize('NFC').trim().toLowerCase())),
  }),
)
