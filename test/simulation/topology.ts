/** One simulated run of the production topology: the retail workspace, two tenants, a seed. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { applyDefinitions } from '../../runtime/definitions.ts'
import type { DrivenRecord } from '../../runtime/driver.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import { Random } from '../../runtime/random.ts'
import type { AddressedRecord } from '../../runtime/record.ts'
import { type Marks, simulate, someFaults } from '../../runtime/simulator/simulator.ts'
import { allTopics } from '../../runtime/topology.ts'
import type { Definition, Handover, IdentifiedEvent, MembershipTransition } from '../../schemas/avro/types.ts'
import type { Definitions } from '../../schemas/definitions.ts'
import { generateTraffic, type TrafficItem } from '../../sources/traffic/traffic.ts'
import { customerData, type Partitions } from '../../topologies/customer-data.ts'
import { definitionsFrom, manifestOf } from '../../workspace/manifest.ts'
import { loadWorkspace } from '../../workspace/workspace.ts'
import { checkOutcome } from './oracle.ts'
import { tangle } from './tangle.ts'

const dayMs = 24 * 3600 * 1000
const startMs = Date.UTC(2026, 0, 5)
const retail = fileURLToPath(new URL('../../examples/retail', import.meta.url))

export const tenantKeyOf = (tenant: string): Uint8Array => createHash('sha256').update(`simulated ${tenant}`).digest()

export const assembleDefinitions = (manifest: Definition, bodies: readonly Definition[]) =>
  definitionsFrom([manifest, ...bodies], tenantKeyOf(manifest.tenant))

/** How often what is rare in identity came about, beside what is rare in the runtime. */
export type DomainMarks = Record<'merged' | 'refused' | 'forwardedEvent' | 'forwardedHandover' | 'lateFlip', number>

export type SimulatedRun = {
  readonly differences: readonly string[]
  readonly marks: Marks & DomainMarks
  readonly counters: ReadonlyMap<string, number>
}

/** Runs a seed to its end and compares it with both oracles: the fold of the inboxes, and brute force over the events. */
export async function simulateTopology(seed: number, eventsPerTenant = 90): Promise<SimulatedRun> {
  const random = new Random('topology', seed)
  const workspace = await loadWorkspace(retail)
  const tenants = ['north', 'south']
  const partitions: Partitions = {
    identify: random.between(1, 3),
    graph: random.between(1, 2),
    profile: random.between(1, 3),
  }
  const topology = customerData(
    workspace.destinations.map(({ id }) => id),
    partitions,
  )
  const codec = new Codec(fixedSchemaIds())
  const manifests = tenants.map((tenant) => manifestOf({ ...workspace, tenant }))

  const items = tenants.map((tenant, i) => {
    if (random.chance(0.6))
      return tangle({ seed, tenant, startMs, events: eventsPerTenant, minutes: random.pick([10, 300, 60_000]) })
    const visitors = random.between(2, 8)
    return [
      ...generateTraffic({
        seed: seed * 2 + i,
        events: eventsPerTenant,
        visitors,
        tenant,
        startMs,
        days: random.pick([1, 5, 40]),
      }),
    ]
  })
  const { input, endMs } = inputOf(
    items.flat().sort((a, b) => a.logTimeMs - b.logTimeMs),
    codec,
    partitions.identify,
    random,
  )

  const definitionsOf = (tenant: string): Definitions => {
    const [manifest, ...bodies] = manifests[tenants.indexOf(tenant)]!.records
    return assembleDefinitions(manifest!, bodies)
  }
  const run = await simulate({
    seed,
    topology,
    codec,
    assemble: assembleDefinitions,
    prepare: async (log, reader) => {
      for (const { records } of manifests)
        await applyDefinitions({ topology, log, codec, reader, records, logTimeMs: startMs })
    },
    input,
    faults: someFaults,
  })
  const records = (name: string): DrivenRecord[] => {
    const topic = allTopics(topology).find((declared) => declared.name === name)!
    return Array.from({ length: topic.partitions }, (_, partition) =>
      run.log.records(name, partition).flatMap((record) => {
        const schema = topic.kinds[record.kind]
        return schema ? [{ ...record, partition, value: record.value && codec.decode(schema, record.value) }] : []
      }),
    ).flat()
  }
  const outcome = { records, counters: run.counters, definitionsOf, clockMs: endMs }
  const marks = { ...run.marks, ...marksOf(records, run.counters) }
  return { differences: [...run.differences, ...checkOutcome(outcome)], marks, counters: run.counters }
}

function marksOf(
  records: (topic: string) => readonly DrivenRecord[],
  counters: ReadonlyMap<string, number>,
): DomainMarks {
  const inbox = records('events.identified')
  const transitions = records('segments.memberships').map(({ value }) => value as MembershipTransition)
  const handovers = inbox.filter(({ kind }) => kind === 'handover').map(({ value }) => value as Handover)
  const merged = counters.get('merges') ?? 0
  return {
    merged,
    refused: counters.get('merges.refused') ?? 0,
    forwardedEvent: inbox.filter(({ kind, value }) => kind === 'event' && (value as IdentifiedEvent).hops > 0).length,
    // Each merge gives one hand-over; what is beyond was passed on by a forwarder.
    forwardedHandover: handovers.filter(({ part }) => part === 1).length - merged,
    lateFlip: transitions.filter(({ reason }) => reason === 'late_event').length,
  }
}

/** The items as records of events.raw, with ticks now and then, and a far tick at the end that closes every window. */
function inputOf(
  items: readonly TrafficItem[],
  codec: Codec,
  partitions: number,
  random: Random,
): { input: AddressedRecord[]; endMs: number } {
  const topic = 'events.raw'
  const tick = (clockMs: number): AddressedRecord[] => {
    const value = codec.encode('Tick', { writer: 'source', clockMs })
    return Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      kind: 'tick',
      key: 'source',
      value,
      timestampMs: clockMs,
    }))
  }
  const input: AddressedRecord[] = []
  for (const { raw, key, logTimeMs } of items) {
    input.push({
      topic,
      partition: partitionOf(key, partitions),
      kind: 'event',
      key,
      value: codec.encode('RawEvent', raw),
      timestampMs: logTimeMs,
    })
    if (random.chance(0.05)) input.push(...tick(logTimeMs))
  }
  const endMs = (items.at(-1)?.logTimeMs ?? startMs) + 400 * dayMs
  return { input: [...input, ...tick(endMs)], endMs }
}
