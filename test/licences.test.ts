/** Every package of the lock file, for all platforms, has a licence under which Millrace may be used by anyone for anything. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

type Package = { readonly license?: string; readonly dev?: boolean; readonly link?: boolean }

const root = new URL('../', import.meta.url)
const readJson = (path: string) => JSON.parse(readFileSync(new URL(path, root), 'utf8'))

/** Ask for no more than a notice. */
const permissive = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC-BY-3.0',
  'CC-BY-4.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
])
/** Bind only changes to the package itself: fine for tools that we run but do not ship. */
const fileLevel = new Set(['MPL-2.0'])

/** Whether an SPDX expression leaves a choice that is allowed: one side of an OR, all of an AND. OR binds weaker. */
function allows(expression: string, allowed: ReadonlySet<string>): boolean {
  const tokens = expression.match(/\(|\)|[^\s()]+/g) ?? []
  const either = (): boolean => {
    let holds = both()
    while (tokens[0] === 'OR') {
      tokens.shift()
      holds = both() || holds
    }
    return holds
  }
  const both = (): boolean => {
    let holds = one()
    while (tokens[0] === 'AND') {
      tokens.shift()
      holds = one() && holds
    }
    return holds
  }
  const one = (): boolean => {
    if (tokens[0] !== '(') return allowed.has(tokens.shift() ?? '')
    tokens.shift()
    const holds = either()
    return tokens.shift() === ')' && holds
  }
  return either() && tokens.length === 0
}

/** Packages that name no licence, but have the text of one beside them. */
const readByHand: Record<string, string> = { 'node_modules/@kafkajs/confluent-schema-registry': 'MIT' }

/** As packages say it today, or as they did in the past: a list of which one may be chosen. */
function licenceOf(manifest: { license?: unknown; licenses?: readonly { type: string }[] }): unknown {
  return manifest.license ?? manifest.licenses?.map(({ type }) => type).join(' OR ')
}

test('every dependency has a licence we accept', () => {
  const packages: Record<string, Package> = readJson('package-lock.json').packages
  const ours = new Set([...permissive, ...fileLevel])
  const refused = Object.entries(packages).flatMap(([path, { license, dev, link }]) => {
    if (path === '' || link) return []
    const licence: unknown = license ?? readByHand[path] ?? licenceOf(readJson(`${path}/package.json`))
    const accepted = typeof licence === 'string' && allows(licence, dev ? ours : permissive)
    return accepted ? [] : [`${path}: ${JSON.stringify(licence)}`]
  })
  expect(refused).toEqual([])
  expect(Object.keys(packages).length).toBeGreaterThan(50)
})

test('Millrace itself is under Apache-2.0, and says so', () => {
  expect(readJson('package.json').license).toBe('Apache-2.0')
  expect(readFileSync(new URL('LICENSE', root), 'utf8')).toMatch(/Apache License\s+Version 2\.0/)
})

describe('a licence expression', () => {
  test.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['GPL-2.0-only OR (MIT AND Apache-2.0)', true],
    ['MIT AND CC-BY-3.0', true],
    ['MIT AND GPL-3.0-only', false],
    ['(MIT OR ISC) AND AGPL-3.0-or-later', false],
    ['MIT AND GPL-3.0-only OR ISC', true],
    ['GPL-3.0-or-later', false],
    ['Elastic-2.0', false],
    ['BUSL-1.1', false],
    ['SSPL-1.0', false],
    ['SEE LICENSE IN LICENSE.md', false],
    ['', false],
    ['(MIT', false],
  ])('%s: %s', (expression, accepted) => expect(allows(expression, permissive)).toBe(accepted))
})
