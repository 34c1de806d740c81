import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantError } from '../runtime/errors.ts'
import type { MemoryLog } from '../runtime/memory/log.ts'
import { type Connector, type Delivery, DeliveryError } from './connector.ts'
import { positionsTopic } from './positions.ts'
import { ConnectorRunner, type ConnectorRunnerParts } from './runner.ts'
import { appendTo, jumpingClock, logWith, topic } from './testing.ts'

/** A destination that does what a test says, and keeps what it took. */
function destination(answer: (batch: readonly Delivery[], call: number) => void = () => {}, batchMax = 4) {
  const taken: Delivery[] = []
  const calls: number[][] = []
  const connector: Connector = {
    id: 'tool',
    batchMax,
    async deliver(batch) {
      calls.push(batch.map(({ offset }) => offset))
      try {
        answer(batch, calls.length)
      } catch (error) {
        if (error instanceof DeliveryError && error.failure === 'partial') {
          taken.push(...batch.filter((_, place) => !error.refused.includes(place)))
        }
        throw error
      }
      taken.push(...batch)
    },
    async close() {},
  }
  return {
    connector,
    taken,
    calls,
    offsets: (partition: number) => taken.filter((d) => d.partition === partition).map((d) => d.offset),
  }
}

async function runnerOf(
  perPartition: readonly number[],
  connector: Connector,
  parts: Partial<ConnectorRunnerParts> = {},
) {
  const { log, codec } = await logWith(perPartition)
  const clock = jumpingClock()
  const all: ConnectorRunnerParts = { log, codec, connector, topic, clock, random: () => 0.5, ...parts }
  return { log, codec, clock, parts: all, runner: await ConnectorRunner.start(all) }
}

const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i)
const deadOffsets = (log: MemoryLog, partition: number) => log.records('connect.tool.dead', partition).length

describe('delivering', () => {
  test('brings every partition in order and in batches, and counts', async () => {
    const tool = destination()
    const { runner } = await runnerOf([10, 3], tool.connector)
    await runner.drain()
    expect(tool.calls).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
      [0, 1, 2],
    ])
    expect(tool.offsets(0)).toEqual(range(10))
    expect(runner.status).toEqual({
      state: 'idle',
      breaker: 'closed',
      reason: null,
      delivered: 13,
      dead: 0,
      retries: 0,
    })
  })

  test('a second runner continues where the first was, and goes on counting', async () => {
    const tool = destination()
    const { runner, log, codec, parts } = await runnerOf([5, 0], tool.connector)
    await runner.drain()
    await appendTo(log, codec, 0, 5, 2)
    const next = await ConnectorRunner.start(parts)
    await next.drain()
    expect(tool.offsets(0)).toEqual(range(7))
    expect(next.status.delivered).toBe(7)
  })

  test('a crash between delivery and position delivers that batch again, and counts it once', async () => {
    const tool = destination()
    const { log, parts } = await runnerOf([6, 0], tool.connector)
    const first = await ConnectorRunner.start(parts)
    const writer = log.writer.bind(log)
    log.writer = async (id) => ({
      ...(await writer(id)),
      commit: async () => {
        throw new Error('killed')
      },
    })
    await expect(first.drain()).rejects.toThrow('killed')
    log.writer = writer
    const second = await ConnectorRunner.start(parts)
    await second.drain()
    expect(tool.offsets(0)).toEqual([...range(4), ...range(6)])
    expect(second.status.delivered).toBe(6)
  })

  test('while it runs, it delivers what arrives, until it is stopped', async () => {
    const tool = destination()
    const { runner, log, codec } = await runnerOf([1, 1], tool.connector)
    runner.run()
    expect(runner.status.state).toBe('running')
    await appendTo(log, codec, 1, 1, 3)
    await until(() => tool.taken.length === 5)
    await runner.stop()
    expect(runner.status).toMatchObject({ state: 'idle', delivered: 5 })
    await appendTo(log, codec, 1, 4, 1)
    await new Promise(setImmediate)
    expect(tool.taken).toHaveLength(5)
    await runner.drain()
    expect(tool.offsets(1)).toEqual(range(5))
  })
})

