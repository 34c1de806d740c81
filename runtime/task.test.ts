import { expect, test } from 'vitest'
import type { IdentityAlias, SeenEventState } from '../schemas/avro/types.ts'
import { Codec, fixedSchemaIds } from './codec.ts'
import { TestDriver } from './driver.ts'
import { emit, emitLatest, type Inbound, type Operator, put } from './operator.ts'
import { defineTopology } from './topology.ts'

/** Puts, or writes to a compacted topic, as much as the record says. */
const grower: Operator<Inbound<string, IdentityAlias>, SeenEventState, undefined> = {
  name: 'grower',
  state: 'SeenEventState',
  process({ key, value }, { state }) {
    const seen = (state(key)?.atMs ?? 0) + 1
    const large = 'x'.repeat(value.identitySeq)
    if (value.mergedInto === 'row') return [put(key, { fingerprint: large, atMs: seen })]
    const latest = emitLatest('latest', 'event', key, () => {
      if (value.mergedInto === 'throws') throw new Error('cannot be made')
      return { ...value, mergedInto: large }
    })
    return [put(key, { fingerprint: '', atMs: seen }), latest, emit('out', 'event', key, value)]
  },
}

const topic = (name: string, cleanup: 'delete' | 'compact' = 'delete') => ({
  name,
  partitions: 1,
  cleanup,
  retentionMs: null,
  key: 'tenant/key',
  kinds: { event: 'IdentityAlias' } as const,
})

const topology = defineTopology({
  name: 'growing',
  topics: [{ ...topic('in'), source: true }, topic('out'), topic('latest', 'compact')],
  stages: [{ name: 'grow', inbox: 'in', operators: [grower], emits: ['out', 'latest'] }],
})

test.each(['row', 'latest', 'throws'])(
  'the one record whose %s cannot be written dies; its batch goes on',
  async (what) => {
    const driver = await TestDriver.open({
      topology,
      assemble: () => ({ tenant: 'a', version: 0, hash: '' }),
      definitions: [],
      startMs: 1000,
    })
    const record = (profileId: string, mergedInto: string, identitySeq: number) => ({
      key: `a/${profileId}`,
      value: { tenant: 'a', profileId, mergedInto, identitySeq },
    })
    await driver.sendAll('in', 'event', [
      record('k1', 'fine', 10),
      record('k1', what, 300 * 1024),
      record('k2', 'fine', 10),
      record('k3', 'fine', 10),
    ])
    expect(driver.records('out').map(({ key }) => key)).toEqual(['a/k1', 'a/k2', 'a/k3'])
    expect(driver.records('grow.dead').map(({ key }) => key)).toEqual(['a/k1'])
    expect(driver.counters().get('dead')).toBe(1)
    expect(new Set(driver.records('latest').map(({ key }) => key))).toEqual(new Set(['a/k1', 'a/k2', 'a/k3']))
  },
)

test('the codec refuses what is too large', () => {
  const codec = new Codec(fixedSchemaIds())
  const alias = { tenant: 'a', profileId: 'p', mergedInto: 'x'.repeat(300 * 1024), identitySeq: 1 }
  expect(() => codec.encode('IdentityAlias', alias)).toThrow(/exceeds 262144/)
})
