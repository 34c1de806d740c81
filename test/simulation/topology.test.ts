import { expect, test } from 'vitest'
import { simulateTopology } from './topology.ts'

// A short cut of `npm run simulate -- --seeds 200`. Seeds that once found a bug stay here.
test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
  'the production topology comes out as both oracles say: seed %i',
  async (seed) => {
    const { differences, counters } = await simulateTopology(seed)
    expect(differences).toEqual([])
    expect(counters.get('accepted')).toBeGreaterThan(0)
  },
)
