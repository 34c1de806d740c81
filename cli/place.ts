/** Where a command looks: into a data folder that nothing runs on, or at a cluster. */
import type { Codec } from '../runtime/codec.ts'
import type { KafkaOptions } from '../runtime/kafka/connection.ts'
import type { Log } from '../runtime/log.ts'

export type ClusterPlace = {
  readonly kind: 'cluster'
  readonly kafka: KafkaOptions
  /** Of the schema registry. */
  readonly registryUrl: string
  /** Before the name of every topic and subject. */
  readonly prefix: string
}

export type Place = { readonly kind: 'folder'; readonly dataFolder: string } | ClusterPlace

/** Opens log and codec for the time of `use`. What is of one kind alone is loaded for that kind alone. */
export async function withLogAt<Result>(
  place: Place,
  use: (log: Log, codec: Codec) => Promise<Result>,
): Promise<Result> {
  if (place.kind === 'folder') {
    const { withLog } = await import('./data.ts')
    return withLog(place.dataFolder, use)
  }
  const { openCluster } = await import('./cluster/cluster.ts')
  const { log, codec, close } = await openCluster(place)
  try {
    return await use(log, codec)
  } finally {
    await close()
  }
}
