/** What every connector owes the runner, whatever its destination. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Connector } from './connector.ts'
import { createConnector } from './index.ts'
import { deliveries } from './testing.ts'

/** A destination that tells what it got: the idempotency keys in order, what it knows to be a repetition left out. */
type Bench = { readonly make: () => Connector; readonly keys: () => string[]; readonly end: () => void }

const definition = { id: 'tool', description: '', segments: [], purposes: [], identifiers: [], traits: [] }

async function fileBench(): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-contract-'))
  return {
    make: () => createConnector({ ...definition, type: 'file', settings: {} }, { folder, env: {} }),
    keys: () =>
      readFileSync(join(folder, 'tool', '0.ndjson'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).idempotencyKey),
    end: () => rmSync(folder, { recursive: true }),
  }
}

async function webhookBench(): Promise<Bench> {
  const keys = new Set<string>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    for (const { idempotencyKey } of JSON.parse(body)) keys.add(idempotencyKey)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const settings = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secret: { env: 'SECRET' },
    allowLoopback: true,
  }
  const env = { SECRET: `whsec_${Buffer.alloc(24, 1).toString('base64')}` }
  return {
    make: () => createConnector({ ...definition, type: 'webhook', settings }, { folder: '/nowhere', env }),
    keys: () => [...keys],
    end: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe.each([
  ['file', fileBench],
  ['webhook', webhookBench],
])('the %s connector', (_, open) => {
  test('has the id of its destination, and takes at least one row a call', async () => {
    const bench = await open()
    const connector = bench.make()
    expect(connector.id).toBe('tool')
    expect(connector.batchMax).toBeGreaterThanOrEqual(1)
    await connector.close()
    bench.end()
  })

  test('brings batches in order, and a batch that comes again after a crash changes nothing', async () => {
    const bench = await open()
    const first = bench.make()
    await first.deliver(deliveries(0, 3))
    await first.deliver(deliveries(4, 6))
    await first.close()
    const second = bench.make()
    await second.deliver(deliveries(4, 6))
    await second.deliver(deliveries(7, 7))
    await second.close()
    expect(bench.keys()).toEqual(Array.from({ length: 8 }, (_, n) => `key-${n}`))
    bench.end()
  })

  test('refuses settings it does not know', async () => {
    const bench = await open()
    bench.end()
    const type = open === fileBench ? 'file' : 'webhook'
    const make = () =>
      createConnector({ ...definition, type, settings: { colour: 'red' } }, { folder: '/nowhere', env: {} })
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})
