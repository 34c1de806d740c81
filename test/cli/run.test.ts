/** The stages as processes on a real broker and registry, as README says: topics apply, run, ingest, and what comes out. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { generateTraffic } from '../../sources/traffic/traffic.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { launch, millrace, millraceJson, temporaryFolder } from './millrace.ts'

const brokers = (await kafkaForTests())!
const url = (await registryForTests())!
const tenantKey = 'a tenant key of the tests'
const dayMs = 24 * 3600 * 1000

describe.skipIf(!brokers || !url)('on a cluster', () => {
  const prefix = `run-test-${randomUUID().slice(0, 8)}.`
  let cluster: readonly string[]
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
    cluster = ['--brokers', brokers.join(','), '--registry', url, '--prefix', prefix]
    process.env['MILLRACE_TENANT_KEY'] = tenantKey
    return async () => {
      delete process.env['MILLRACE_TENANT_KEY']
    }
  })
  afterAll(() => folder.remove())

  async function run(name: string) {
    const child = launch(['run', '--all', '--port', '0', '--data', join(folder.path, name), ...cluster])
    const lines: Record<string, unknown>[] = []
    createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line)))
    await vi.waitUntil(() => lines.some(({ msg }) => msg === 'started'), { timeout: 30_000 })
    const base = `http://127.0.0.1:${lines.find(({ msg }) => msg === 'started')!['port']}`
    const ask = async (path: string) => (await fetch(base + path)).text()
    const metric = async (metricName: string) =>
      [...(await ask('/metrics')).matchAll(new RegExp(`^millrace_${metricName}\\{.*\\} (\\d+)`, 'gm'))].map(
        ([, value]) => Number(value),
      )
    const end = async () => {
      child.kill('SIGTERM')
      const [status] = await once(child, 'exit')
      return { status, clean: lines.at(-1)?.['clean'] }
    }
    return { ask, metric, end }
  }

  /** By id, in the order of each segment and profile; those that took effect before an instant. */
  const transitionsOf = async (untilMs: number, ...place: readonly string[]): Promise<ReadonlyMap<string, unknown>> => {
    const { stdout } = await millrace(['dump', 'segments.memberships', '--json', ...place])
    const values = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).value]))
    return new Map(values.filter((value) => value.effectiveAtMs < untilMs).map((value) => [value.id, value]))
  }

  test('a history gives the transitions it gives in a folder; SIGTERM drains; another key is turned away', async () => {
    const startedMs = Date.now()
    const early = await millrace(['run', '--all', '--port', '0', '--data', join(folder.path, 'early'), ...cluster])
    expect(early).toMatchObject({ status: 1, stderr: expect.stringContaining('millrace topics apply') })
    await millraceJson(['topics', 'apply', ...cluster])

    const stages = await run('one')
    await vi.waitUntil(async () => (await stages.ask('/readyz')).includes('"ready"'), {
      timeout: 30_000,
      interval: 200,
    })
    expect(await stages.ask('/healthz')).toBe('{"status":"ok"}')

    // Visitors log in, come with second devices and share them: GRAPH decides between clients, in the order in which they
    // reach it.
    const file = join(folder.path, 'history.tp2')
    const startMs = Date.now() - 25 * dayMs
    const traffic = generateTraffic({ seed: 3, events: 6000, visitors: 800, tenant: 'retail', startMs, days: 20 })
    const bodies = [...traffic].map(({ raw }) => raw.body).filter((body) => body !== '')
    await writeFile(file, bodies.join('\n'))
    const history = ['ingest', file, '--format', 'tp2', '--history']
    const embedded = join(folder.path, 'embedded')
    await mkdir(embedded)
    await writeFile(join(embedded, 'tenant.key'), tenantKey)
    const expected = await millraceJson([...history, '--data', embedded])
    expect(expected['merges']).toBeGreaterThan(20)
    expect(await millraceJson([...history, ...cluster])).toMatchObject({ events: expected['events'], resumedAt: 0 })
    await vi.waitUntil(
      async () => {
        const lags = await stages.metric('consumer_lag_records')
        return lags.length === 8 && lags.every((lag) => lag === 0)
      },
      { timeout: 60_000, interval: 300 },
    )
    expect((await stages.metric('records_bad_total')).reduce((sum, each) => sum + each, 0)).toBe(expected['bad'])
    expect(await stages.metric('records_dead_total')).toEqual([])

    // Until today: then log time goes on with the clock on the wall.
    const [here, there] = await Promise.all([
      transitionsOf(startedMs, '--data', embedded),
      transitionsOf(startedMs, ...cluster),
    ])
    expect(here.size).toBeGreaterThan(4000)
    expect(there).toEqual(here)
    expect(await stages.end()).toEqual({ status: 0, clean: true })

    process.env['MILLRACE_TENANT_KEY'] = 'another key of the tests'
    const foreign = await millrace(['run', '--all', '--port', '0', '--data', join(folder.path, 'foreign'), ...cluster])
    expect(foreign).toMatchObject({ status: 2, stderr: expect.stringContaining('another tenant key') })
  }, 180_000)

  test('without stages, or without a cluster, it says what to do', async () => {
    expect(await millrace(['run'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--all') })
  })
})
