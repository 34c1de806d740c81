import { expect, test } from 'vitest'
import { defaultEnrichments } from '../schemas/definitions.ts'
import { readEnrichments } from './enrichments.ts'
import { formatProblem, type Problem } from './problem.ts'
import { readReferers } from './referers.ts'
import { Source } from './source.ts'

function read(text: string) {
  const problems: Problem[] = []
  const rules = readEnrichments(new Source('enrichments.yaml', text, problems), [])
  return { rules, problems: problems.map(formatProblem) }
}

test('an enrichment that is not named, or is switched off, is not done', () => {
  expect(read('bots: false\ncampaigns: false\nreferers: false\nipAnonymisation: false\n').rules).toEqual(
    defaultEnrichments,
  )
})

test('one that is only switched on has its defaults', () => {
  const { rules, problems } = read(
    'bots: true\nuserAgent: true\ncrossNavigation: true\ncampaigns: true\nreferers: true\nipAnonymisation: true\n',
  )
  expect(problems).toEqual([])
  expect(rules).toEqual({
    ...defaultEnrichments,
    bots: true,
    userAgent: true,
    crossNavigation: true,
    campaigns: {
      medium: ['utm_medium'],
      source: ['utm_source'],
      term: ['utm_term'],
      content: ['utm_content'],
      campaign: ['utm_campaign'],
      clickIds: [
        { parameter: 'gclid', network: 'Google' },
        { parameter: 'msclkid', network: 'Microsoft' },
        { parameter: 'dclid', network: 'DoubleClick' },
      ],
    },
    referers: { internalDomains: [], sources: [] },
    ipAnonymisation: { octets: 1, segments: 5 },
  })
})

test('settings are lowered', () => {
  const { rules, problems } = read(`
fingerprint: { algorithm: SHA-512, exclude: [eid] }
referers: { internalDomains: [Shop.example, '*.shop.example'] }
campaigns: { medium: [medium, utm_medium], clickIds: { fbclid: Meta } }
cookies: [ab_test]
headers: [Accept-Language]
ipAnonymisation: { octets: 2 }
pseudonyms:
  algorithm: SHA-1
  salts: [{ env: SALT_A }, { env: SALT_B, from: '2026-01-01T00:00:00Z' }]
  anonymousOnly: true
  columns: [user_id]
  data:
    - schema: iglu:com.acme/user/jsonschema/1-*-*
      paths: [$.email, "$.people[*]['full name']", '$..phone', '$.list[3]']
`)
  expect(problems).toEqual([])
  expect(rules).toMatchObject({
    fingerprint: { algorithm: 'SHA-512', exclude: ['eid'] },
    referers: { internalDomains: ['shop.example', '*.shop.example'] },
    campaigns: {
      medium: ['medium', 'utm_medium'],
      source: ['utm_source'],
      clickIds: [{ parameter: 'fbclid', network: 'Meta' }],
    },
    cookies: ['ab_test'],
    headers: ['accept-language'],
    ipAnonymisation: { octets: 2, segments: 5 },
    pseudonyms: {
      algorithm: 'SHA-1',
      salts: [
        { env: 'SALT_A', fromMs: null },
        { env: 'SALT_B', fromMs: Date.UTC(2026, 0, 1) },
      ],
      anonymousOnly: true,
      columns: ['user_id'],
      data: [
        {
          criterion: 'iglu:com.acme/user/jsonschema/1-*-*',
          paths: [
            [{ step: 'member', name: 'email' }],
            [{ step: 'member', name: 'people' }, { step: 'every' }, { step: 'member', name: 'full name' }],
            [{ step: 'anywhere', name: 'phone' }],
            [
              { step: 'member', name: 'list' },
              { step: 'index', index: 3 },
            ],
          ],
        },
      ],
    },
  })
})

