/** Where a command looks: into a data folder that nothing runs on, or at a cluster. */
import type { Codec } from '../runtime/codec.ts'
import type { KafkaOptions } from '../runtime/kafka/connection.ts'
import type { Log, RootLog } from '../runtime/log.ts'
import type { Generation } from './generation.ts'

export type ClusterPlace = {
  readonly kind: 'cluster'
  readonly kafka: KafkaOptions
  /** Of the schema registry. */
  readonly registryUrl: string
  /** Before the name of every topic and subject. */
  readonly prefix: string
}

export type Place = { readonly kind: 'folder'; readonly dataFolder: string } | ClusterPlace

/** A deployment that is open. */
export type Deployment = {
  /** Beneath all generations. */
  readonly base: RootLog
  /** As the generation in force sees it. */
  readonly log: Log
  readonly codec: Codec
  readonly generation: Generation
}

/** Opens it for the time of `use`. What is of one kind alone is loaded for that kind alone. */
export async function withDeploymentAt<Result>(
  place: Place,
  use: (deployment: Deployment) => Promise<Result>,
): Promise<Result> {
  if (place.kind === 'folder') {
    const { withFolder } = await import('./data.ts')
    return withFolder(place.dataFolder, use)
  }
  const { openCluster } = await import('./cluster/cluster.ts')
  const cluster = await openCluster(place)
  try {
    return await use(cluster)
  } finally {
    await cluster.close()
  }
}

export function withLogAt<Result>(place: Place, use: (log: Log, codec: Codec) => Promise<Result>): Promise<Result> {
  return withDeploymentAt(place, ({ log, codec }) => use(log, codec))
}
