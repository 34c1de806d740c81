/** `millrace dead` on a cluster: what test/cli/dead.test.ts shows of a folder, with a registry and transactions in it. */
import { randomUUID } from 'node:crypto'
import { test as anyTest, expect } from 'vitest'
import { withLogAt } from '../../cli/place.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { millrace, millraceJson } from './millrace.ts'

const [brokers, url] = [await kafkaForTests(), await registryForTests()]
const test = anyTest.skipIf(!brokers || !url)

test('letters are listed, shown and put back once', async () => {
  const prefix = `registry-test-${randomUUID()}-`
  const cluster = ['--brokers', brokers!.join(','), '--registry', url!, '--prefix', prefix]
  await millraceJson(['topics', 'apply', ...cluster])
  const place = { kind: 'cluster', kafka: { brokers: brokers! }, registryUrl: url!, prefix } as const
  const original = { kind: 'event', key: 'shop/c1', value: Buffer.from([0, 0x7f, 0, 0, 1]) }
  const logTimeMs = Date.now() - 60_000
  await withLogAt(place, async (log, codec) => {
    const writer = await log.writer('identify/2')
    for (const [offset, key] of ['shop/c1', 'shop/c2', 'shop/c3'].entries()) {
      const died = { stage: 'identify', topic: 'events.raw', partition: 2, offset, ...original, key, logTimeMs }
      const value = codec.encode('DeadLetter', { ...died, timer: null, code: 'EXCEPTION', message: `no ${key}` })
      await writer.commit({
        outputs: [{ topic: 'identify.dead', partition: 2, kind: 'dead', key, value, timestampMs: logTimeMs }],
      })
    }
    await writer.close()
  })

  const dead = (...args: string[]) => millraceJson(['dead', ...args, ...cluster])
  const [group] = (await dead('list')) as unknown as Record<string, unknown>[]
  expect(group).toMatchObject({ stage: 'identify', code: 'EXCEPTION', letters: 3, replayed: 0, message: 'no shop/c3' })
  expect(await dead('show', String(group!['example']))).toMatchObject({ key: 'shop/c3', value: { base64: 'AH8AAAE=' } })

  expect(await dead('replay', 'identify.dead/2@0')).toMatchObject({ replayed: 1 })
  expect(await dead('replay', '--code', 'EXCEPTION')).toMatchObject({ replayed: 2, skipped: { done: 1 } })
  expect(await dead('replay', '--all')).toMatchObject({ replayed: 0, skipped: { done: 3 } })
  await withLogAt(place, async (log) => {
    const { records } = await log.fetch('events.raw', 2, 0, { maxRecords: 100, maxBytes: 1 << 20 })
    const back = (key: string) => ({ ...original, key, timestampMs: logTimeMs })
    expect(records).toMatchObject(['shop/c1', 'shop/c2', 'shop/c3'].map(back))
  })

  const both = await millrace(['dead', 'list', '--data', 'somewhere', ...cluster])
  expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('a data folder or brokers, not both')])
})
