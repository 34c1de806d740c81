/** The generator says how many of its events are bad and how many are duplicates; VALIDATE and IDENTIFY must find the same. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type IdentifyRecord, identify } from '../operators/identify/identify.ts'
import { validate } from '../operators/validate/validate.ts'
import type { BadRow, Event } from '../schemas/avro/types.ts'
import { generateTraffic } from '../sources/traffic/traffic.ts'
import { definitionsFrom, manifestOf } from '../workspace/manifest.ts'
import { loadWorkspace } from '../workspace/workspace.ts'
import { OneOperator } from './one-operator.ts'

test('of generated traffic all bad events are found bad, all duplicates absorbed, and nothing else', async () => {
  const workspace = await loadWorkspace(fileURLToPath(new URL('../examples/retail', import.meta.url)))
  const definitions = definitionsFrom(manifestOf(workspace).records, new Uint8Array(32).fill(7))
  const { tenant } = definitions
  const first = new OneOperator(validate, definitions)
  const second = new OneOperator(identify, definitions)
  const traffic = generateTraffic({ seed: 11, events: 12_000, visitors: 2_000, tenant, startMs: Date.UTC(2026, 0, 1) })

  const badSchemas = new Map<string, number>()
  for (const { key, raw, logTimeMs } of traffic) {
    const clock = { clockMs: logTimeMs, logTimeMs }
    for (const effect of first.deliver({ kind: 'event', key, value: raw }, clock)) {
      if (effect.effect === 'emit') {
        const { schema } = effect.value as BadRow
        badSchemas.set(schema, (badSchemas.get(schema) ?? 0) + 1)
      }
      if (effect.effect !== 'pass') continue
      const record: IdentifyRecord = { kind: 'event', key, value: effect.value as Event }
      second.deliver(record, clock)
    }
  }

  const { expected } = traffic
  const counted = (name: string) => (first.counts.get(name) ?? 0) + (second.counts.get(name) ?? 0)
  expect(counted('raw.events')).toBe(expected.events)
  expect(counted('bad')).toBe(expected.invalid)
  expect(counted('duplicates')).toBe(expected.duplicates)
  expect(counted('accepted')).toBe(expected.valid)
  expect(badSchemas.size).toBeGreaterThanOrEqual(2)
})
