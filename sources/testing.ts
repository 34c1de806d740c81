/** An origin for tests of sources. */
import { noRequest, type Origin } from './raw-event.ts'

export const originOf = (parts: Partial<Origin> = {}): Origin => ({
  tenant: 'shop',
  source: 'test',
  payloadId: 'payload',
  collectorTstampMs: 1_700_000_000_000,
  ...noRequest,
  ...parts,
})
