/** For the tests of connectors: activations, a log that holds them, and a clock that is moved by waiting. */
import { Codec } from '../runtime/codec.ts'
import { MemoryLog } from '../runtime/memory/log.ts'
import { LocalRegistry } from '../runtime/registry.ts'
import type { Activation } from '../schemas/avro/types.ts'
import type { Delivery } from './connector.ts'
import type { Clock } from './runner.ts'

export const topic = { name: 'connect.tool', partitions: 2, cleanup: 'delete', retentionMs: null } as const

export function activation(n: number): Activation {
  return {
    op: 'add',
    tenant: 'shop',
    destinationId: 'tool',
    segmentId: 'high_value',
    profileId: `p${n}`,
    previousProfileId: null,
    identifiers: [{ type: 'email', value: `p${n}@example.com` }],
    traits: { orders: n },
    idempotencyKey: `key-${n}`,
    effectiveAtMs: 1_700_000_000_000 + n,
    reason: 'event',
    collectorTstampMs: null,
  }
}

export function deliveries(first: number, last: number, partition = 0): Delivery[] {
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    partition,
    offset: first + i,
    activation: activation(first + i),
  }))
}

export async function logWith(perPartition: readonly number[]): Promise<{ log: MemoryLog; codec: Codec }> {
  const log = new MemoryLog()
  const codec = new Codec(await LocalRegistry.open(log))
  await log.createTopics([{ ...topic, partitions: perPartition.length }])
  for (const [partition, count] of perPartition.entries()) await appendTo(log, codec, partition, 0, count)
  return { log, codec }
}

/** Appends activations first..first+count-1 to a partition of `connect.tool`. */
export async function appendTo(
  log: MemoryLog,
  codec: Codec,
  partition: number,
  first: number,
  count: number,
): Promise<void> {
  await log.append(
    Array.from({ length: count }, (_, i) => ({
      topic: topic.name,
      partition,
      kind: 'activation',
      key: `shop/p${first + i}`,
      value: codec.encode('Activation', activation(first + i)),
      timestampMs: first + i,
    })),
  )
}

/** Waiting takes no time, but is noted and moves the clock. */
export function jumpingClock(): Clock & { readonly waitsMs: number[] } {
  let nowMs = 1_700_000_000_000
  const waitsMs: number[] = []
  return {
    waitsMs,
    now: () => nowMs,
    async sleep(ms, signal) {
      if (signal.aborted) return
      waitsMs.push(ms)
      nowMs += ms
      await new Promise(setImmediate)
    },
  }
}
