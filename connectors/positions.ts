/** Where connectors are: kept in the log, in a compacted topic of one partition. */
import type { Codec } from '../runtime/codec.ts'
import type { Log, TopicSpec } from '../runtime/log.ts'
import type { AddressedRecord } from '../runtime/record.ts'
import type { ConnectorPosition } from '../schemas/avro/types.ts'

export const positionsTopic: TopicSpec = {
  name: 'connectors.positions',
  partitions: 1,
  cleanup: 'compact',
  retentionMs: null,
}

export const positionKind = 'position'

const limits = { maxRecords: 1_000, maxBytes: 1024 * 1024 }

/** The last position of each partition of the destination that has one. */
export async function readPositions(
  log: Log,
  codec: Codec,
  destinationId: string,
): Promise<Map<number, ConnectorPosition>> {
  const positions = new Map<number, ConnectorPosition>()
  const { start, stable } = await log.ends(positionsTopic.name, 0)
  for (let offset = start; offset < stable; ) {
    const { records, nextOffset } = await log.fetch(positionsTopic.name, 0, offset, limits)
    for (const { key, value } of records) {
      const slash = key.lastIndexOf('/')
      if (value === null || key.slice(0, slash) !== destinationId) continue
      positions.set(Number(key.slice(slash + 1)), codec.decode('ConnectorPosition', value))
    }
    offset = nextOffset
  }
  return positions
}

export function positionRecord(
  codec: Codec,
  destinationId: string,
  partition: number,
  position: ConnectorPosition,
): AddressedRecord {
  return {
    topic: positionsTopic.name,
    partition: 0,
    kind: positionKind,
    key: `${destinationId}/${partition}`,
    value: codec.encode('ConnectorPosition', position),
    timestampMs: Number.NaN,
  }
}
