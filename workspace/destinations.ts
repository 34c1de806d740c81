/** destinations/*.yaml: where audiences go, and what of a customer may go with them. */
import { z } from 'zod'
import type { DestinationDefinition } from '../schemas/definitions.ts'
import { hint, quote } from './problem.ts'
import { choice, description, id, list, mapping, text } from './shape.ts'
import { deeperThan, type Entry, type Path } from './source.ts'

const settingsBytesMax = 16_384
const settingsDepthMax = 8

const destinationShape = mapping({
  description,
  type: choice('file', 'webhook'),
  segments: list(id, 'segments'),
  purposes: list(id, 'purposes that must all be granted', 50),
  identifiers: list(
    mapping({
      type: text('the name the destination has for it', 64),
      namespace: id,
      encoding: choice('plain', 'sha256'),
    }),
    'identifiers',
    16,
  ),
  traits: z.array(id, { error: 'a list of traits' }).max(100, { error: 'at most 100 traits' }).default([]),
  settings: z.record(z.string(), z.unknown(), { error: 'a mapping of settings' }).default({}),
})

/** What a destination may name; null where the file that says so cannot be read, and is reported itself. */
export type DestinationScope = {
  readonly segments: ReadonlySet<string>
  readonly purposes: ReadonlySet<string> | null
  readonly namespaces: ReadonlySet<string> | null
  readonly traits: ReadonlySet<string>
}

/** Null after a problem was noted. */
export function readDestination(entry: Entry, scope: DestinationScope): DestinationDefinition | null {
  const { id, value, source } = entry
  const destination = source.read(destinationShape, [id], value)
  if (!destination) return null
  let sound = true
  const refuse = (path: Path, found: string, expected: string) => {
    sound = false
    source.report([id, ...path], found, expected)
  }
  const known = (of: 'segments' | 'purposes' | 'traits', what: string) => {
    const names = scope[of]
    destination[of].forEach((name, index) => {
      if (names && !names.has(name)) refuse([of, index], quote(name), `${what} of the workspace${hint(name, names)}`)
      else if (destination[of].indexOf(name) < index) refuse([of, index], quote(name), 'each once')
    })
  }
  known('segments', 'a segment')
  known('purposes', 'a purpose')
  known('traits', 'a trait')
  destination.identifiers.forEach(({ namespace }, index) => {
    if (!scope.namespaces || scope.namespaces.has(namespace)) return
    refuse(
      ['identifiers', index, 'namespace'],
      quote(namespace),
      `a namespace of identity.yaml${hint(namespace, scope.namespaces)}`,
    )
  })
  checkSettings(destination.settings, destination.type, refuse)
  return sound ? { id, ...destination } : null
}

type Refuse = (path: Path, found: string, expected: string) => void

function checkSettings(settings: Readonly<Record<string, unknown>>, type: 'file' | 'webhook', refuse: Refuse): void {
  if (deeperThan(settings, settingsDepthMax) || JSON.stringify(settings).length > settingsBytesMax) {
    refuse(
      ['settings'],
      'deep or long settings',
      `at most ${settingsDepthMax} levels and ${settingsBytesMax} characters`,
    )
    return
  }
  if (type === 'webhook' && !isWebAddress(settings['url'])) {
    refuse(
      ['settings', 'url'],
      settings['url'] === undefined ? 'nothing' : 'what is no web address',
      'an http or https address',
    )
  }
  checkSecrets(settings, ['settings'], refuse)
}

const secretName = /secret|token|passw|passphrase|api_?key|private_?key|access_?key|authorization|credential/i
const secretValue = /^(whsec_|sk_live_|Bearer |Basic )/
const reference = 'a reference such as { env: EMAIL_TOOL_SECRET }: the value itself stays out of files and log'

/** A secret is given by reference only. What was found is not repeated, as it may be one. */
function checkSecrets(value: unknown, path: Path, refuse: Refuse): void {
  const name = path.at(-1)
  if (typeof value === 'object' && value !== null) {
    if (Object.hasOwn(value, 'env')) {
      const { env, ...others } = value as { readonly env: unknown }
      const sound = typeof env === 'string' && /^[A-Z][A-Z0-9_]{0,127}$/.test(env) && Object.keys(others).length === 0
      if (!sound) refuse(path, 'another form of reference', reference)
      return
    }
    if (Array.isArray(value))
      value.forEach((item, index) => {
        checkSecrets(item, [...path, index], refuse)
      })
    else for (const [key, member] of Object.entries(value)) checkSecrets(member, [...path, key], refuse)
    return
  }
  const named = path.some((part) => typeof part === 'string' && secretName.test(part)) && typeof value !== 'boolean'
  if (named || (typeof value === 'string' && (secretValue.test(value) || hasPassword(value)))) {
    refuse(path, `a literal${typeof name === 'string' ? ` in ${quote(name)}` : ''}`, reference)
  }
}

function isWebAddress(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}

function hasPassword(value: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/]*@/i.test(value) || !URL.canParse(value)) return false
  return new URL(value).password !== ''
}
