import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../runtime/errors.ts'
import { createConnector } from '../index.ts'
import { ConnectorRunner } from '../runner.ts'
import { deliveries, jumpingClock, logWith, topic } from '../testing.ts'
import { failureOf } from './answer.ts'
import { guardedLookup, isForbidden, type Resolve } from './guard.ts'
import { parseWebhookSettings } from './settings.ts'
import { secretKey, signatureOf } from './signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const env = { TOOL_SECRET: secret, NEXT_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}` }

type Request = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
})

/** A receiver that keeps what it is sent; `answer` ends the response, or does not. */
async function receiver(answer: (response: ServerResponse, call: number) => void = (response) => response.end('ok')) {
  const requests: Request[] = []
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      })
      answer(response, requests.length)
    })
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { requests, url: `http://127.0.0.1:${port}/hook`, port }
}

const connectorTo = (url: string, settings: Record<string, unknown> = {}) =>
  createConnector(
    {
      id: 'tool',
      description: '',
      type: 'webhook',
      segments: [],
      purposes: [],
      identifiers: [],
      traits: [],
      settings: { url, secret: { env: 'TOOL_SECRET' }, allowLoopback: true, ...settings },
    },
    { folder: '/nowhere', env },
  )

test('signs as Standard Webhooks 1.0.0 does', () => {
  const signed = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1614265330, body: '{"test": 2432232314}' }
  expect(signatureOf([secretKey(secret)!], signed)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

describe('the webhook connector', () => {
  test('posts a batch as an array, signed with every key, under an id that is the same each time', async () => {
    const { requests, url } = await receiver()
    const connector = connectorTo(url, { secret: [{ env: 'TOOL_SECRET' }, { env: 'NEXT_SECRET' }] })
    const batch = deliveries(3, 5)
    await connector.deliver(batch)
    await connector.deliver(batch)
    await connector.deliver(deliveries(3, 4))
    await connector.close()
    const [first, again, other] = requests
    expect(first).toMatchObject({ method: 'POST', url: '/hook' })
    expect(first!.headers['content-type']).toBe('application/json')
    expect(JSON.parse(first!.body)).toEqual(batch.map(({ activation }) => activation))
    const id = String(first!.headers['webhook-id'])
    const timestampS = Number(first!.headers['webhook-timestamp'])
    expect(Math.abs(timestampS - Date.now() / 1000)).toBeLessThan(60)
    const keys = [env.TOOL_SECRET, env.NEXT_SECRET].map((text) => secretKey(text)!)
    expect(first!.headers['webhook-signature']).toBe(signatureOf(keys, { id, timestampS, body: first!.body }))
    expect(again!.headers['webhook-id']).toBe(id)
    expect(other!.headers['webhook-id']).not.toBe(id)
  })

  test('with a batch of 1 each activation is an object of its own, under its idempotency key', async () => {
    const { requests, url } = await receiver()
    const connector = connectorTo(url, { batch: 1 })
    expect(connector.batchMax).toBe(1)
    await connector.deliver(deliveries(3, 3))
    await connector.close()
    expect(requests[0]!.headers['webhook-id']).toBe('key-3')
    expect(JSON.parse(requests[0]!.body)).toMatchObject({ profileId: 'p3', op: 'add' })
  })

  test('an answer that does not come is transient, as are a closed port and a connection that breaks', async () => {
    const { url } = await receiver((response, call) => {
      if (call === 2) response.destroy()
    })
    const connector = connectorTo(url, { timeoutSeconds: 1 })
    await expect(connector.deliver(deliveries(0, 0))).rejects.toMatchObject({
      failure: 'transient',
      message: 'it did not answer within 1 s',
    })
    await expect(connector.deliver(deliveries(0, 0))).rejects.toMatchObject({ failure: 'transient' })
    server!.closeAllConnections()
    await new Promise((resolve) => server!.close(resolve))
    await expect(connector.deliver(deliveries(0, 0))).rejects.toMatchObject({ failure: 'transient' })
    await connector.close()
  })

  test('an answer without an end is cut, and a slow one runs into the timeout', async () => {
    const { url } = await receiver((response, call) => {
      response.writeHead(200)
      if (call === 1) {
        const pour = setInterval(() => response.write('x'.repeat(4096)), 1)
        response.on('close', () => clearInterval(pour))
      } else response.write('x')
    })
    const connector = connectorTo(url, { timeoutSeconds: 1 })
    await connector.deliver(deliveries(0, 0))
    await expect(connector.deliver(deliveries(0, 0))).rejects.toMatchObject({ failure: 'transient' })
    await connector.close()
  })

  test('a redirection is not followed', async () => {
    const { requests, url } = await receiver((response) => response.writeHead(302, { location: '/elsewhere' }).end())
    const connector = connectorTo(url)
    await expect(connector.deliver(deliveries(0, 0))).rejects.toMatchObject({ failure: 'auth' })
    await connector.close()
    expect(requests).toHaveLength(1)
  })

  test('without leave it does not reach this machine, by address or by name', async () => {
    const { requests, port } = await receiver()
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '127.1', '0x7f000001']) {
      const connector = connectorTo(`https://${host}:${port}/`, { allowLoopback: false })
      await expect(connector.deliver(deliveries(0, 0)), host).rejects.toMatchObject({
        failure: 'auth',
        message: expect.stringContaining('not a public address'),
      })
      await connector.close()
    }
    expect(requests).toEqual([])
  })

  test('in the runner: a throttled batch comes again, a bad row is bisected out, 410 ends it', async () => {
    const { requests, url } = await receiver((response, call) => {
      const { body } = requests.at(-1)!
      if (call === 1) response.writeHead(429, { 'retry-after': '3' }).end()
      else if (body.includes('"p6"')) response.writeHead(422).end('p6 has no e-mail')
      else if (body.includes('"p9"')) response.writeHead(410).end()
      else response.end()
    })
    const { log, codec } = await logWith([8, 0])
    const clock = jumpingClock()
    const runner = await ConnectorRunner.start({ log, codec, connector: connectorTo(url, { batch: 4 }), topic, clock })
    await runner.drain()
    expect(runner.status).toMatchObject({ delivered: 7, dead: 1, retries: 1 })
    expect(clock.waitsMs[0]).toBe(3_000)
    expect(requests[0]!.headers['webhook-id']).toBe(requests[1]!.headers['webhook-id'])
    const [letter] = log.records('connect.tool.dead', 0)
    expect(codec.decode('DeadLetter', letter!.value!)).toMatchObject({
      offset: 6,
      message: 'it answered 422: p6 has no e-mail',
    })

    await log.append([
      {
        ...log.records('connect.tool', 0)[0]!,
        topic: 'connect.tool',
        partition: 1,
        value: codec.encode('Activation', deliveries(9, 9)[0]!.activation),
      },
    ])
    await expect(runner.drain()).rejects.toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(runner.status.state).toBe('disabled')
    await runner.close()
  })
})

