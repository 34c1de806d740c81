import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ValidateResult } from '../../cli/validate.ts'
import { collectorPayload, framed } from '../../sources/testing.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

const productView = (sku: unknown) => ({
  schema: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
  data: { schema: 'iglu:com.example.shop/log_in/jsonschema/1-0-0', data: { method: sku } },
})
const page = { e: 'pv', p: 'web', tv: 'js', duid: 'd', url: 'https://shop.example/' }
const tp2 = {
  schema: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
  data: [page, { ...page, odd: 'x' }, { ...page, e: 'ue', ue_pr: JSON.stringify(productView('smoke')) }],
}

const inputs = {
  tp2: [`${JSON.stringify(tp2)}\n${JSON.stringify(page)}\nnonsense\n`, { good: 2, bad: 3 }],
  ndjson: ['{"event":"page_view","platform":"web"}\n{"event":"page_view","colour":"red"}\n[]\n', { good: 1, bad: 2 }],
  segment: [
    '{"type":"track","event":"Signed Up","userId":"u"}\n{"batch":[{"type":"page","anonymousId":"a"},{"type":"page"}]}\n',
    { good: 2, bad: 1 },
  ],
  thrift: [
    framed([
      collectorPayload({
        timestamp: 1_700_000_000_000,
        path: '/com.snowplowanalytics.snowplow/tp2',
        contentType: 'application/json',
        body: JSON.stringify(tp2),
      }),
      collectorPayload({ timestamp: 1_700_000_000_000, path: '/i', querystring: 'e=pv&p=web' }),
      gzipSync('x'),
    ]),
    { good: 2, bad: 3 },
  ],
} as const

async function check(format: string, content: string | Uint8Array): Promise<{ result: ValidateResult; out: string }> {
  const path = join(folder.path, `events.${format}`)
  const out = join(folder.path, 'out', format)
  await writeFile(path, content)
  return {
    result: await millraceJson<ValidateResult>(['validate', path, '--format', format, '--out', out, '--json']),
    out,
  }
}

const linesIn = async (out: string, name: string): Promise<string[]> =>
  (await readFile(join(out, name), 'utf8')).split('\n').slice(0, -1)

test.each(Object.entries(inputs))('%s: what comes in is good or bad', async (format, [content, { good, bad }]) => {
  const { result, out } = await check(format, content)
  expect(result).toMatchObject({ events: good + bad, good, bad })
  expect(Object.values(result.kinds).reduce((sum, count) => sum + count, 0)).toBe(bad)
  expect(await linesIn(out, 'good.ndjson')).toHaveLength(good)
  const rows = (await linesIn(out, 'bad.ndjson')).map((line) => JSON.parse(line))
  expect(rows).toHaveLength(bad)
  for (const { schema, data } of rows) {
    expect(schema).toMatch(/^iglu:com\.snowplowanalytics\.snowplow\.badrows\//)
    expect(Object.keys(data)).toEqual(['processor', 'failure', 'payload'])
  }
  expect(JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'))).toEqual(result)

  // what is good once is good again
  const again = await check('ndjson', await readFile(join(out, 'good.ndjson')))
  expect(again.result).toMatchObject({ good, bad: 0 })
})

test('the summary says what to mend first', async () => {
  const { result } = await check('tp2', inputs.tp2[0])
  expect(result.kinds).toEqual({ tracker_protocol_violations: 2, schema_violations: 1 })
  expect(result.reasons.map(({ reason, events }) => [reason, events])).toEqual(
    expect.arrayContaining([
      ['iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4 $[*].odd: additionalProperties', 1],
      ['iglu:com.example.shop/log_in/jsonschema/1-0-0 $.method: enum', 1],
    ]),
  )
  const path = join(folder.path, 'events.tp2')
  const { stdout } = await millrace(['validate', path, '--format', 'tp2', '--out', join(folder.path, 'out')])
  expect(stdout).toContain('5 events')
  expect(stdout).toContain('log_in/jsonschema/1-0-0 $.method: enum')
})

test('enriched events are read as they are written, from standard input too', async () => {
  const { out } = await check(
    'ndjson',
    '{"event":"page_view","platform":"web","collector_tstamp":"2024-01-01T00:00:00Z"}',
  )
  const [event] = (await linesIn(out, 'good.ndjson')).map((line) => JSON.parse(line) as Record<string, string>)
  const contract = JSON.parse(
    await readFile(new URL('../../schemas/enriched-event-columns.json', import.meta.url), 'utf8'),
  ) as { name: string; type: string }[]
  const row = contract
    .map(({ name, type }) => (type === 'timestamp' ? event![name]?.replace('T', ' ').slice(0, -1) : event![name]) ?? '')
    .join('\t')
  const args = ['validate', '-', '--format', 'tsv', '--out', join(folder.path, 'tsv'), '--json']
  const result = await millraceJson<ValidateResult>(args, `${row}\nnonsense\na\tb\n${'\t'.repeat(130)}\n`)
  expect(result).toMatchObject({ good: 1, bad: 3, kinds: { loader_parsing_error: 3 } })
  expect(JSON.parse((await linesIn(join(folder.path, 'tsv'), 'good.ndjson'))[0]!)).toMatchObject({
    event_id: event?.['event_id'],
    event_fingerprint: event?.['event_fingerprint'],
  })
})

test('a file that is not there, a folder that cannot be written and a format there is not are refused', async () => {
  const validate = (...args: string[]) => millrace(['validate', ...args])
  const missing = await validate('nowhere.ndjson', '--format', 'ndjson', '--out', folder.path)
  expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining('(INPUT_INVALID)')])
  const path = join(folder.path, 'a-file')
  await writeFile(path, '{}')
  const unwritable = await validate(path, '--format', 'ndjson', '--out', join(path, 'below'))
  expect([unwritable.status, unwritable.stderr]).toEqual([2, expect.stringContaining('cannot write to')])
  expect((await validate(path, '--format', 'csv', '--out', folder.path)).status).toBe(2)
})
