/** The short form of `npm run test:integrity`: a few thousand events, one fault of each kind that processes have. */
import { describe, expect, test } from 'vitest'
import { ownKafka, registryForTests } from '../parts.ts'
import { killAndReplace, redeploy, stopAndContinue } from './faults.ts'
import { integrity } from './integrity.ts'
import { hasKcat } from './kcat.ts'

const registryUrl = await registryForTests()
const kafka = registryUrl && (await hasKcat()) ? await ownKafka() : undefined

describe.skipIf(!kafka)('the topology on a real broker', () => {
  test('is exact though processes are killed, stopped and redeployed', { timeout: 300_000 }, async () => {
    const outcome = await integrity({
      kafka: kafka!,
      registryUrl: registryUrl!,
      events: 3000,
      seed: 1,
      liveMs: 8000,
      // At the same time, in a stage each.
      faults: ({ deployment }) =>
        Promise.all([
          killAndReplace(deployment, deployment.of('identify')[0]!),
          stopAndContinue(deployment, deployment.of('profile')[1]!),
          redeploy(deployment, 'graph'),
        ]),
    }).finally(() => kafka!.stop())
    expect(outcome.differences).toEqual([])
    expect(outcome.counters.get('raw.events')).toBeGreaterThanOrEqual(3000)
    expect(outcome.counters.get('entered')).toBeGreaterThan(100)
  })
})
