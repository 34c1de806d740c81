import { expect, test } from 'vitest'
import { Codec, fixedSchemaIds } from '../codec.ts'
import { partitionOf } from '../partitioner.ts'
import { Random } from '../random.ts'
import type { AddressedRecord } from '../record.ts'
import { simulate, someFaults } from './simulator.ts'
import { alias, toyTopology } from './toy.ts'

const codec = new Codec(fixedSchemaIds())
const topology = toyTopology({ first: 3, second: 2 })

function inputOf(seed: number): AddressedRecord[] {
  const random = new Random('toy', seed)
  const records: AddressedRecord[] = []
  let clockMs = 1_000_000
  for (let i = 0; i < 150; i++) {
    clockMs += random.below(200)
    const key = `${random.pick(['a', 'b'])}/k${random.below(12)}`
    const into = random.chance(0.03) ? random.pick(['fails early', 'fails late']) : `k${random.below(12)}`
    const value = codec.encode('IdentityAlias', alias(key, into, i))
    records.push({ topic: 'in', partition: partitionOf(key, 3), kind: 'event', key, value, timestampMs: clockMs })
    if (random.chance(0.1)) records.push(...ticks(clockMs))
  }
  return [...records, ...ticks(clockMs + 100_000)]
}

function ticks(clockMs: number): AddressedRecord[] {
  const value = codec.encode('Tick', { writer: 'source', clockMs })
  return [0, 1, 2].map((partition) => ({
    topic: 'in',
    partition,
    kind: 'tick',
    key: 'source',
    value,
    timestampMs: clockMs,
  }))
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'killed anywhere, it ends as the plain fold does: seed %i',
  async (seed) => {
    const { differences, counters } = await simulate({
      seed,
      topology,
      codec,
      assemble: () => ({ tenant: '', version: 0, hash: '' }),
      prepare: async () => undefined,
      input: inputOf(seed),
      faults: someFaults,
    })
    expect(differences).toEqual([])
    expect(counters.get('dead')).toBeGreaterThan(0)
  },
)
