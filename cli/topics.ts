/** Reading topics from their beginning: for queries, digests and what a view shows at its start. */
import type { Log } from '../runtime/log.ts'
import type { StoredRecord } from '../runtime/record.ts'

const limits = { maxRecords: 2000, maxBytes: 8 << 20 }

/** The committed records of a partition from an offset to the stable end at the time of the call, batch by batch. */
export async function* batchesOf(
  log: Log,
  topic: string,
  partition: number,
  from?: number,
): AsyncGenerator<readonly StoredRecord[]> {
  const { start, stable } = await log.ends(topic, partition)
  for (let offset = Math.max(from ?? start, start); offset < stable; ) {
    const { records, nextOffset } = await log.fetch(topic, partition, offset, limits)
    if (records.length > 0) yield records
    offset = nextOffset
  }
}

/** All committed records of a topic, partition after partition. */
export async function* recordsOf(
  log: Log,
  topic: string,
  partitions: number,
): AsyncGenerator<StoredRecord & { readonly partition: number }> {
  for (let partition = 0; partition < partitions; partition++) {
    for await (const batch of batchesOf(log, topic, partition)) {
      for (const record of batch) yield { ...record, partition }
    }
  }
}

/** The last record of each key, partition after partition, tombstones too. Holds the keys of a partition in memory. */
export async function* lastRecordsOf(log: Log, topic: string, partitions: number): AsyncGenerator<StoredRecord> {
  for (let partition = 0; partition < partitions; partition++) {
    const last = new Map<string, number>()
    for await (const batch of batchesOf(log, topic, partition))
      for (const { key, offset } of batch) last.set(key, offset)
    for await (const batch of batchesOf(log, topic, partition))
      for (const record of batch) if (last.get(record.key) === record.offset) yield record
  }
}

/** The last value of each key, without the keys that end in a tombstone: what compaction would leave. */
export async function lastValues(log: Log, topic: string, partitions: number): Promise<Map<string, Buffer>> {
  const last = new Map<string, Buffer>()
  for await (const { key, value } of recordsOf(log, topic, partitions)) {
    if (value === null) last.delete(key)
    else last.set(key, value)
  }
  return last
}