test.each([
  [200, null],
  [204, null],
  [301, 'auth'],
  [304, 'auth'],
  [400, 'permanent'],
  [401, 'auth'],
  [403, 'auth'],
  [404, 'auth'],
  [408, 'transient'],
  [410, 'gone'],
  [413, 'permanent'],
  [422, 'permanent'],
  [425, 'transient'],
  [429, 'throttle'],
  [500, 'transient'],
  [502, 'throttle'],
  [503, 'throttle'],
  [504, 'throttle'],
])('an answer %i is %s', (status, failure) => {
  expect(failureOf({ status, retryAfter: undefined, text: '' }, 0)?.failure ?? null).toBe(failure)
})

test.each([
  ['120', 120_000],
  ['0', 0],
  ['999999999999', 3_600_000],
  ['Tue, 14 Nov 2023 22:13:30 GMT', 10_000],
  ['Tue, 14 Nov 2023 22:13:10 GMT', 0],
  ['soon', null],
])('Retry-After: %s', (retryAfter, ms) => {
  expect(failureOf({ status: 429, retryAfter, text: '' }, 1_700_000_000_000)?.retryAfterMs).toBe(ms)
})

describe('addresses', () => {
  test.each([
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    'fd00::1',
    'fe80::1',
    '::ffff:10.0.0.1',
    '::',
    '64:ff9b::a00:1',
    '2002:a00:1::',
  ])('%s is inside, with leave for loopback or without', (address) => {
    expect(isForbidden(address, false)).toBe(true)
    expect(isForbidden(address, true)).toBe(true)
  })

  test.each(['93.184.216.34', '172.32.0.1', '2606:4700::1111', '::ffff:93.184.216.34'])('%s is outside', (address) => {
    expect(isForbidden(address, false)).toBe(false)
  })

  test('leave is for loopback alone', () => {
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
      expect(isForbidden(address, true)).toBe(false)
      expect(isForbidden(address, false)).toBe(true)
    }
  })

  test('a name with one inner address among outer ones is refused', async () => {
    const resolveTo =
      (...addresses: string[]): Resolve =>
      (_, __, callback) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: 4 })),
        )
    const look = (resolve: Resolve, all: boolean) =>
      new Promise<unknown>((done) =>
        guardedLookup(false, resolve)('tool.example.com', { all }, (error, address) => done(error ?? address)),
      )
    expect(await look(resolveTo('93.184.216.34', '10.0.0.1'), false)).toMatchObject({ failure: 'auth' })
    expect(await look(resolveTo('93.184.216.34'), false)).toBe('93.184.216.34')
    expect(await look(resolveTo('93.184.216.34'), true)).toEqual([{ address: '93.184.216.34', family: 4 }])
    expect(await look(resolveTo(), false)).toMatchObject({ failure: 'transient' })
  })
})

describe('settings', () => {
  const good = { url: 'https://tool.example.com/hook', secret: { env: 'TOOL_SECRET' } }

  test('have defaults', () => {
    expect(parseWebhookSettings('tool', good, env)).toMatchObject({
      batch: 100,
      timeoutMs: 20_000,
      allowLoopback: false,
    })
  })

  test.each([
    ['no url', { ...good, url: undefined }, 'settings.url'],
    ['another protocol', { ...good, url: 'ftp://tool.example.com' }, 'settings.url'],
    ['no TLS', { ...good, url: 'http://tool.example.com' }, 'settings.url: https is required'],
    [
      'no TLS beyond this machine',
      { ...good, url: 'http://tool.example.com', allowLoopback: true },
      'https is required',
    ],
    ['credentials', { ...good, url: 'https://me:hush@tool.example.com' }, 'settings.url'],
    ['a literal secret', { ...good, secret }, 'settings.secret'],
    ['a secret that is not set', { ...good, secret: { env: 'OTHER' } }, 'OTHER is not set'],
    ['a secret of another kind', { ...good, secret: { env: 'SHORT' } }, 'SHORT does not hold'],
    ['a batch of none', { ...good, batch: 0 }, 'settings.batch'],
    ['an unknown setting', { ...good, retries: 3 }, 'retries'],
  ])('refuse %s', (_, settings, message) => {
    const parse = () => parseWebhookSettings('tool', settings, { ...env, SHORT: 'whsec_c2hvcnQ=' })
    expect(parse).toThrow(MillraceError)
    expect(parse).toThrow(message)
    expect(parse).not.toThrow(/hush|MfKQ9|c2hvcnQ/)
  })
})
