/** `millrace recover` on a cluster: what test/cli/recover.test.ts shows of a folder, with a registry and transactions in it. */
import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as anyTest, expect } from 'vitest'
import { withLogAt } from '../../cli/place.ts'
import { recordsOf } from '../../cli/topics.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { millraceJson } from './millrace.ts'

const [brokers, url] = [await kafkaForTests(), await registryForTests()]
const test = anyTest.skipIf(!brokers || !url)

const badRows = 'iglu:com.snowplowanalytics.snowplow.badrows'
const kind = 'tracker_protocol_violations/jsonschema/1-0-1'

test('rows go back once, with the mark that says so in one transaction', async () => {
  const prefix = `registry-test-${randomUUID()}-`
  const cluster = ['--brokers', brokers!.join(','), '--registry', url!, '--prefix', prefix]
  await millraceJson(['topics', 'apply', ...cluster])
  const place = { kind: 'cluster', kafka: { brokers: brokers! }, registryUrl: url!, prefix } as const
  const element = { e: 'pv', p: 'web', tv: 'js', duid: 'd', odd: 'x' }
  const payload = {
    vendor: 'com.snowplowanalytics.snowplow',
    version: 'tp2',
    contentType: 'application/json',
    timestamp: '2024-03-10T12:00:00.000Z',
    querystring: [],
    body: JSON.stringify({
      schema: 'iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4',
      data: [element],
    }),
  }
  await withLogAt(place, async (log, codec) => {
    const data = JSON.stringify({ processor: {}, failure: {}, payload })
    const row = { tenant: 'shop', schema: `${badRows}/${kind}`, data, payloadId: 'p', index: 3 }
    const value = codec.encode('BadRow', row)
    await log.append(
      [0, 1].map((partition) => ({
        topic: 'events.bad',
        partition,
        kind: 'bad',
        key: 'shop/p-3',
        value,
        timestampMs: Number.NaN,
      })),
    )
  })

  const path = join(tmpdir(), `millrace-flow-${randomUUID()}.json`)
  const steps = [{ op: 'Remove', path: '$.body.data.[0].odd' }]
  const schema = 'iglu:com.snowplowanalytics.snowplow/recoveries/jsonschema/4-0-0'
  const flows = { [`${badRows}/${kind}`]: [{ name: 'mend', conditions: [], steps }] }
  await writeFile(path, JSON.stringify({ schema, data: flows }))
  try {
    const recover = () => millraceJson(['recover', '--flow', path, ...cluster])
    expect(await recover()).toMatchObject({ rows: 2, recovered: 2, events: 2, done: 0 })
    expect(await recover()).toMatchObject({ rows: 2, recovered: 0, events: 0, done: 2 })
  } finally {
    await rm(path)
  }

  await withLogAt(place, async (log, codec) => {
    const topics = await log.topics()
    const { partitions } = topics.find(({ name }) => name === 'events.raw')!
    const back = []
    for await (const { kind, key, value } of recordsOf(log, 'events.raw', partitions))
      if (kind === 'event') back.push({ key, raw: codec.decode('RawEvent', value!) })
    expect(back).toHaveLength(2)
    for (const { key, raw } of back) {
      expect(key).toBe('shop/d')
      expect(raw).toMatchObject({ payloadId: 'p', index: 3, collectorTstampMs: Date.parse(payload.timestamp) })
      expect(JSON.parse(raw.body)).toEqual({ e: 'pv', p: 'web', tv: 'js', duid: 'd' })
    }
  })
}, 120_000)
