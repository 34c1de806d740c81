import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { MillraceError } from '../runtime/errors.ts'
import { defaultEnrichments } from '../schemas/definitions.ts'
import { defaultCollector } from './collector.ts'
import { formatProblem } from './problem.ts'
import { checkWorkspace, loadWorkspace } from './workspace.ts'

const metaSchema = 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#'
const schemaOf = (name: string, properties: object) =>
  JSON.stringify({
    $schema: metaSchema,
    self: { vendor: 'com.example', name, format: 'jsonschema', version: '1-0-0' },
    type: 'object',
    properties,
    additionalProperties: false,
  })
const schemaFile = (name: string) => `schemas/com.example/${name}/jsonschema/1-0-0`

/** The least workspace with one of everything. */
const sound: Readonly<Record<string, string>> = {
  'millrace.yaml': 'tenant: shop\nname: Shop\n',
  'identity.yaml':
    'namespaces:\n  email: { class: person, priority: 1, from: event.email }\n  cookie: { class: cookie, priority: 2, from: domain_userid }\n',
  'consent.yaml':
    "purposes: [marketing]\nsignals:\n  - { on: consent, where: event.choice == 'yes', grant: all }\n  - { on: consent, deny: [marketing] }\n",
  'traits/all.yaml':
    'email:\n  description: Newest address\n  type: string\n  field: { on: sign_up, value: event.email }\norders:\n  description: Orders\n  count: { on: purchase }\n',
  'segments/buyers.yaml': "buyers:\n  description: Bought lately\n  when: count('purchase', '7d') >= 1\n",
  'destinations/tool.yaml':
    'tool:\n  description: A file\n  type: file\n  segments: [buyers]\n  purposes: [marketing]\n  identifiers: [{ type: email, namespace: email, encoding: sha256 }]\n',
  [schemaFile('sign_up')]: schemaOf('sign_up', { email: { type: 'string' } }),
  [schemaFile('purchase')]: schemaOf('purchase', { total: { type: 'number' } }),
  [schemaFile('consent')]: schemaOf('consent', {
    choice: { type: 'string' },
    scopes: { type: 'array', items: { type: 'string' } },
  }),
}

const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

