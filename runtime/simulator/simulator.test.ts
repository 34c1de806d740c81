import { expect, test } from 'vitest'
import type { IdentityAlias, SeenEventState } from '../../schemas/avro/types.ts'
import { Codec, fixedSchemaIds } from '../codec.ts'
import { count, emit, emitLatest, type Inbound, type Operator, pass, put, remove, schedule } from '../operator.ts'
import { partitionOf } from '../partitioner.ts'
import { Random } from '../random.ts'
import type { AddressedRecord } from '../record.ts'
import { defineTopology } from '../topology.ts'
import { simulate, someFaults } from './simulator.ts'

// A topology with all that the runtime offers: an operator without state, needs in rounds, timers that set timers,
// a cycle back into the source, a compacted topic, records that fail.

const codec = new Codec(fixedSchemaIds())

const filter: Operator<Inbound<string, IdentityAlias>, never, undefined> = {
  name: 'filter',
  state: null,
  process({ kind, key, value }) {
    if (value.mergedInto === 'fails early') throw new Error('early')
    return [count('seen'), pass(kind, key, value)]
  },
}

const tally: Operator<Inbound, SeenEventState, undefined> = {
  name: 'tally',
  state: 'SeenEventState',
  needs({ kind, value }, known) {
    if (kind !== 'event') return []
    const { tenant, mergedInto } = value as IdentityAlias
    const next = known.state(`${tenant}/${mergedInto}`)?.fingerprint
    return next ? [`${tenant}/${mergedInto}`, `${tenant}/${next}`] : [`${tenant}/${mergedInto}`]
  },
  process({ kind, key, value }, { state, clockMs, offset }) {
    if (kind === 'timer') {
      const { id, atMs } = value as { id: string; atMs: number }
      if (id === 'fails') throw new Error('timer')
      const quiet = emit('mid', 'event', key, alias(key, 'quiet', atMs))
      return id === 'first' ? [quiet, schedule(key, 'second', clockMs + 500)] : [quiet, remove(key)]
    }
    const event = value as IdentityAlias
    if (kind === 'learned') return [put(key, { fingerprint: event.mergedInto, atMs: state(key)?.atMs ?? 0 })]
    if (event.mergedInto === 'fails late') throw new Error('late')
    const other = `${event.tenant}/${event.mergedInto}`
    const seen = (state(key)?.atMs ?? 0) + 1
    return [
      put(key, { fingerprint: event.mergedInto, atMs: seen }),
      put(other, { fingerprint: state(other)?.fingerprint ?? '', atMs: (state(other)?.atMs ?? 0) + 100 }),
      schedule(key, 'first', clockMs + 1000),
      schedule(other, 'fails', event.identitySeq % 3 === 0 ? clockMs + 1500 : null),
      emit('mid', 'event', `${event.tenant}/p${seen % 5}`, alias(key, event.mergedInto, clockMs)),
      emitLatest('latest', 'event', key, () => alias(key, String(offset), seen)),
    ]
  },
}

const echo: Operator<Inbound<string, IdentityAlias>, SeenEventState, undefined> = {
  name: 'echo',
  state: 'SeenEventState',
  process({ kind, key, value }, { state, clockMs }) {
    if (kind === 'timer') return [emit('out', 'event', key, alias(key, 'exit', clockMs)), remove(key)]
    const seen = (state(key)?.atMs ?? 0) + 1
    const learned =
      seen % 4 === 0 ? [emit('in', 'learned', value.profileId, alias(value.profileId, 'x9', clockMs))] : []
    return [
      put(key, { fingerprint: '', atMs: seen }),
      schedule(key, 'quiet', clockMs + 700),
      emit('out', 'event', key, value),
      ...learned,
    ]
  },
}

function alias(key: string, mergedInto: string, identitySeq: number): IdentityAlias {
  return { tenant: key.slice(0, key.indexOf('/')), profileId: key, mergedInto, identitySeq }
}

const topic = (name: string, partitions: number, cleanup: 'delete' | 'compact' = 'delete') => ({
  name,
  partitions,
  cleanup,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { event: 'IdentityAlias', learned: 'IdentityAlias' } as const,
})

const topology = defineTopology({
  name: 'toy',
  topics: [{ ...topic('in', 3), source: true }, topic('mid', 2), topic('out', 2), topic('latest', 2, 'compact')],
  stages: [
    { name: 'first', inbox: 'in', operators: [filter, tally], emits: ['mid', 'latest'] },
    { name: 'second', inbox: 'mid', operators: [echo], emits: ['out', 'in'] },
  ],
})

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
