/** One simulated run of a scaled-out topology: the toy of the simulator, over a fleet of processes. */
import { Codec, fixedSchemaIds } from '../../runtime/codec.ts'
import { partitionOf } from '../../runtime/partitioner.ts'
import { Random } from '../../runtime/random.ts'
import { type FleetRun, simulateFleet } from '../../runtime/simulator/fleet.ts'
import { alias, toyTopology } from '../../runtime/simulator/toy.ts'

/** Runs a seed twice: a trace that differs says that something besides the seed has a say. */
export async function simulateFleetTwice(seed: number): Promise<FleetRun & { readonly repeatable: boolean }> {
  const first = await simulateFleetOnce(seed)
  const second = await simulateFleetOnce(seed)
  return { ...first, repeatable: first.trace === second.trace }
}

export function simulateFleetOnce(seed: number): Promise<FleetRun> {
  const codec = new Codec(fixedSchemaIds())
  const shape = new Random('shape', seed)
  const partitions = { first: shape.between(1, 4), second: shape.between(1, 3) }
  let sent = 0
  return simulateFleet({
    seed,
    topology: toyTopology(partitions),
    codec,
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    input: (random) => {
      const key = `${random.pick(['a', 'b'])}/k${random.below(12)}`
      const into = random.chance(0.03) ? random.pick(['fails early', 'fails late']) : `k${random.below(12)}`
      const value = codec.encode('IdentityAlias', alias(key, into, sent++))
      return {
        topic: 'in',
        partition: partitionOf(key, partitions.first),
        kind: 'event',
        key,
        value,
        timestampMs: Number.NaN,
      }
    },
  })
}