/** Writes the sound workspace with changes; null leaves a file out. */
async function folderWith(changes: Readonly<Record<string, string | Buffer | null>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-workspace-'))
  folders.push(folder)
  for (const [file, text] of Object.entries({ ...sound, ...changes })) {
    if (text === null) continue
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  return folder
}

async function problemsWith(changes: Readonly<Record<string, string | Buffer | null>>): Promise<readonly string[]> {
  return (await checkWorkspace(await folderWith(changes))).problems.map(formatProblem)
}

test('the example shop has no problems', async () => {
  const { workspace, problems } = await checkWorkspace('examples/retail')
  expect(problems).toEqual([])
  expect(workspace!.tenant).toBe('retail')
  expect(workspace!.identity.namespaces.map(({ namespace }) => namespace)).toEqual([
    'user_id',
    'email',
    'domain_userid',
  ])
  expect(workspace!.segments.length).toBeGreaterThanOrEqual(10)
  expect(workspace!.traits.length).toBeGreaterThanOrEqual(15)
  expect(workspace!.destinations.map(({ id }) => id)).toEqual(['ad_audience', 'email_tool'])
})

test('a sound workspace is lowered whole', async () => {
  const workspace = await loadWorkspace(await folderWith())
  const { schemas, collector, ...definitions } = workspace
  expect(collector).toEqual(defaultCollector)
  expect([...schemas.keys()]).toEqual([
    'iglu:com.example/consent/jsonschema/1-0-0',
    'iglu:com.example/purchase/jsonschema/1-0-0',
    'iglu:com.example/sign_up/jsonschema/1-0-0',
  ])
  const email = { in: 'event', path: ['email'] }
  const choice = { op: 'compare', path: { in: 'event', path: ['choice'] }, comparison: '==', value: 'yes' }
  expect(definitions).toEqual({
    tenant: 'shop',
    name: 'Shop',
    folder: expect.any(String),
    iglu: { compat: 'iglu', integers: 'lenient', nulls: 'keep', nullsOf: [], registries: null },
    tenantKeyEnv: null,
    identity: {
      namespaces: [
        { namespace: 'email', class: 'person', priority: 1, unique: false, normalise: 'trim', from: [email] },
        {
          namespace: 'cookie',
          class: 'cookie',
          priority: 2,
          unique: false,
          normalise: 'trim',
          from: [{ in: 'column', name: 'domain_userid' }],
        },
      ],
      blocked: [],
      ruleVersion: expect.stringMatching(/^[\w-]{16}$/),
    },
    consent: {
      purposes: ['marketing'],
      signals: [
        { match: { event: 'consent', where: choice }, granted: true, purposes: ['marketing'] },
        { match: { event: 'consent', where: null }, granted: false, purposes: ['marketing'] },
      ],
    },
    enrichments: defaultEnrichments,
    traits: [
      {
        id: 'email',
        description: 'Newest address',
        type: 'string',
        source: {
          kind: 'field',
          policy: 'recency',
          match: { event: 'sign_up', where: null },
          value: [email],
          trust: 1,
        },
      },
      {
        id: 'orders',
        description: 'Orders',
        type: 'number',
        source: { kind: 'count', match: { event: 'purchase', where: null }, windowMs: null },
      },
    ],
    segments: [
      {
        id: 'buyers',
        description: 'Bought lately',
        source: "count('purchase', '7d') >= 1",
        expression: {
          op: 'count',
          match: { event: 'purchase', where: null },
          windowMs: 604_800_000,
          comparison: '>=',
          threshold: 1,
        },
        version: expect.stringMatching(/^[\w-]{16}$/),
      },
    ],
    destinations: [
      {
        id: 'tool',
        description: 'A file',
        type: 'file',
        segments: ['buyers'],
        purposes: ['marketing'],
        identifiers: [{ type: 'email', namespace: 'email', encoding: 'sha256' }],
        traits: [],
        settings: {},
      },
    ],
  })
})

test('a selection of purposes denies, one by one, those it leaves out', async () => {
  const { consent } = await loadWorkspace(
    await folderWith({
      'consent.yaml':
        'purposes: [marketing, analytics]\nsignals: [{ on: consent, grant: { from: event.scopes, others: deny } }]\n',
    }),
  )
  const from = { in: 'event', path: ['scopes'] } as const
  const without = (value: string) => ({
    event: 'consent',
    where: { op: 'not', of: { op: 'compare', path: from, comparison: '==', value } },
  })
  expect(consent.signals).toEqual([
    { match: { event: 'consent', where: null }, granted: true, purposes: { from } },
    { match: without('analytics'), granted: false, purposes: ['analytics'] },
    { match: without('marketing'), granted: false, purposes: ['marketing'] },
  ])
})

test('the same content has the same versions, however the files are laid out', async () => {
  const one = await loadWorkspace(await folderWith())
  const other = await loadWorkspace(
    await folderWith({
      'traits/all.yaml':
        'orders: { count: { on: purchase }, description: Orders }\nemail: { type: string, field: { value: [event.email], on: sign_up }, description: Newest address }\n',
      [schemaFile('purchase')]: `${JSON.stringify(JSON.parse(sound[schemaFile('purchase')]!), null, 4)}\n`,
    }),
  )
  expect({ ...other, folder: one.folder }).toEqual(one)
})

test('everything wrong is told at once, in one error', async () => {
  const folder = await folderWith({
    'millrace.yaml': 'tenant: Shop\nnmae: Shop\n',
    'segments/buyers.yaml':
      "buyers:\n  description: Bought lately\n  when: >-\n    count('purchase', '7d') >= 1\n    && profile.orderz > 1\n",
  })
  const error = await loadWorkspace(folder).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(MillraceError)
  expect((error as MillraceError).code).toBe('CONFIG_INVALID')
  expect((error as MillraceError).message).toBe(
    [
      `the workspace ${folder} has 4 problems:`,
      "  millrace.yaml:1:9 tenant: found 'Shop', expected a name of a-z, 0-9, _ and -, starting with a letter, at most 64 characters",
      '  millrace.yaml:1:1 name: found nothing, expected a name for people, at most 100 characters',
      "  millrace.yaml:2:1 nmae: found the key 'nmae', expected only tenant, name, tenantKey, schemas",
      "  segments/buyers.yaml:5:16 buyers.when: found 'orderz', expected a trait of the workspace (did you mean 'orders'?)",
    ].join('\n'),
  )
})

const segment = (when: string) => ({ 'segments/buyers.yaml': `buyers:\n  description: d\n  when: ${when}\n` })
const destination = (rest: string, head = 'type: file') => ({
  'destinations/tool.yaml': `tool:\n  description: d\n  ${head}\n  segments: [buyers]\n  purposes: [marketing]\n  identifiers: [{ type: e, namespace: email, encoding: plain }]\n${rest}`,
})

const refused: readonly (readonly [string, Readonly<Record<string, string | Buffer | null>>, readonly string[]])[] = [
  ['a missing file', { 'identity.yaml': null }, ['identity.yaml: found no such file, expected a file identity.yaml']],
  [
    'a misnamed file',
    { 'identity.yaml': null, 'identiy.yaml': sound['identity.yaml']! },
    [
      "identiy.yaml: found 'identiy.yaml', expected one of millrace.yaml, identity.yaml, consent.yaml, collector.yaml, enrichments.yaml, referers.yaml, iglu.json (did you mean 'identity.yaml'?)",
      'identity.yaml: found no such file, expected a file identity.yaml',
    ],
  ],
  [
    'a misnamed folder',
    { 'segment/x.yaml': '' },
    ["segment: found 'segment', expected one of traits, segments, destinations, schemas (did you mean 'segments'?)"],
  ],
  [
    'a file that is no YAML by name',
    { 'traits/x.json': '{}' },
    ["traits/x.json: found 'x.json', expected a file whose name ends in .yaml"],
  ],
  [
    'a file too large',
    { 'traits/x.yaml': '#'.repeat(131_073) },
    ['traits/x.yaml: found 131073 bytes, expected at most 131072'],
  ],
  [
    'bytes that are no text',
    { 'traits/x.yaml': Buffer.from([0xff, 0xfe]) },
    ['traits/x.yaml: found bytes that are no UTF-8, expected a text file in UTF-8'],
  ],
  [
    'broken YAML',
    { 'traits/x.yaml': 'a: [1\n' },
    [
      'traits/x.yaml:2:1: found flow sequence in block collection must be sufficiently indented and end with a ], expected well-formed YAML',
    ],
  ],
  [
    'a key twice',
    { 'millrace.yaml': 'tenant: a\nname: b\ntenant: c\n' },
    ['millrace.yaml:3:1: found map keys must be unique, expected well-formed YAML'],
  ],
  [
    'an empty file',
    { 'segments/buyers.yaml': '', 'destinations/tool.yaml': null },
    ['segments/buyers.yaml:1:1: found nothing (null), expected a mapping of names to definitions'],
  ],
  [
    'a list for a mapping',
    { 'traits/x.yaml': '- a\n' },
    ['traits/x.yaml:1:1: found a list of 1, expected a mapping of names to definitions'],
  ],
  [
    'a definition twice',
    { 'segments/more.yaml': sound['segments/buyers.yaml']! },
    [
      "segments/more.yaml:1:1 buyers: found the id 'buyers' again, expected an id of its own; segments/buyers.yaml has this one",
    ],
  ],
  [
    'an id with capitals',
    { 'segments/more.yaml': 'Buyers: {}\n' },
    [
      "segments/more.yaml:1:1 Buyers: found the id 'Buyers', expected a name of a-z, 0-9, _ and -, starting with a letter, at most 64 characters",
    ],
  ],
  [
    'an id of the prototype',
    { 'segments/more.yaml': '__proto__: {}\n' },
    [
      "segments/more.yaml:1:1 __proto__: found the id '__proto__', expected a name of a-z, 0-9, _ and -, starting with a letter, at most 64 characters",
    ],
  ],
  [
    'an empty segment',
    segment("''"),
    ["segments/buyers.yaml:3:9 buyers.when: found '', expected a rule such as count('purchase', '30d') >= 2"],
  ],
  [
    'a segment that says nothing',
    segment(''),
    [
      "segments/buyers.yaml:3:3 buyers.when: found nothing (null), expected a rule such as count('purchase', '30d') >= 2",
    ],
  ],
  [
    'an unknown event',
    segment("count('purchse') >= 1"),
    [
      "segments/buyers.yaml:3:15 buyers.when: found 'purchse', expected the name of an event that a schema of the workspace defines (did you mean 'purchase'?)",
    ],
  ],
  [
    'a field that is not there',
    segment("count('purchase', '7d', event.totl > 1) >= 1"),
    [
      "segments/buyers.yaml:3:39 buyers.when: found 'totl', expected a field of the event 'purchase' (total) (did you mean 'total'?)",
    ],
  ],
  [
    'a window too long',
    segment("count('purchase', '366d') >= 1"),
    [
      "segments/buyers.yaml:3:27 buyers.when: found '366d', expected a window from '1s' to '365d', such as '300s', '30m', '12h', '7d' or '4w'",
    ],
  ],
  [
    'a threshold out of bounds',
    segment("count('purchase', '7d') >= 1001"),
    [
      "segments/buyers.yaml:3:36 buyers.when: found '1001', expected a whole number from 1 to 1000 for a count in a window",
    ],
  ],
  [
    'a cookie before a person',
    {
      'identity.yaml':
        'namespaces:\n  cookie: { class: cookie, priority: 1, from: domain_userid }\n  email: { class: person, priority: 2, from: event.email }\n',
    },
    [
      "identity.yaml:2:38 namespaces.cookie.priority: found 1, expected a priority behind 'email' (2): no cookie outranks a person",
    ],
  ],
  [
    'a priority twice',
    {
      'identity.yaml':
        'namespaces:\n  email: { class: person, priority: 1, from: event.email }\n  user: { class: person, priority: 1, from: user_id }\n',
    },
    ["identity.yaml:3:36 namespaces.user.priority: found 1, expected a priority of its own; 'email' has this one"],
  ],
  [
    'an identifier that many share, a reserved namespace, a typo in a path',
    {
      'identity.yaml':
        'namespaces:\n  email: { class: person, priority: 1, from: event.emial }\n  ip: { class: cookie, priority: 2, from: user_ipaddress }\n  client: { class: cookie, priority: 3, from: domain_userid }\n',
    },
    [
      "identity.yaml:2:46 namespaces.email.from: found 'emial', expected a field of any event (choice, email, scopes, total) (did you mean 'email'?)",
      "identity.yaml:3:43 namespaces.ip.from: found 'user_ipaddress', expected what stays with one person, device or browser",
      "identity.yaml:4:3 namespaces.client: found the namespace 'client', expected a name of a-z, 0-9, _ and -, starting with a letter, at most 64 characters, and not client or sitting",
    ],
  ],
  [
    'a trait without a source, with two, of a wrong type, of no type',
    {
      'traits/all.yaml':
        'email: { description: d }\ntwo: { description: d, count: { on: purchase }, sum: { on: purchase, value: event.total } }\norders: { description: d, type: string, count: { on: purchase } }\nname: { description: d, field: { on: sign_up, value: event.email } }\n',
    },
    [
      'traits/all.yaml:1:8 email: found no source, expected one of field, sum, union, count',
      'traits/all.yaml:2:6 two: found sum and count, expected one of field, sum, union, count',
      'traits/all.yaml:3:33 orders.type: found string, expected number, or no type: a count has no other',
      'traits/all.yaml:4:7 name: found no type, expected string, number, decimal, boolean or timestamp',
    ],
  ],
  [
    'a trait with a bad window, policy and event',
    {
      'traits/x.yaml':
        'a: { description: d, count: { on: purchase, within: 2y } }\nb: { description: d, type: string, field: { on: sign_up, value: event.email, policy: last } }\nc: { description: d, sum: { on: purchse, value: event.total } }\n',
    },
    [
      "traits/x.yaml:1:53 a.count.within: found '2y', expected a window from '1s' to '365d', such as '300s', '30m', '12h', '7d' or '4w'",
      "traits/x.yaml:2:86 b.field.policy: found 'last', expected one of recency, first, max, min",
      "traits/x.yaml:3:33 c.sum.on: found 'purchse', expected the name of an event that a schema of the workspace defines (did you mean 'purchase'?)",
    ],
  ],
  [
    'consent for a purpose that is not there, and neither grant nor deny',
    {
      'consent.yaml':
        'purposes: [marketing]\nsignals:\n  - { on: consent, grant: [marketng] }\n  - { on: consent }\n  - { on: consent, deny: { from: event.scops } }\n',
    },
    [
      "consent.yaml:3:28 signals[0].grant[0]: found 'marketng', expected a purpose (did you mean 'marketing'?)".replace(
        'signals[0].grant[0]',
        'signals[0].grant[0]',
      ),
      'consent.yaml:4:5 signals[1]: found neither grant nor deny, expected one of them',
      "consent.yaml:5:34 signals[2].deny.from: found 'scops', expected a field of the event 'consent' (choice, scopes) (did you mean 'scopes'?)",
    ],
  ],
  [
    'a destination that names what is not there',
    {
      'destinations/tool.yaml':
        'tool:\n  description: d\n  type: file\n  segments: [buyer]\n  purposes: [ads]\n  identifiers: [{ type: e, namespace: mail, encoding: md5 }]\n  traits: [emial]\n',
    },
    ["destinations/tool.yaml:6:55 tool.identifiers[0].encoding: found 'md5', expected one of plain, sha256"],
  ],
  [
    'a destination that names what is not there, in good shape',
    {
      'destinations/tool.yaml':
        'tool:\n  description: d\n  type: file\n  segments: [buyer]\n  purposes: [ads]\n  identifiers: [{ type: e, namespace: mail, encoding: plain }]\n  traits: [emial]\n',
    },
    [
      "destinations/tool.yaml:4:14 tool.segments[0]: found 'buyer', expected a segment of the workspace (did you mean 'buyers'?)",
      "destinations/tool.yaml:5:14 tool.purposes[0]: found 'ads', expected a purpose of the workspace",
      "destinations/tool.yaml:7:12 tool.traits[0]: found 'emial', expected a trait of the workspace (did you mean 'email'?)",
      "destinations/tool.yaml:6:39 tool.identifiers[0].namespace: found 'mail', expected a namespace of identity.yaml (did you mean 'email'?)",
    ],
  ],
  [
    'a destination for no segment',
    { 'destinations/tool.yaml': sound['destinations/tool.yaml']!.replace('[buyers]', '[]') },
    ['destinations/tool.yaml:4:13 tool.segments: found an empty list, expected segments, 1 to 100 of them'],
  ],
  [
    'literal secrets, wherever they stand',
    destination(
      '  settings:\n    url: https://u:p@example.com\n    secret: hunter2\n    headers: { Authorization: Basic Zm9v }\n    tokens: [a]\n    note: whsec_abc\n    api_key: { env: lower }\n    other: { env: FINE }\n',
      'type: webhook',
    ),
    ['url', 'secret', 'headers.Authorization', 'tokens[0]', 'note', 'api_key'].map(
      (path) => expect.stringContaining(` tool.settings.${path}: found `) as string,
    ),
  ],
  [
    'a webhook without an address',
    destination('', 'type: webhook'),
    ['destinations/tool.yaml:2:3 tool.settings.url: found nothing, expected an http or https address'],
  ],
  [
    'a schema out of place',
    { 'schemas/com.example/x.json': '{}' },
    [
      "schemas/com.example/x.json: found the path 'com.example/x.json', expected schemas/<vendor>/<name>/jsonschema/<model-revision-addition>",
    ],
  ],
  [
    'a schema that is no JSON',
    { [schemaFile('x')]: '{' },
    [
      expect.stringMatching(
        /^schemas\/com.example\/x\/jsonschema\/1-0-0: found no JSON \(.*\), expected a JSON Schema$/,
      ) as string,
    ],
  ],
  [
    'a schema under another name',
    { [schemaFile('x')]: schemaOf('y', {}) },
    [`${schemaFile('x')} self.name: found 'y', expected 'x', as in the path of the file`],
  ],
  [
    'a schema that is none',
    { [schemaFile('x')]: schemaOf('x', { a: { type: 'strnig' } }) },
    [
      expect.stringMatching(
        /^schemas\/.*1-0-0 properties.a.type: found what is no JSON Schema, expected draft-04: /,
      ) as string,
    ],
  ],
  [
    'a schema too deep',
    { [schemaFile('x')]: `${'{"a":'.repeat(60_000)}1${'}'.repeat(60_000)}`.slice(0, 131_000) },
    [expect.stringContaining('found no JSON') as string],
  ],
  [
    'a schema of many levels',
    { [schemaFile('x')]: `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}` },
    [`${schemaFile('x')}: found more than 40 levels, expected at most as many`],
  ],
  [
    'a schema with a number beyond all bounds',
    { [schemaFile('x')]: '{"a": 1e999}' },
    [`${schemaFile('x')}: found a number too large for a double, expected numbers that a double holds`],
  ],
  [
    'a number that is none',
    { 'traits/x.yaml': 'a: { literal: .nan }\n' },
    ['traits/x.yaml:1:1: found a number that is infinite or none, expected finite numbers'],
  ],
  [
    'a key too many, and what stands beside it',
    { 'segments/more.yaml': "more:\n  description: d\n  extra: 1\n  when: profile.orders > 'x'\n" },
    [
      "segments/more.yaml:3:3 more.extra: found the key 'extra', expected only description, when",
      "segments/more.yaml:4:26 more.when: found 'x', expected a number, for profile.orders is a number",
    ],
  ],
  [
    'aliases that multiply',
    {
      'traits/x.yaml': `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    },
    [
      'traits/x.yaml:1:1: found more than 100 repetitions of anchors, or one that is not there, expected anchors used sparingly',
    ],
  ],
  [
    'YAML too deep',
    { 'traits/x.yaml': `a: ${'['.repeat(40)}${']'.repeat(40)}\n` },
    ['traits/x.yaml:1:1: found more than 32 levels, expected at most as many'],
  ],
]

test('a workspace says how its collector answers', async () => {
  const text =
    'paths: { /shop/t: /com.snowplowanalytics.snowplow/tp2 }\ncookies: { domains: [shop.example] }\ntrustProxy: true\ncompat: strict\nwriteKeys: { env: KEYS }\n'
  expect((await loadWorkspace(await folderWith({ 'collector.yaml': text }))).collector).toEqual({
    paths: { '/shop/t': '/com.snowplowanalytics.snowplow/tp2' },
    cookies: { domains: ['shop.example'] },
    trustProxy: true,
    compat: 'strict',
    writeKeysEnv: 'KEYS',
  })
  const wrong = 'paths: { shop?x: tp2 }\ncookies: { domains: [https://shop.example] }\ncompat: lax\n'
  expect(await problemsWith({ 'collector.yaml': wrong })).toEqual([
    "collector.yaml:1:18 paths.shop?x: found 'tp2', expected /com.snowplowanalytics.snowplow/tp2, or another /vendor/version",
    "collector.yaml:2:22 cookies.domains[0]: found 'https://shop.example', expected a domain, such as shop.example",
    "collector.yaml:3:9 compat: found 'lax', expected one of per-event, strict",
  ])
})

test.each(refused)('refused: %s', async (_, changes, expected) => {
  expect(await problemsWith(changes)).toEqual(expected)
})

test('a literal secret is not repeated in the message', async () => {
  expect((await problemsWith(destination('  settings: { secret: hunter2 }\n'))).join()).not.toContain('hunter2')
})

test('a folder that is not there', async () => {
  const { problems } = await checkWorkspace('/nonexistent/workspace')
  expect(problems.map(formatProblem)).toEqual([
    '.: found no folder that can be read, expected a workspace: a folder with millrace.yaml',
  ])
})

test('problems of a rule stand at their place in the file, whatever the style of the text', async () => {
  const places = async (when: string) =>
    (await checkWorkspace(await folderWith(segment(when)))).problems.map(({ line, column }) => [line, column])
  expect(await places("profile.x == 'a' || profile.y > 1")).toEqual([
    [3, 17],
    [3, 37],
  ])
  expect(await places('"profile.x > 1"')).toEqual([[3, 18]])
  expect(await places('|\n    has(profile.email)\n\n      && profile.x > 1')).toEqual([[6, 18]])
  expect(await places('>-\n    has(profile.email)\n    &&\n    profile.x > 1')).toEqual([[6, 13]])
  expect(await places('has(profile.email) &&\n    profile.x > 1')).toEqual([[4, 13]])
})