describe('failures', () => {
  test('transient ones are retried with growing, jittered waits', async () => {
    const tool = destination((_, call) => {
      if (call < 5) throw new DeliveryError('transient', 'hiccup')
    })
    const { runner, clock } = await runnerOf([1, 0], tool.connector, { limits: { baseMs: 100, capMs: 300 } })
    await runner.drain()
    expect(clock.waitsMs).toEqual([50, 100, 150, 150])
    expect(runner.status).toMatchObject({ delivered: 1, retries: 4, breaker: 'closed' })
  })

  test('it comes back no sooner than the destination asked, in any partition', async () => {
    const tool = destination((_, call) => {
      if (call === 1) throw new DeliveryError('throttle', 'slow down', { retryAfterMs: 7_000 })
    })
    const { runner, clock } = await runnerOf([1, 1], tool.connector)
    const startMs = clock.now()
    await runner.drain()
    expect(clock.now() - startMs).toBe(7_000)
  })

  test('an unknown error is transient; nothing is lost', async () => {
    const tool = destination((_, call) => {
      if (call === 1) throw new Error('ENOSPC')
    })
    const { runner } = await runnerOf([2, 0], tool.connector)
    await runner.drain()
    expect(tool.offsets(0)).toEqual([0, 1])
  })

  test('after many failures in a row the breaker lets one call through in each cooling time', async () => {
    const tool = destination((_, call) => {
      if (call <= 5) throw new DeliveryError('transient', 'down')
    })
    const { runner, clock } = await runnerOf([1, 0], tool.connector, {
      limits: { failuresMax: 2, coolMs: 10_000, baseMs: 1, capMs: 1 },
    })
    const startMs = clock.now()
    await runner.drain()
    expect(tool.calls).toHaveLength(6)
    expect(clock.now() - startMs).toBeGreaterThanOrEqual(4 * 10_000)
    expect(runner.status.breaker).toBe('closed')
  })

  test('while it will not have us, the partition waits, and the status says why', async () => {
    let barred = true
    const tool = destination(() => {
      if (barred) throw new DeliveryError('auth', 'it answered 401')
    })
    const { runner } = await runnerOf([3, 0], tool.connector)
    const enough = new AbortController()
    const draining = runner.drain(enough.signal)
    await until(() => tool.calls.length === 3)
    expect(runner.status).toMatchObject({ reason: 'it answered 401', delivered: 0 })
    enough.abort()
    expect(await draining).toBe(false)
    expect(runner.status).toMatchObject({ delivered: 0, dead: 0 })
    barred = false
    expect(await runner.drain()).toBe(true)
    expect(runner.status).toMatchObject({ delivered: 3, reason: null })
  })

  test('a row that is refused for good is bisected out and dead-lettered, byte for byte; the rest is delivered in order', async () => {
    const tool = destination((batch) => {
      if (batch.some(({ offset }) => offset === 5)) throw new DeliveryError('permanent', 'it answered 400: bad e-mail')
    }, 8)
    const { runner, log, codec } = await runnerOf([8, 0], tool.connector)
    await runner.drain()
    expect(tool.offsets(0)).toEqual([0, 1, 2, 3, 4, 6, 7])
    expect(runner.status).toMatchObject({ delivered: 7, dead: 1, retries: 0 })
    const [letter] = log.records('connect.tool.dead', 0)
    const source = log.records('connect.tool', 0)[5]!
    expect(letter).toMatchObject({ kind: 'dead', key: 'shop/p5' })
    expect(codec.decode('DeadLetter', letter!.value!)).toEqual({
      stage: 'tool',
      topic: 'connect.tool',
      partition: 0,
      offset: 5,
      kind: 'activation',
      logTimeMs: 5,
      key: 'shop/p5',
      value: source.value,
      timer: null,
      code: 'DELIVERY_FAILED',
      message: 'it answered 400: bad e-mail',
    })
  })

  test('rows that it names are dead-lettered without another call', async () => {
    const tool = destination((batch) => {
      if (batch[0]!.offset === 0) throw new DeliveryError('partial', 'two rows are wrong', { refused: [1, 3] })
    })
    const { runner, log } = await runnerOf([6, 0], tool.connector)
    await runner.drain()
    expect(tool.calls).toHaveLength(2)
    expect(tool.offsets(0)).toEqual([0, 2, 4, 5])
    expect(deadOffsets(log, 0)).toBe(2)
  })

  test('when it is gone, or a belief of ours is broken, all partitions stop where they are', async () => {
    for (const error of [new DeliveryError('gone', 'it answered 410'), new InvariantError('broken invariant: x')]) {
      const tool = destination(() => {
        throw error
      })
      const { runner, log } = await runnerOf([1, 1], tool.connector)
      runner.run()
      await until(() => runner.status.state === 'disabled')
      await runner.stop()
      expect(runner.status).toMatchObject({ state: 'disabled', delivered: 0, dead: 0 })
      expect(log.records(positionsTopic.name, 0)).toEqual([])
      await expect(runner.drain()).rejects.toMatchObject({
        code: 'DELIVERY_FAILED',
        message: expect.stringContaining(error.message),
      })
    }
  })

  test('when every row is refused it is not the rows: it stops after a bound', async () => {
    const tool = destination(() => {
      throw new DeliveryError('permanent', 'no such audience')
    })
    const { runner, log } = await runnerOf([100, 0], tool.connector, { limits: { refusedInARowMax: 8 } })
    await expect(runner.drain()).rejects.toMatchObject({ code: 'DELIVERY_FAILED' })
    expect(deadOffsets(log, 0)).toBe(8)
    expect(runner.status.dead).toBe(8)
  })
})

test('whatever the destination answers, each row is taken or dead, in order, and none is both', async () => {
  const answers = fc.constantFrom(
    'ok',
    'transient',
    'throttle',
    'auth',
    'permanent',
    'partial',
    'crash',
  ) as fc.Arbitrary<'ok' | 'transient' | 'throttle' | 'auth' | 'permanent' | 'partial' | 'crash'>
  await fc.assert(
    fc.asyncProperty(
      fc.array(answers, { maxLength: 40 }),
      fc.array(fc.nat(29), { maxLength: 6 }),
      async (script, poison) => {
        const tool = destination((batch, call) => {
          const answer = script[call - 1] ?? 'ok'
          const bad = range(batch.length).filter((place) => poison.includes(batch[place]!.offset))
          if (answer === 'crash') throw new Error('crash')
          if (answer === 'transient' || answer === 'throttle' || answer === 'auth')
            throw new DeliveryError(answer, answer)
          if (bad.length === 0) return
          throw answer === 'partial'
            ? new DeliveryError('partial', 'some', { refused: bad })
            : new DeliveryError('permanent', 'one of them')
        })
        const { runner, log } = await runnerOf([30, 0], tool.connector)
        await runner.drain()
        const dead = new Set(poison)
        expect(tool.offsets(0)).toEqual(range(30).filter((offset) => !dead.has(offset)))
        expect(deadOffsets(log, 0)).toBe(dead.size)
        expect(runner.status).toMatchObject({ delivered: 30 - dead.size, dead: dead.size })
      },
    ),
    { numRuns: 100 },
  )
})

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 10_000) throw new Error('it never came to that')
    await new Promise(setImmediate)
  }
}
