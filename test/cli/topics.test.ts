import { randomUUID } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, test as anyTest, beforeAll, expect } from 'vitest'
import { exampleWorkspace } from '../../cli/package.ts'
import { KafkaConnection } from '../../runtime/kafka/connection.ts'
import { RegistryClient } from '../../runtime/kafka/registry-client.ts'
import { alterTopics, describeTopics } from '../../runtime/kafka/topic-admin.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { millrace, millraceJson, temporaryFolder } from './millrace.ts'

const [found, address] = [await kafkaForTests(), await registryForTests()]
const test = anyTest.skipIf(!found || !address)
const brokers = found ?? []
const url = address ?? ''

let connection: KafkaConnection
let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  connection = await KafkaConnection.open({ brokers })
  folder = await temporaryFolder()
})
afterAll(async () => {
  await connection.close()
  await folder.remove()
  await removeTopics()
})

const prefixes: string[] = []

async function removeTopics(): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  const names = await admin.listTopics()
  await admin.deleteTopics({ topics: names.filter((name) => prefixes.some((prefix) => name.startsWith(prefix))) })
  await admin.disconnect()
}

type Planned = {
  readonly applied: boolean
  readonly create: number
  readonly change: number
  readonly refuse: number
  readonly keep: number
  readonly items: readonly { readonly name: string; readonly action: string; readonly details: readonly string[] }[]
}

/** A deployment of its own on the cluster of the tests. */
function deployment() {
  const prefix = `registry-test-${randomUUID()}-`
  prefixes.push(prefix)
  const args = (command: string, more: readonly string[]) =>
    ['topics', command, '--brokers', brokers.join(','), '--registry', url, '--prefix', prefix, ...more] as const
  return {
    prefix,
    run: (command: 'diff' | 'apply', ...more: string[]) => millrace(args(command, more)),
    json: (command: 'diff' | 'apply', ...more: string[]) => millraceJson<Planned>(args(command, more)),
    topic: async (name: string) => (await describeTopics(connection, [prefix + name])).get(prefix + name),
  }
}

test('diff tells, apply makes it so, and again there is nothing to do', async () => {
  const { prefix, run, json, topic } = deployment()
  const before = await run('diff', '--exit-code')
  expect([before.status, before.stderr]).toEqual([1, ''])
  expect(before.stdout).toMatch(new RegExp(`^\\+ topic ${prefix}events\\.raw +3 partitions, `, 'm'))
  expect(before.stdout).toMatch(new RegExp(`^\\+ subject ${prefix}millrace\\.Row +BACKWARD_TRANSITIVE$`, 'm'))
  expect(await topic('events.raw')).toBeUndefined()

  const applied = await json('apply', '--partitions', 'identify=4,graph=1', '--replication', '1')
  expect(applied).toMatchObject({ applied: true, change: 0, refuse: 0, keep: 0 })
  const partitions = async (name: string) => (await topic(name))?.partitions
  for (const name of ['events.raw', 'events.bad', 'identify.changelog', 'identify.dead'])
    expect([name, await partitions(name)]).toEqual([name, 4])
  expect(await partitions('identity.requests')).toBe(1)
  expect(await partitions('connect.ad_audience.dead')).toBe(3)
  expect((await topic('profiles'))?.settings.get('cleanup.policy')).toBe('compact')

  // the numbers of partitions need not be said again
  expect(await json('apply')).toEqual({
    applied: true,
    create: 0,
    change: 0,
    refuse: 0,
    keep: applied.create,
    items: [],
  })
  expect((await run('diff', '--exit-code')).status).toBe(0)
})

test('drift is shown and mended; topics of others are left alone; a destination that is gone keeps its topic', async () => {
  const { prefix, json, topic } = deployment()
  const workspace = join(folder.path, 'workspace')
  await cp(exampleWorkspace, workspace, { recursive: true })
  await json('apply', '--workspace', workspace)
  await rm(join(workspace, 'destinations', 'email_tool.yaml'))

  const name = `${prefix}events.raw`
  const settings = new Map([
    ['retention.ms', '3600000'],
    ['segment.ms', '86400000'],
  ])
  const spec = { name, partitions: 3, cleanup: 'delete', retentionMs: null } as const
  await alterTopics(connection, [{ what: 'topic', name, action: 'change', details: [], spec, settings }])
  const client = new RegistryClient({ url, subjectPrefix: prefix })
  await client.setCompatibility(client.subjectOf('Row'), 'NONE')

  const drift = [
    { what: 'topic', name, action: 'change', details: ['retention.ms 3600000 → 2592000000 (30 days)'] },
    {
      what: 'subject',
      name: `${prefix}millrace.Row`,
      action: 'change',
      details: ['compatibility NONE → BACKWARD_TRANSITIVE'],
    },
  ]
  expect(await json('diff', '--workspace', workspace)).toMatchObject({ applied: false, change: 2, items: drift })
  expect(await json('apply', '--workspace', workspace)).toMatchObject({ applied: true, change: 2, items: drift })
  expect(await json('diff', '--workspace', workspace)).toMatchObject({ create: 0, change: 0, items: [] })
  expect((await topic('events.raw'))?.settings.get('segment.ms')).toBe('86400000')
  expect(await topic('connect.email_tool')).toBeDefined()
})

test('another number of partitions is refused with why, and nothing is changed', async () => {
  const { prefix, run, json, topic } = deployment()
  await json('apply')
  const diff = await run('diff', '--partitions', 'profile=6')
  expect([diff.status, diff.stderr]).toEqual([0, ''])
  expect(diff.stdout).toMatch(new RegExp(`^! topic ${prefix}events\\.identified +it has 3 partitions, not 6: `, 'm'))
  const applied = await run('apply', '--partitions', 'profile=6')
  expect(applied.status).toBe(1)
  expect(applied.stderr).toMatch(/nothing was changed.*keys move.*`millrace replay --partitions`.*\(TOPIC_MISMATCH\)/s)
  expect((await topic('profiles'))?.partitions).toBe(3)
})

test('what cannot be reached or understood is said', async () => {
  const nobody = ['--brokers', '127.0.0.1:1', '--registry', 'http://127.0.0.1:1']
  const wrong = await millrace(['topics', 'diff', ...nobody, '--partitions', 'identify=many'])
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('Expected such as identify=6')])
  const away = await millrace(['topics', 'diff', '--brokers', brokers.join(','), '--registry', 'http://127.0.0.1:1'])
  expect([away.status, away.stderr]).toEqual([
    1,
    expect.stringMatching(/^millrace: the schema registry at 127.0.0.1:1 does not serve: connect ECONNREFUSED/),
  ])
})
