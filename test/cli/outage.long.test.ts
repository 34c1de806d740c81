/** `run` and `collect` started before Kafka and the registry are: they wait, say what for, and go on by themselves. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { anyFreePort } from '../../deploy/local/ports.ts'
import { LocalRegistry } from '../../deploy/local/registry.ts'
import { ownKafka } from '../parts.ts'
import { launch, millrace, millraceJson, temporaryFolder } from './millrace.ts'

const kafka = (await ownKafka())!

describe.skipIf(!kafka)('before the parts', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let registry: LocalRegistry
  let cluster: readonly string[]
  const children: ChildProcess[] = []

  beforeAll(async () => {
    folder = await temporaryFolder()
    registry = new LocalRegistry(join(folder.path, 'registry'), await anyFreePort())
    await registry.start()
    cluster = ['--brokers', kafka.brokers, '--registry', registry.url]
    await millraceJson(['topics', 'apply', ...cluster])
    await Promise.all([kafka.stop(), registry.stop()])
  }, 120_000)
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all([kafka.stop(), registry.stop()])
    await folder.remove()
  })

  async function run(name: string, port: number) {
    const child = launch(['run', '--all', '--port', String(port), '--data', join(folder.path, name), ...cluster])
    children.push(child)
    const lines: Record<string, unknown>[] = []
    createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line)))
    const waitsFor = async (code: string): Promise<void> => {
      await vi.waitUntil(() => lines.at(-1)?.['code'] === code, { timeout: 60_000 })
    }
    return { child, lines, waitsFor }
  }

  const ended = async (child: ChildProcess): Promise<unknown> => (await once(child, 'exit'))[0]
  const get = (port: number, path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)

  test('they are alive and not ready, name what is missing, and go on when it comes', async () => {
    const [port, collectorPort] = [await anyFreePort(), await anyFreePort()]
    const stages = await run('late', port)
    const collector = launch(['collect', '--port', String(collectorPort), ...cluster])
    children.push(collector)
    let told = ''
    collector.stderr!.setEncoding('utf8').on('data', (text) => {
      told += text
    })
    await stages.waitsFor('KAFKA_UNAVAILABLE')
    expect((await get(port, '/healthz')).status).toBe(200)
    const unready = await get(port, '/readyz')
    expect([unready.status, await unready.json()]).toEqual([
      503,
      { status: 'not ready', reasons: [expect.stringMatching(/^waiting: cannot connect to Kafka: /)] },
    ])
    await vi.waitUntil(() => told.startsWith('millrace: waiting: cannot connect to Kafka: '), { timeout: 60_000 })
    expect((await get(collectorPort, '/healthz')).status).toBe(200)
    expect((await get(collectorPort, '/readyz')).status).toBe(503)
    expect((await get(collectorPort, '/i?e=pv&p=web&duid=a')).status).toBe(503)

    await kafka.start()
    await stages.waitsFor('REGISTRY_UNAVAILABLE')
    expect((await get(port, '/readyz')).status).toBe(503)

    await registry.start()
    await vi.waitUntil(async () => (await get(port, '/readyz')).status === 200, { timeout: 60_000, interval: 200 })
    await vi.waitUntil(async () => (await get(collectorPort, '/readyz')).status === 200, { timeout: 60_000 })
    expect((await get(collectorPort, '/i?e=pv&p=web&duid=a')).status).toBe(200)
    stages.child.kill('SIGTERM')
    collector.kill('SIGTERM')
    expect(await Promise.all([ended(stages.child), ended(collector)])).toEqual([0, 0])
  }, 180_000)

  test('SIGTERM ends the waiting', async () => {
    await Promise.all([kafka.stop(), registry.stop()])
    const stages = await run('ended', await anyFreePort())
    await stages.waitsFor('KAFKA_UNAVAILABLE')
    stages.child.kill('SIGTERM')
    expect(await ended(stages.child)).toBe(0)
  }, 60_000)
})

test('wrong settings are not waited for', async () => {
  const folder = await temporaryFolder()
  const start = (brokers: string, registry: string) =>
    millrace(['run', '--all', '--port', '0', '--data', folder.path, '--brokers', brokers, '--registry', registry])
  expect(await start('kafka', 'http://127.0.0.1:1')).toMatchObject({
    status: 2,
    stderr: 'millrace: brokers: kafka is no host:port\n',
  })
  expect(await start('127.0.0.1:1', 'registry')).toMatchObject({
    status: 2,
    stderr: "millrace: the schema registry's address registry is no http(s) URL\n",
  })
  await folder.remove()
}, 60_000)
