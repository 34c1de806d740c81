/** identity.yaml: the namespaces of identifiers, and values that are nobody's. */
import type { IdentifierClass, IdentityRules, NamespaceRule } from '../schemas/definitions.ts'
import { byText, shortDigest } from './canonical.ts'
import { anyEvent, type Catalogue } from './catalogue.ts'
import { pathsFrom } from './match.ts'
import { quote } from './problem.ts'
import { choice, entries, flag, idExpected, idPattern, list, mapping, oneOrMore, text, whole } from './shape.ts'
import type { Source } from './source.ts'

const namespacesMax = 16
const blockedMax = 1_000

const namespaceShape = mapping({
  class: choice('person', 'device', 'cookie'),
  priority: whole(1, 100),
  unique: flag.default(false),
  normalise: choice('trim', 'trim_lower', 'e164').default('trim'),
  from: oneOrMore(text('a path such as user_id or user.email', 256), 'paths such as user_id or user.email'),
})

const fileShape = mapping({
  namespaces: entries(namespacesMax, 'namespaces'),
  blocked: list(text('a value that is nobody’s', 1_024), 'values that are nobody’s', blockedMax).default([]),
})

const ranks: Readonly<Record<IdentifierClass, number>> = { person: 0, device: 1, cookie: 2 }

/** Names that IDENTIFY and GRAPH use themselves. */
const reserved: readonly string[] = ['client', 'sitting']

/** Columns that many people share, or that change with every visit. */
const noIdentifiers: ReadonlySet<string> = new Set([
  'event_id',
  'txn_id',
  'domain_sessionid',
  'domain_sessionidx',
  'user_ipaddress',
  'user_fingerprint',
  'event_fingerprint',
  'useragent',
])

/** Null after a problem was noted. */
export function readIdentity(source: Source, catalogue: Catalogue): IdentityRules | null {
  const file = source.value === undefined ? null : source.read(fileShape, [], source.value)
  if (!file) return null
  const namespaces: NamespaceRule[] = []
  let sound = true
  for (const [namespace, value] of Object.entries(file.namespaces)) {
    const rule = readNamespace(namespace, value, source, catalogue)
    if (rule) namespaces.push(rule)
    else sound = false
  }
  namespaces.sort((a, b) => a.priority - b.priority || byText(a.namespace, b.namespace))
  if (!inOrder(namespaces, source) || !sound) return null
  const blocked = [...new Set(file.blocked)].sort(byText)
  return { namespaces, blocked, ruleVersion: shortDigest({ namespaces, blocked }) }
}

function readNamespace(namespace: string, value: unknown, source: Source, catalogue: Catalogue): NamespaceRule | null {
  const path = ['namespaces', namespace]
  const named = idPattern.test(namespace) && !reserved.includes(namespace)
  if (!named)
    source.reportKey(path, `the namespace ${quote(namespace)}`, `${idExpected}, and not ${reserved.join(' or ')}`)
  const rule = source.read(namespaceShape, path, value)
  if (!rule) return null
  const from = pathsFrom(rule.from, anyEvent, [...path, 'from'], source, catalogue)
  if (!from) return null
  const shared = from.find((each) => each.in === 'column' && noIdentifiers.has(each.name))
  if (shared?.in === 'column') {
    source.report([...path, 'from'], quote(shared.name), 'what stays with one person, device or browser')
    return null
  }
  if (!named) return null
  const { class: identifierClass, priority, unique, normalise } = rule
  return { namespace, class: identifierClass, priority, unique, normalise, from }
}

/** Priorities are all different, and no cookie outranks a device, no device a person. */
function inOrder(namespaces: readonly NamespaceRule[], source: Source): boolean {
  let sound = true
  const refuse = ({ namespace, priority }: NamespaceRule, expected: string) => {
    sound = false
    source.report(['namespaces', namespace, 'priority'], String(priority), expected)
  }
  namespaces.forEach((rule, index) => {
    const same = namespaces.slice(0, index).find(({ priority }) => priority === rule.priority)
    if (same) refuse(rule, `a priority of its own; ${quote(same.namespace)} has this one`)
    const outranked = namespaces.slice(index + 1).find((other) => ranks[other.class] < ranks[rule.class])
    if (outranked) {
      refuse(
        rule,
        `a priority behind ${quote(outranked.namespace)} (${outranked.priority}): no ${rule.class} outranks a ${outranked.class}`,
      )
    }
  })
  return sound
}
