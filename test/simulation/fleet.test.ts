import { expect, test } from 'vitest'
import { simulateFleetTwice } from './fleet.ts'

// A short cut of `npm run simulate -- --seeds 200 --world fleet`. Seeds that once found a bug stay here.
test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('a fleet comes out as the fold says, twice alike: seed %i', async (seed) => {
  const { safety, liveness, repeatable } = await simulateFleetTwice(seed)
  expect({ safety, liveness, repeatable }).toEqual({ safety: [], liveness: [], repeatable: true })
})
