/** Where a command looks: into a data folder that nothing runs on, or at a cluster. */
import type { Codec } from '../runtime/codec.ts'
import type { Log } from '../runtime/log.ts'
import type { ClusterAddress } from './options.ts'

export type Place =
  | { readonly kind: 'folder'; readonly dataFolder: string }
  | (ClusterAddress & { readonly kind: 'cluster'; readonly prefix: string })

/** Opens log and codec for the time of `use`. What is of one kind alone is loaded for that kind alone. */
export async function withLogAt<Result>(
  place: Place,
  use: (log: Log, codec: Codec) => Promise<Result>,
): Promise<Result> {
  if (place.kind === 'folder') {
    const { withLog } = await import('./data.ts')
    return withLog(place.dataFolder, use)
  }
  const [{ Codec }, { KafkaLog }, { ConfluentRegistry }] = await Promise.all([
    import('../runtime/codec.ts'),
    import('../runtime/kafka/log.ts'),
    import('../runtime/kafka/registry.ts'),
  ])
  const { brokers, registryUrl, prefix } = place
  const codec = new Codec(await ConfluentRegistry.open({ url: registryUrl, subjectPrefix: prefix }))
  const log = await KafkaLog.open({ brokers, prefix })
  try {
    return await use(log, codec)
  } finally {
    await log.close()
  }
}
