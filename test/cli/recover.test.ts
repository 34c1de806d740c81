import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DumpedRecord } from '../../cli/dump.ts'
import type { Recovered } from '../../cli/recover.ts'
import type { BadRow, IdentifiedEvent } from '../../schemas/avro/types.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: string
beforeAll(async () => {
  folder = await temporaryFolder()
  data = join(folder.path, 'data')
})
afterAll(() => folder.remove())

const ingest = (format: string, lines: string) =>
  millraceJson<Record<string, number>>(['ingest', '-', '--format', format, '--data', data], lines)
/** Lets what is in the log come through. */
const passThrough = () => ingest('ndjson', '')

async function dump<Value>(topic: string): Promise<(DumpedRecord & { value: Value })[]> {
  const { stdout } = await millrace(['dump', topic, '--json', '--data', data])
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

const badRows = 'iglu:com.snowplowanalytics.snowplow.badrows'
const logIn = 'iglu:com.example.shop/log_in/jsonschema/1-0-0'

async function recover(flows: Record<string, readonly unknown[]>, ...args: string[]): Promise<Recovered> {
  const path = join(folder.path, 'flow.json')
  const data4 = Object.entries(flows).map(([schema, steps]) => [
    `${badRows}/${schema}`,
    [{ name: 'mend', conditions: [], steps }],
  ])
  const schema = 'iglu:com.snowplowanalytics.snowplow/recoveries/jsonschema/4-0-0'
  await writeFile(path, JSON.stringify({ schema, data: Object.fromEntries(data4) }))
  return millraceJson<Recovered>(['recover', '--flow', path, '--data', data, ...args])
}

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`
const page = { e: 'pv', p: 'web', tv: 'js', url: 'https://shop.example/' }
const unstruct = (method: string): string =>
  Buffer.from(
    JSON.stringify({
      schema: 'iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0',
      data: { schema: logIn, data: { method } },
    }),
  ).toString('base64url')

test('bad events of all formats are mended, and are there once, however often this is run', async () => {
  const tp2 = [
    { ...page, e: 'ue', eid: id(1), duid: 'a', ue_px: unstruct('mail') },
    { ...page, eid: id(2), duid: 'b', colour: 'red' },
    { ...page, eid: id(3), duid: 'c', tid: 'many' },
    { ...page, eid: id(4), duid: 'd' },
  ]
  const schema = 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4'
  await ingest('tp2', JSON.stringify({ schema, data: tp2 }))
  await ingest('ndjson', JSON.stringify({ event: 'page_view', event_id: id(5), domain_userid: 'e', colour: 'red' }))
  await ingest('ndjson', 'nonsense')
  expect(await dump('events.bad')).toHaveLength(5)

  const flows = {
    'schema_violations/jsonschema/2-0-1': [],
    'tracker_protocol_violations/jsonschema/1-0-1': [{ op: 'Remove', path: '$.body.data.[0].colour' }],
    'collector_payload_format_violation/jsonschema/1-0-0': [],
  }
  // without a step nothing is mended; a dry run changes nothing either
  expect(await recover(flows, '--dry-run')).toMatchObject({ rows: 5, recovered: 4, unrecoverable: 1, done: 0 })
  expect(await dump('events.bad')).toHaveLength(5)

  const first = await recover({
    ...flows,
    'schema_violations/jsonschema/2-0-1': [
      { op: 'Replace', path: '$.raw.parameters.ue_px.data.data.method', match: '^mail$', value: 'email' },
    ],
  })
  // two of schema_violations have no ue_px: their flow does not fit
  expect(first).toMatchObject({ rows: 5, recovered: 2, events: 2, failed: 2, unrecoverable: 1 })
  expect(first.errors).toEqual([{ error: 'there is no ue_px', rows: 2 }])
  const failed = (await dump<BadRow>('events.bad')).filter(
    ({ kind, value }) => kind === 'bad' && value.schema.includes('recovery_error'),
  )
  expect(failed).toHaveLength(2)
  for (const { value } of failed) {
    expect(value.schema).toBe(`${badRows}/recovery_error/jsonschema/1-0-1`)
    expect(JSON.parse(value.data)).toMatchObject({
      processor: { artifact: 'millrace-recover', version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      failure: { error: 'there is no ue_px', configName: 'mend' },
      payload: { schema: `${badRows}/schema_violations/jsonschema/2-0-1`, data: { payload: {} } },
      recoveries: 1,
    })
  }

  // the same again: nothing of it happens twice
  expect(
    await recover({
      ...flows,
      'schema_violations/jsonschema/2-0-1': [{ op: 'Remove', path: '$.raw.parameters.ue_px' }],
    }),
  ).toMatchObject({ rows: 7, recovered: 0, done: 4, failed: 2, unrecoverable: 1 })
  expect(await dump('events.bad')).toHaveLength(5 + 4 + 2)

  // another flow mends what is left, in two runs, the second of which finds nothing to do
  const drop = (name: string) =>
    recover({ 'schema_violations/jsonschema/2-*-*': [{ op: 'Remove', path: `$.raw.parameters.${name}` }] })
  expect(await drop('tid')).toMatchObject({ recovered: 1, failed: 1 })
  expect(await drop('colour')).toMatchObject({ recovered: 1, failed: 0 })
  expect(await drop('colour')).toMatchObject({ recovered: 0, failed: 0, done: 6, unmatched: 1 })

  await passThrough()
  await passThrough()
  const events = (await dump<IdentifiedEvent>('events.identified')).filter(({ kind }) => kind === 'event')
  expect(events.map(({ value }) => value.event.event_id).sort()).toEqual([1, 2, 3, 4, 5].map(id))
  const raw = await dump<{ collectorTstampMs: number; payloadId: string; index: number }>('events.raw')
  const places = raw
    .filter(({ kind }) => kind === 'event')
    .map(({ value }) => `${value.payloadId} ${value.index} ${value.collectorTstampMs}`)
  // each came back as what it was: the same payload, place and time
  const twice = places.filter((place, at) => places.indexOf(place) < at)
  expect(twice).toHaveLength(4)
}, 120_000)

test('what is no file, and what is no flow, is refused', async () => {
  const none = await millrace(['recover', '--flow', join(folder.path, 'none.json'), '--data', data])
  expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('(INPUT_INVALID)')])
  const path = join(folder.path, 'bad-flow.json')
  await writeFile(path, '{"schema": "x"}')
  const wrong = await millrace(['recover', '--flow', path, '--data', data])
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('schema: expected iglu:')])
})
