/** An origin for tests of sources. */
import type { Origin } from './raw-event.ts'

export const originOf = (parts: Partial<Origin> = {}): Origin => ({
  tenant: 'shop',
  source: 'test',
  payloadId: 'payload',
  collectorTstampMs: 1_700_000_000_000,
  vendor: null,
  version: null,
  contentType: null,
  hostname: null,
  ipAddress: null,
  userAgent: null,
  refererUri: null,
  networkUserId: null,
  headers: [],
  querystring: null,
  ...parts,
})
