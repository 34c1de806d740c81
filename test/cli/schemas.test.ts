/** `millrace schemas` as a user runs it, against registries over HTTP. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exampleWorkspace } from '../../cli/package.ts'
import { TestRegistry } from '../../registries/testing.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

const apiKey = '7f9e1d7a-0000-4000-8000-000000000000'
const badge = 'iglu:com.acme/badge/jsonschema/1-0-0'
const $schema = 'http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#'
const badgeSchema = {
  $schema,
  description: 'A badge',
  self: { vendor: 'com.acme', name: 'badge', format: 'jsonschema', version: '1-0-0' },
  type: 'object',
  properties: { level: { description: 'Height', type: 'integer', minimum: 0, maximum: 9 } },
  required: ['level'],
  additionalProperties: false,
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let server: TestRegistry
let workspace: string

beforeAll(async () => {
  folder = await temporaryFolder()
  server = await TestRegistry.open(apiKey)
  process.env['TEST_IGLU_KEY'] = apiKey
  workspace = join(folder.path, 'shop')
  await cp(exampleWorkspace, workspace, { recursive: true })
  const acme = {
    name: 'acme',
    priority: 0,
    vendorPrefixes: ['com.acme'],
    connection: { http: { uri: server.uri, apikey: { env: 'TEST_IGLU_KEY' } } },
  }
  const resolver = {
    schema: 'iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3',
    data: { cacheSize: 500, cacheTtl: 600, repositories: [acme] },
  }
  await writeFile(join(workspace, 'iglu.json'), JSON.stringify(resolver))
})
afterAll(async () => {
  delete process.env['TEST_IGLU_KEY']
  await server.close()
  await folder.remove()
})

async function schemaFile(root: string, schema: object, path = 'com.acme/badge/jsonschema/1-0-0'): Promise<string> {
  const file = join(folder.path, root, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, JSON.stringify(schema))
  return file
}

describe('lint', () => {
  test('finds nothing wrong with the schemas of the example', async () => {
    const { stdout, status } = await millrace(['schemas', 'lint', join(exampleWorkspace, 'schemas')])
    expect({ status, last: stdout.trim().split('\n').at(-1) }).toMatchObject({
      status: 0,
      last: expect.stringMatching(/^\d+ schemas, 0 errors, /),
    })
  })

  test('tells of what is wrong, file by file, and ends with 1', async () => {
    const wrong = { ...badgeSchema, properties: { level: { type: 'integer', maxLength: 3 } }, required: ['name'] }
    const file = await schemaFile('wrong', wrong)
    const { stdout, status } = await millrace(['schemas', 'lint', file])
    expect(status).toBe(1)
    expect(stdout).toContain("it requires 'name', which it does not allow")
    expect(stdout).toContain('maxLength says nothing of a value of type integer')
    const json = await millrace(['schemas', 'lint', file, '--json', '--skip', 'description', 'numericMinMax'])
    expect(JSON.parse(json.stdout)).toMatchObject({ schemas: 1, errors: 2, warnings: 0 })
  })

  test('of nothing is a mistake', async () => {
    const { stderr, status } = await millrace(['schemas', 'lint', join(folder.path, 'nowhere')])
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('there is no file or folder'),
    })
  })
})

test('publish, get and validate: a schema goes to the server, comes back, and data are held against it', async () => {
  const file = await schemaFile('schemas', badgeSchema)
  const to = ['--to', 'acme', '--workspace', workspace]
  expect(await millraceJson(['schemas', 'publish', file, ...to])).toEqual({
    published: [{ key: badge, outcome: 'created' }],
  })
  expect(await millraceJson(['schemas', 'publish', file, ...to])).toEqual({
    published: [{ key: badge, outcome: 'unchanged' }],
  })
  const got = await millraceJson(['schemas', 'get', badge, '--workspace', workspace])
  expect(got).toEqual({ key: badge, uri: badge, repository: 'acme', schema: badgeSchema })

  const instance = (level: unknown) => JSON.stringify({ schema: badge, data: { level } })
  const good = await millrace(['schemas', 'validate', '-', '--workspace', workspace], instance(3))
  expect(good).toMatchObject({ status: 0, stdout: `valid against ${badge}\n` })
  const bad = await millrace(['schemas', 'validate', '-', '--workspace', workspace], instance('high'))
  expect(bad).toMatchObject({ status: 1, stdout: '$.level: string found, integer expected\n' })

  const other = await schemaFile('other', { ...badgeSchema, description: 'Another' })
  const again = await millrace(['schemas', 'publish', other, ...to])
  expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('give the schema a new version') })
})

test('publish to a folder makes a static registry of it; with an error nothing is published', async () => {
  const file = await schemaFile('schemas', badgeSchema)
  const target = join(folder.path, 'static')
  await millrace(['schemas', 'publish', file, '--to', target, '--workspace', workspace])
  const copied = await readFile(join(target, 'schemas/com.acme/badge/jsonschema/1-0-0'), 'utf8')
  expect(JSON.parse(copied)).toEqual(badgeSchema)
  const wrong = await schemaFile('wrong2', { ...badgeSchema, self: {} })
  const empty = join(folder.path, 'empty')
  expect((await millrace(['schemas', 'publish', wrong, '--to', empty, '--workspace', workspace])).status).toBe(1)
  await expect(readFile(empty)).rejects.toThrow('ENOENT')
})

test('get says who was asked, and refuses what is no key; a registry that is out is told of', async () => {
  const missing = 'iglu:com.acme/none/jsonschema/1-0-0'
  const get = (key: string) => millrace(['schemas', 'get', key, '--workspace', workspace])
  expect(await get(missing)).toMatchObject({ status: 1, stderr: expect.stringContaining('in the workspace, acme') })
  expect(await get('com.acme/none')).toMatchObject({ status: 1, stderr: expect.stringContaining('is no schema key') })
  server.trouble = 503
  expect(await get(missing)).toMatchObject({ status: 1, stderr: expect.stringContaining('IGLU_UNAVAILABLE') })
  server.trouble = null
})

test('refresh brings a version into force that asks anew', async () => {
  const data = join(folder.path, 'data')
  const refresh = () => millraceJson(['schemas', 'refresh', '--workspace', workspace, '--data', data])
  const first = await refresh()
  expect(await refresh()).toEqual({ version: Number(first['version']) + 1 })
})