test.each<[string, string, string]>([
  [
    'an enrichment there is not',
    'bots: true\nbot: true\n',
    "enrichments.yaml:2:1 bot: found the key 'bot', expected only fingerprint, userAgent, referers, campaigns, crossNavigation, cookies, headers, bots, ipAnonymisation, pseudonyms",
  ],
  [
    'a setting there is not',
    'ipAnonymisation:\n  octet: 2\n',
    "enrichments.yaml:2:3 ipAnonymisation.octet: found the key 'octet', expected only octets, segments",
  ],
  [
    'no setting at all',
    'campaigns:\n',
    'enrichments.yaml:1:1 campaigns: found nothing (null), expected true, false, or a mapping of its settings',
  ],
  [
    'too many octets',
    'ipAnonymisation: { octets: 5 }\n',
    'enrichments.yaml:1:28 ipAnonymisation.octets: found 5, expected a whole number from 1 to 4',
  ],
  [
    'an algorithm there is not',
    'fingerprint: { algorithm: MD2 }\n',
    "enrichments.yaml:1:27 fingerprint.algorithm: found 'MD2', expected one of MD5, SHA-1, SHA-256, SHA-384, SHA-512",
  ],
])('refused, with its line and what there is: %s', (_, text, problem) => {
  expect(read(text).problems).toEqual([problem])
})

const pseudonyms = (settings: string): string => `pseudonyms:\n  salts: [{ env: SALT }]\n  ${settings}\n`

test.each<[string, string, string]>([
  [
    'a salt in the file',
    'pseudonyms:\n  salts: [pepper123]\n  columns: [user_id]\n',
    'pseudonyms.salts[0]: found no reference, expected { env:',
  ],
  [
    'a salt for its variable',
    pseudonyms('columns: [user_id]').replace('SALT', 'pepper123'),
    'pseudonyms.salts[0]: found no reference',
  ],
  ['no salt', 'pseudonyms:\n  columns: [user_id]\n', 'pseudonyms.salts: found nothing'],
  ['nothing to hide', 'pseudonyms:\n  salts: [{ env: SALT }]\n', 'pseudonyms: found neither columns nor data'],
  [
    'a column that is no one’s',
    pseudonyms('columns: [page_url]'),
    "pseudonyms.columns[0]: found 'page_url', expected one of user_id,",
  ],
  [
    'a later salt without its time',
    'pseudonyms:\n  salts: [{ env: A }, { env: B }]\n  columns: [user_id]\n',
    'pseudonyms.salts[1].from: found nothing, expected a time later than that of the salt before',
  ],
  [
    'a first salt with a time',
    "pseudonyms:\n  salts: [{ env: A, from: '2026-01-01T00:00:00Z' }]\n  columns: [user_id]\n",
    'pseudonyms.salts[0].from: found',
  ],
  [
    'no criterion',
    pseudonyms('data: [{ schema: iglu:com.acme/user/jsonschema/1, paths: [$.a] }]'),
    'pseudonyms.data[0].schema: found',
  ],
  ...['email', '$', '$.a..b..c', '$.a[?(@.b)]', '$.a b'].map((path): [string, string, string] => [
    `the path ${path}`,
    pseudonyms(`data: [{ schema: iglu:com.acme/user/jsonschema/*-*-*, paths: ["${path}"] }]`),
    `pseudonyms.data[0].paths[0]: found '${path}'`,
  ]),
])('pseudonyms are refused: %s', (_, text, problem) => {
  const { rules, problems } = read(text)
  expect(rules).toBeNull()
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain(problem)
  expect(problems[0]).not.toContain('pepper123')
})

test('referers.yaml is in the format of the referer-parser projects', () => {
  const problems: Problem[] = []
  const text =
    'search:\n  Finder:\n    domains: [Find.example, find.example/Deals]\n    parameters: [q, query]\nemail:\n  Post: { domains: [post.example] }\n'
  expect(readReferers(new Source('referers.yaml', text, problems))).toEqual([
    { medium: 'search', source: 'Finder', domains: ['find.example', 'find.example/Deals'], parameters: ['q', 'query'] },
    { medium: 'email', source: 'Post', domains: ['post.example'], parameters: [] },
  ])
  expect(readReferers(new Source('referers.yaml', 'search:\n  Finder: { domain: [x] }\n', problems))).toBeNull()
  expect(problems.map(formatProblem)).toEqual([
    'referers.yaml:2:11 search.Finder.domains: found nothing, expected domains, 1 to 2000 of them',
    "referers.yaml:2:13 search.Finder.domain: found the key 'domain', expected only domains, parameters",
  ])
})
