import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { anyFreePort } from './ports.ts'
import { type Settings, settled, type Wanted } from './settings.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function takenPort(): Promise<number> {
  const server = createServer().listen(await anyFreePort(), '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const jars = async () => 'jars' as const
const settle = (former: Settings | undefined, wanted: Wanted, running: ('kafka' | 'redis')[] = []) =>
  settled(former, wanted, running, jars)

async function formerSettings(): Promise<Settings> {
  const node = async () => ({ client: await anyFreePort(), controller: await anyFreePort() })
  return { with: 'jars', kafkaVersion: '4.2.0', kafka: [await node(), await node()], redis: await anyFreePort() }
}

test('what was chosen before comes again', async () => {
  const former = await formerSettings()
  expect(await settle(former, { parts: ['kafka', 'redis'], ports: { kafka: 0 } })).toEqual(former)
})

test('a port that another program has taken meanwhile is replaced, and only that', async () => {
  const former = await formerSettings()
  const { kafka, redis } = await settle(
    { ...former, redis: await takenPort() },
    { parts: ['kafka', 'redis'], ports: { redis: 0 } },
  )
  expect(kafka).toEqual(former.kafka)
  expect(redis).toBeGreaterThan(0)
  await expect(settle(former, { ports: { redis: await takenPort() } })).rejects.toMatchObject({ code: 'PORT_TAKEN' })
})

test('a cluster of which a node runs keeps all its ports, though they are taken: by itself', async () => {
  const former = await formerSettings()
  const kafka = [{ client: await takenPort(), controller: await takenPort() }, former.kafka[1]!]
  expect((await settle({ ...former, kafka }, {}, ['kafka'])).kafka).toEqual(kafka)
})

test('a folder that was begun differently is refused', async () => {
  const former = await formerSettings()
  for (const wanted of [{ kafkaVersion: '4.3.0' }, { nodes: 3 }, { with: 'docker' }] as const)
    await expect(settle(former, wanted)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(settle(former, { ports: { redis: 1 } }, ['redis'])).rejects.toThrow(/redis runs on port/)
})

test('in Docker there is one node, and the registry brings Kafka along', async () => {
  await expect(settle(undefined, { with: 'docker', nodes: 3 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const { kafka, redis } = await settle(undefined, {
    with: 'docker',
    parts: ['registry'],
    ports: { kafka: 0, registry: 0 },
  })
  expect([kafka.length, redis]).toEqual([1, undefined])
})
