/** The suite is worth what its audit finds: nothing in what is right, and one thing wrong wherever it may be. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { Random } from '../../runtime/random.ts'
import { audit } from './audit.ts'
import { damages } from './damage.ts'
import { auditPartsOf, type World, worldOf } from './world.ts'

const worlds: World[] = []
beforeAll(async () => {
  for (const seed of [1, 2, 3]) worlds.push(await worldOf({ seed, events: 150 }))
}, 60_000)

/** What cannot be decoded may also be found by the audit coming to grief. */
const found = (world: World): Promise<readonly string[]> =>
  audit(auditPartsOf(world)).then(
    ({ differences }) => differences,
    (error) => [String(error)],
  )

test('nothing is wrong with what is right', async () => {
  const counted = new Map<string, number>()
  for (const world of worlds) {
    const { differences, records, rows, counters } = await audit(auditPartsOf(world))
    expect(differences).toEqual([])
    expect(records).toBeGreaterThan(1000)
    expect(rows).toBeGreaterThan(50)
    for (const [name, by] of counters) counted.set(name, (counted.get(name) ?? 0) + by)
  }
  for (const name of ['entered', 'exited', 'merges', 'bad', 'duplicates', 'dead'])
    expect(counted.get(name), name).toBeGreaterThan(0)
})

test.each(Object.entries(damages))('%s', { timeout: 60_000 }, async (_, damage) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const random = new Random('damage', seed)
      expect(await found(damage(random.pick(worlds), random))).not.toEqual([])
    }),
    { numRuns: 6 },
  )
})
