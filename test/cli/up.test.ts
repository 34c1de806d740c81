/** `millrace up`, `parts` and `down`, as a person runs them. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { addressesIn } from '../../deploy/local/addresses.ts'
import { LocalProcess } from '../../deploy/local/process.ts'
import { type Ended, millrace, millraceJson, temporaryFolder } from './millrace.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let data: string
beforeAll(async () => {
  folder = await temporaryFolder()
  data = join(folder.path, 'local')
})
afterAll(async () => {
  if (existsSync(data)) await millrace(['down', '--data', data])
  await folder.remove()
}, 60_000)

const anyPorts = ['--kafka-port', '0', '--registry-port', '0', '--redis-port', '0']
const up = (...args: string[]): Promise<Ended> => millrace(['up', '--with', 'jars', '--data', data, ...args])

/** Loudly: a machine that lacks a program cannot run these; where CI is set it must. */
function lacks({ status, stderr }: Ended): boolean {
  if (status === 0 || process.env['CI'] || !stderr.includes('there is no ')) return false
  console.warn(`SKIPPED: ${stderr}`)
  return true
}

describe('from jars', () => {
  test('up starts all, again changes nothing, brings back what was killed; down stops all and keeps the data', async ({
    skip,
  }) => {
    const first = await up(...anyPorts)
    if (lacks(first)) return skip()
    expect(first).toMatchObject({ status: 0, stderr: expect.stringContaining('kafka: ready') })
    const addresses = Object.fromEntries(
      first.stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')),
    )
    expect(Object.keys(addresses)).toEqual(['KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'REDIS_URL'])
    expect(addressesIn(data)).toEqual(addresses)

    const admin = new Kafka({ brokers: [addresses.KAFKA_BROKERS], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: 'kept' }], waitForLeaders: false })
    await vi.waitFor(() => admin.fetchTopicMetadata({ topics: ['kept'] }), { timeout: 10_000, interval: 100 })
    await admin.disconnect()
    expect((await fetch(`${addresses.SCHEMA_REGISTRY_URL}/subjects`)).status).toBe(200)

    const parts = ['kafka/node-1', 'registry', 'redis'].map((part) => new LocalProcess(join(data, part)))
    const pids = (): unknown[] => parts.map((part) => readFileSync(join(part.folder, 'process.json'), 'utf8'))
    const before = pids()
    const again = await up('--json')
    expect(JSON.parse(again.stdout)).toEqual(addresses)
    expect(again.stderr).toContain('kafka: running')
    expect(pids()).toEqual(before)

    await parts[0]!.kill()
    const state = await millrace(['parts', '--data', data, '--json'])
    expect(state.status).toBe(1)
    expect(JSON.parse(state.stdout)).toMatchObject({
      with: 'jars',
      parts: [{ part: 'kafka', running: false }, { running: true }, { running: true }],
    })
    expect((await up()).stdout).toBe(first.stdout)
    expect(pids().slice(1)).toEqual(before.slice(1))
    await admin.connect()
    expect(await admin.listTopics()).toContain('kept')
    await admin.disconnect()
    expect((await millrace(['parts', '--data', data])).status).toBe(0)

    const other = await up('--kafka', '3.9.1')
    expect(other).toMatchObject({ status: 2, stderr: expect.stringContaining('holds data of Kafka 4.2.0, not 3.9.1') })

    expect((await millrace(['down', '--data', data])).status).toBe(0)
    expect(parts.map(({ running }) => running)).toEqual([false, false, false])
    expect(addressesIn(data)).toEqual({})
    expect(existsSync(join(data, 'kafka', 'node-1', 'data'))).toBe(true)

    expect((await millrace(['down', '--data', data, '--purge'])).status).toBe(0)
    expect(existsSync(join(data, 'kafka'))).toBe(false)
  }, 300_000) // the jars may have to be fetched
})

describe('what cannot be', () => {
  test('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const ended = await up('redis', '--redis-port', String(port))
    server.close()
    expect(ended).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`port ${port}, asked for with --redis-port`),
    })
  })

  test('a machine without Java says what to install', async () => {
    const path = process.env['PATH']
    process.env['PATH'] = folder.path
    const ended = await millrace(['up', '--data', join(folder.path, 'none'), ...anyPorts])
    process.env['PATH'] = path
    expect(ended).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/there is no java \(Debian: .*; macOS: .*\)/),
    })
  })

  test('a folder where nothing was started', async () => {
    for (const command of ['down', 'parts']) {
      const ended = await millrace([command, '--data', join(folder.path, 'nothing')])
      expect(ended).toMatchObject({ status: 1, stderr: expect.stringContaining('nothing was started in') })
    }
  })
})

test('one part alone', async ({ skip }) => {
  const alone = ['--data', join(folder.path, 'alone')]
  const ended = await millrace(['up', 'redis', '--with', 'jars', ...alone, '--redis-port', '0'])
  if (lacks(ended)) return skip()
  expect(ended.stdout).toMatch(/^REDIS_URL=redis:\/\/127\.0\.0\.1:\d+\n$/)
  expect((await millrace(['down', ...alone, '--purge'])).status).toBe(0)
})

test('in Docker: the services of docker-compose.yml, as a project of the folder', async () => {
  // There may be no engine here; what is asked of it can be seen all the same.
  const bin = join(folder.path, 'bin')
  const asked = join(folder.path, 'asked')
  await mkdir(bin)
  const running = join(folder.path, 'running')
  await writeFile(
    join(bin, 'docker'),
    `#!/bin/sh
echo "$KAFKA_VERSION:$KAFKA_PORT:$REGISTRY_PORT:$REDIS_PORT $*" >> ${asked}
case "$*" in
  *" ps "*) cat ${running} 2> /dev/null || true ;;
  *" up "*) printf 'kafka\\nregistry\\nredis\\n' > ${running} ;;
  *" down"*) rm -f ${running} ;;
esac
`,
    { mode: 0o755 },
  )
  const docked = ['--data', join(folder.path, 'docked')]
  const path = process.env['PATH']
  process.env['PATH'] = `${bin}:${path}`
  try {
    const addresses = await millraceJson(['up', ...docked, ...anyPorts, '--kafka', '4.3.0'])
    expect(await millraceJson(['up', ...docked])).toEqual(addresses)
    expect(await millraceJson(['parts', ...docked])).toMatchObject({ with: 'docker', kafkaVersion: '4.3.0' })
    expect((await millrace(['down', ...docked])).status).toBe(0)
    expect((await millrace(['down', ...docked, '--purge'])).status).toBe(0)

    const ports = Object.values(addresses).map((address) => /:(\d+)/.exec(String(address))![1])
    const commands = readFileSync(asked, 'utf8').trim().split('\n')
    const project = (command: string) =>
      expect.stringMatching(
        new RegExp(
          `^4.3.0:${ports.join(':')} compose --file .*docker-compose.yml --project-name millrace-\\w{8} ${command}$`,
        ),
      )
    expect(commands.filter((command) => / (up|down)\b/.test(command))).toEqual([
      project('up --detach --wait kafka registry redis'),
      project('down'),
      project('down --volumes'),
    ])
  } finally {
    process.env['PATH'] = path
  }
})
