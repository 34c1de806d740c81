/** Which definitions were in force when. */
import type { Codec } from '../../runtime/codec.ts'
import type { Log } from '../../runtime/log.ts'
import { definitionsTopic } from '../../runtime/topology.ts'
import { recordsOf } from '../topics.ts'

export type Manifest = {
  readonly tenant: string
  readonly version: number
  readonly hash: string
  readonly timestampMs: number
}

/** Of each tenant the one in force at an instant of log time: the last one by then, or else its first. */
export async function manifestsOf(
  log: Log,
  codec: Codec,
  atMs: number = Number.POSITIVE_INFINITY,
): Promise<readonly Manifest[]> {
  const found = new Map<string, Manifest>()
  for await (const { value, timestampMs } of recordsOf(log, definitionsTopic, 1)) {
    const { kind, tenant, version, hash } = codec.decode('Definition', value!)
    if (kind === 'manifest' && (timestampMs <= atMs || !found.has(tenant)))
      found.set(tenant, { tenant, version, hash, timestampMs })
  }
  return [...found.values()]
}
