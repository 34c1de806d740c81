/** `millrace deliver` on a real broker: two processes share a destination, one is killed, nothing is missing in the end. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openCluster } from '../../cli/cluster/cluster.ts'
import { activation } from '../../connectors/testing.ts'
import { kafkaForTests, registryForTests } from '../parts.ts'
import { launch, millrace, millraceJson, temporaryFolder } from './millrace.ts'

const brokers = (await kafkaForTests())!
const registryUrl = (await registryForTests())!
const destinationId = 'ad_audience'
const partitions = 3

describe.skipIf(!brokers || !registryUrl)('deliver', () => {
  const prefix = `deliver-test-${randomUUID().slice(0, 8)}.`
  const place = { kind: 'cluster', kafka: { brokers }, registryUrl, prefix } as const
  const cluster = ['--brokers', brokers?.join(','), '--registry', registryUrl, '--prefix', prefix]
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
    await millraceJson(['topics', 'apply', ...cluster])
  }, 60_000)
  afterAll(() => folder.remove())

  async function deliver(name: string) {
    const data = ['--data', join(folder.path, name)]
    const child = launch(['deliver', '--destination', destinationId, '--port', '0', ...data, ...cluster])
    const lines: Record<string, unknown>[] = []
    createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line)))
    await vi.waitUntil(() => lines.some(({ msg }) => msg === 'started'), { timeout: 60_000 })
    const base = `http://127.0.0.1:${lines.find(({ msg }) => msg === 'started')!['port']}`
    const has = () => (lines.findLast(({ msg }) => msg === 'assigned')?.['partitions'] ?? []) as readonly number[]
    const ask = async (path: string): Promise<string> => (await fetch(base + path)).text()
    const end = async (signal: NodeJS.Signals) => {
      const gone = once(child, 'exit')
      child.kill(signal)
      return { status: (await gone)[0] as number | null, clean: lines.at(-1)?.['clean'] }
    }
    return { ask, has, end }
  }

  /** What the files of all processes hold: the keys of each place in the topic, one for each time it was delivered. */
  function delivered(): ReadonlyMap<string, readonly string[]> {
    const keys = new Map<string, string[]>()
    for (const name of readdirSync(folder.path)) {
      const home = join(folder.path, name, 'destinations', destinationId)
      for (const file of existsSync(home) ? readdirSync(home) : []) {
        // A line that a kill has cut off is no line.
        for (const line of readFileSync(join(home, file), 'utf8').split('\n').slice(0, -1)) {
          const { offset, idempotencyKey } = JSON.parse(line)
          const at = `${file}@${offset}`
          keys.set(at, [...(keys.get(at) ?? []), idempotencyKey])
        }
      }
    }
    return keys
  }

  test('two share the partitions; one is killed, and the other brings all to the end; SIGTERM hands over', async () => {
    const { log, codec, close } = await openCluster(place)
    let appended = 0
    let feeding = true
    const fed = (async () => {
      for (; feeding; appended++) {
        const records = Array.from({ length: partitions }, (_, partition) => ({
          topic: `connect.${destinationId}`,
          partition,
          kind: 'activation',
          key: `retail/p${appended}`,
          value: codec.encode('Activation', { ...activation(appended), idempotencyKey: `${partition}-${appended}` }),
          timestampMs: Date.now(),
        }))
        await log.append(records)
        await delay(5)
      }
    })()
    const one = await deliver('one')
    await vi.waitUntil(() => one.has().length === partitions, { timeout: 30_000 })
    const other = await deliver('other')
    await vi.waitUntil(() => one.has().length + other.has().length === partitions && other.has().length > 0, {
      timeout: 30_000,
    })
    expect(await other.ask('/readyz')).toBe('{"status":"ready"}')
    await delay(500)
    await one.end('SIGKILL')
    await vi.waitUntil(() => other.has().length === partitions, { timeout: 60_000 })
    const heir = await deliver('heir')
    await vi.waitUntil(() => heir.has().length > 0, { timeout: 30_000 })
    expect(await other.end('SIGTERM')).toEqual({ status: 0, clean: true })
    await vi.waitUntil(() => heir.has().length === partitions, { timeout: 30_000 })
    feeding = false
    await fed
    await close()

    await vi.waitUntil(() => delivered().size === partitions * appended, { timeout: 60_000, interval: 200 })
    for (const [at, keys] of delivered()) expect(new Set(keys).size, `${at}: ${keys}`).toBe(1)
    const all = [...delivered().values()].map(([key]) => key)
    expect(new Set(all).size).toBe(all.length)
    const page = await heir.ask('/metrics')
    expect(page).toMatch(/^millrace_deliver_delivered_total\{destination="ad_audience"\} [1-9]/m)
    expect(page).toMatch(/^millrace_deliver_lag_records\{destination="ad_audience",partition="0"\} \d/m)
    expect(await heir.end('SIGTERM')).toEqual({ status: 0, clean: true })
  }, 240_000)

  test('a destination that is not there, or lacks its secret, is refused by name', async () => {
    const start = (name: string) =>
      millrace(['deliver', '--destination', name, '--port', '0', '--data', join(folder.path, 'refused'), ...cluster])
    expect(await start('nobody')).toMatchObject({
      status: 2,
      stderr: 'millrace: the workspace has no destination nobody; it has ad_audience, email_tool\n',
    })
    expect(await start('email_tool')).toMatchObject({
      status: 2,
      stderr:
        'millrace: destination email_tool: settings.secret: the environment variable EMAIL_TOOL_SECRET is not set\n',
    })
  })
})
