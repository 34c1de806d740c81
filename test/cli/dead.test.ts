import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLog } from '../../cli/engine.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: string
beforeAll(async () => {
  folder = await temporaryFolder()
  data = join(folder.path, 'data')
  await passThrough()
  const { log } = await openLog(data)
  const value = Buffer.from([0, 0x7f, 0, 0, 1])
  await log.append([
    { topic: 'events.raw', partition: 1, kind: 'event', key: 'shop/c1', value, timestampMs: Number.NaN },
  ])
  await log.close()
  await passThrough()
})
afterAll(() => folder.remove())

/** Lets what is in the log come through. */
const passThrough = () => millraceJson(['ingest', '-', '--format', 'ndjson', '--data', data], '')

test('dead letters are listed, shown, put back once, and listed again', async () => {
  const [group] = await millraceJson<Record<string, unknown>[]>(['dead', 'list', '--data', data])
  expect(group).toMatchObject({ stage: 'identify', code: 'SCHEMA_UNKNOWN', kind: 'event', letters: 1, replayed: 0 })
  const place = String(group?.['example'])
  expect(place).toBe('identify.dead/1@0')
  const listed = await millrace(['dead', 'list', '--data', data])
  expect(listed.stdout).toMatch(/^identify SCHEMA_UNKNOWN event: 1\n.*\n {2}identify.dead\/1@0 schema id 2130706433 /)

  expect(await millraceJson(['dead', 'show', place, '--data', data])).toMatchObject({
    topic: 'events.raw',
    partition: 1,
    offset: expect.any(Number),
    key: 'shop/c1',
    value: { base64: 'AH8AAAE=' },
  })

  const replay = ['dead', 'replay', '--stage', 'identify', '--data', data]
  expect(await millraceJson([...replay, '--dry-run'])).toMatchObject({ dryRun: true, replayed: 1 })
  expect((await millrace(replay)).stdout).toBe('1 went back\n')
  expect((await millrace(replay)).stdout).toBe('0 went back\n  1 skipped: they had been put back before\n')
  await passThrough()
  expect(await millraceJson(['dead', 'list', '--data', data])).toMatchObject([{ letters: 2, replayed: 1 }])
})

test('which to replay must be said, and must be there', async () => {
  const replay = (...args: string[]) => millrace(['dead', 'replay', ...args, '--data', data])
  for (const args of [[], ['--all', '--stage', 'identify'], ['identify.dead/1@0', '--all']]) {
    const { status, stderr } = await replay(...args)
    expect({ args, status }).toEqual({ args, status: 2 })
    expect(stderr).toMatch(/^error: name one letter, or say which/)
  }
  const nothing = await replay('identify.dead/0@7')
  expect([nothing.status, nothing.stderr]).toEqual([1, expect.stringContaining('(NOT_FOUND)')])
  const wrong = await replay('events.raw/0@7')
  expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('(INPUT_INVALID)')])
})
