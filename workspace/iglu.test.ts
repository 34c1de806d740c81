import { expect, test } from 'vitest'
import { readRegistries } from './iglu.ts'
import { formatProblem, type Problem } from './problem.ts'
import { Source } from './source.ts'

function read(data: unknown, schema = 'iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3') {
  const problems: Problem[] = []
  const registries = readRegistries(new Source('iglu.json', JSON.stringify({ schema, data }, null, 1), problems))
  return { registries, problems: problems.map(formatProblem) }
}

const http = (more: object = {}) => ({
  name: 'Acme',
  priority: 1,
  vendorPrefixes: ['com.acme'],
  connection: { http: { uri: 'https://iglu.acme.com/api/', ...more } },
})

test('a resolver configuration is taken as Iglu has it', () => {
  const embedded = { name: 'Central', priority: 0, vendorPrefixes: [], connection: { embedded: { path: 'central' } } }
  const repositories = [http({ apikey: { env: 'IGLU_KEY' } }), embedded]
  expect(read({ cacheSize: 500, cacheTtl: 600, repositories })).toEqual({
    registries: {
      cacheTtlMs: 600_000,
      refresh: 0,
      repositories: [
        {
          name: 'Acme',
          priority: 1,
          vendorPrefixes: ['com.acme'],
          at: { uri: 'https://iglu.acme.com/api', apiKeyEnv: 'IGLU_KEY' },
        },
        { name: 'Central', priority: 0, vendorPrefixes: [], at: { folder: 'central' } },
      ],
    },
    problems: [],
  })
  for (const cacheTtl of [null, 0, undefined])
    expect(read({ cacheSize: 0, cacheTtl, repositories: [] }).registries?.cacheTtlMs).toBeNull()
})

test.each<[string, object]>([
  ['a key itself', { cacheSize: 1, repositories: [http({ apikey: '7f9e1d7a-0000-4000-8000-000000000000' })] }],
  ['an address with a password', { cacheSize: 1, repositories: [http({ uri: 'https://me:secret@iglu.acme.com' })] }],
  ['no address', { cacheSize: 1, repositories: [http({ uri: 'iglu.acme.com' })] }],
  ['no way to it', { cacheSize: 1, repositories: [{ ...http(), connection: {} }] }],
  ['a setting nobody knows', { cacheSize: 1, repositories: [], cacheTTL: 1 }],
])('%s is refused', (_, data) => {
  const { problems } = read(data)
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(/^iglu\.json:\d+:\d+ data/)
})

test('another configuration is refused', () => {
  expect(read({}, 'iglu:com.acme/x/jsonschema/1-0-0').registries).toBeNull()
})
