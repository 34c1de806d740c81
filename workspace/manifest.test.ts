import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Definition } from '../schemas/avro/types.ts'
import { defaultEnrichments } from '../schemas/definitions.ts'
import { canonicalJson, sha256Hex } from './canonical.ts'
import { definitionsFrom, manifestOf } from './manifest.ts'
import { loadWorkspace } from './workspace.ts'

const tenantKey = new Uint8Array([1, 2, 3])
const retail = await loadWorkspace('examples/retail')

test('definitions come back from their records exactly, in whatever order these come', () => {
  const { hash, records } = manifestOf(retail, { version: 7, actor: 'ada' })
  const { tenant, schemas, iglu, identity, consent, enrichments, traits, segments, destinations } = retail
  fc.assert(
    fc.property(fc.shuffledSubarray([...records], { minLength: records.length }), (shuffled) => {
      expect(definitionsFrom(shuffled, tenantKey)).toEqual({
        tenant,
        version: 7,
        hash,
        tenantKey,
        schemas,
        iglu,
        identity,
        consent,
        enrichments,
        secrets: new Map(),
        traits,
        segments,
        destinations,
      })
    }),
    { numRuns: 20 },
  )
})

test('the manifest lists each definition by its hash, in order of kind and id, and comes last', () => {
  const { hash, records } = manifestOf(retail, { version: 2, actor: 'ada' })
  const manifest = records.at(-1)!
  expect(manifest).toMatchObject({ tenant: 'retail', kind: 'manifest', id: 'retail', hash, version: 2, actor: 'ada' })
  expect(JSON.parse(manifest.body)).toEqual(records.slice(0, -1).map(({ kind, id, hash }) => ({ kind, id, hash })))
  const names = records.slice(0, -1).map(({ kind, id }) => `${kind}\n${id}`)
  expect(names).toEqual([...names].sort())
  for (const { kind, id, body, hash } of records) expect(hash).toBe(sha256Hex(`${kind}\n${id}\n${body}`))
})

test('the hash follows from the content alone', () => {
  const { hash } = manifestOf(retail)
  expect(manifestOf(retail, { version: 9, actor: 'eve' }).hash).toBe(hash)
  const [first, ...others] = retail.segments
  expect(manifestOf({ ...retail, segments: others }).hash).not.toBe(hash)
  expect(manifestOf({ ...retail, segments: [{ ...first!, description: 'other' }, ...others] }).hash).not.toBe(hash)
})

test('a body that is not there is said to be missing, and so is the manifest', () => {
  const { records } = manifestOf(retail)
  const without = records.filter(({ id }) => id !== 'high_value')
  expect(() => definitionsFrom(without, tenantKey)).toThrow(
    /^the segment high_value \([0-9a-f]{64}\) of tenant retail is not there$/,
  )
  expect(() => definitionsFrom(records.slice(0, -1), tenantKey)).toThrow('there is no manifest')
  expect(() => definitionsFrom(records, tenantKey, { hash: 'abc' })).toThrow('there is no manifest abc')
})

test('of several versions, the one named is rebuilt; bodies they share serve both', () => {
  const now = manifestOf(retail, { version: 1 })
  const next = manifestOf({ ...retail, segments: retail.segments.slice(1) }, { version: 2 })
  const topic: Definition[] = [...now.records, ...next.records]
  expect(definitionsFrom(topic, tenantKey, { hash: now.hash }).segments).toEqual(retail.segments)
  expect(definitionsFrom(topic, tenantKey, { hash: next.hash })).toMatchObject({
    version: 2,
    segments: retail.segments.slice(1),
  })
  expect(() => definitionsFrom(topic, tenantKey)).toThrow('a manifest is named where there are several')
})

test('a definition too large to travel is refused', () => {
  const schemas = new Map([['iglu:a/b/jsonschema/1-0-0', 'x'.repeat(200_001)]])
  expect(() => manifestOf({ ...retail, schemas })).toThrow(
    'the schema iglu:a/b/jsonschema/1-0-0 takes 200001 bytes; at most 200000 are allowed',
  )
})

test('canonical JSON is JSON with one spelling for what is equal', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalJson(JSON.parse(text))).toBe(text)
    }),
  )
  expect(canonicalJson({ b: 1, a: [true, null], c: undefined })).toBe('{"a":[true,null],"b":1}')
})

const salted = (env: string) => ({
  ...retail,
  enrichments: {
    ...retail.enrichments,
    pseudonyms: {
      algorithm: 'SHA-256' as const,
      salts: [{ env, fromMs: null }],
      anonymousOnly: false,
      columns: ['user_id' as const],
      data: [],
    },
  },
})

test('secrets come from the environment, and one that is not there is refused by its name', () => {
  const { hash, records } = manifestOf(salted('SHOP_SALT'))
  expect(definitionsFrom(records, tenantKey, { hash, env: { SHOP_SALT: 'pepper' } }).secrets).toEqual(
    new Map([['SHOP_SALT', 'pepper']]),
  )
  expect(() => definitionsFrom(records, tenantKey, { hash, env: {} })).toThrow('the environment variable SHOP_SALT')
  expect(definitionsFrom(records, tenantKey, { hash, env: null }).secrets).toEqual(new Map())
  expect(JSON.stringify(records)).not.toContain('pepper')
})

test('a manifest of before there were enrichments has none', () => {
  const [manifest, ...bodies] = [...manifestOf(retail).records].reverse()
  const listed = (JSON.parse(manifest!.body) as { kind: string }[]).filter(({ kind }) => kind !== 'enrichments')
  const older = { ...manifest!, body: JSON.stringify(listed) }
  expect(definitionsFrom([older, ...bodies], tenantKey).enrichments).toEqual(defaultEnrichments)
})
