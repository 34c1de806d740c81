/** Reads one inbox again through the real task loop, alone, with a batch size of choice. */
import type { Codec } from '../codec.ts'
import type { Commit, Fetched, Log, PartitionEnds, TaskWriter, TopicSpec } from '../log.ts'
import { Portion } from '../portion.ts'
import type { AddressedRecord, StoredRecord } from '../record.ts'
import type { Stage } from '../stage.ts'
import { MemoryStores } from '../stores/memory.ts'
import { type DefinitionSource, Task, type TaskLimits } from '../task.ts'
import { changelogOf } from '../topology.ts'

export type Replayed = { readonly outputs: readonly AddressedRecord[]; readonly counters: ReadonlyMap<string, number> }

/** What a task writes when it reads `inbox` in batches of `recordsMax`; its changelog is left out. */
export async function replay(parts: {
  readonly stage: Stage
  readonly partition: number
  readonly inbox: readonly StoredRecord[]
  readonly codec: Codec
  readonly definitions: DefinitionSource
  readonly limits: TaskLimits
  readonly recordsMax: number
}): Promise<Replayed> {
  const { stage, partition, codec, definitions, limits, recordsMax } = parts
  const log = new InboxLog(stage, parts.inbox)
  const store = await new MemoryStores().open('replay')
  const task = await Task.start({ stage, partition, log, store, codec, definitions, limits, observer: {} })
  while ((await task.step(recordsMax)) > 0);
  return { outputs: log.outputs, counters: task.counters }
}

/** A log that holds an inbox and takes down what is written; what a task writes to its own inbox is in there already. */
class InboxLog implements Log {
  readonly outputs: AddressedRecord[] = []
  readonly #inbox: readonly StoredRecord[]
  readonly #changelog: string

  constructor(stage: Stage, inbox: readonly StoredRecord[]) {
    this.#inbox = inbox
    this.#changelog = changelogOf(stage.name)
  }

  async ends(): Promise<PartitionEnds> {
    return { start: 0, stable: 0, end: 0 }
  }

  async fetch(
    _topic: string,
    _partition: number,
    offset: number,
    limits: { maxRecords: number; maxBytes: number },
  ): Promise<Fetched> {
    const portion = new Portion(limits)
    for (const record of this.#inbox) {
      if (record.offset < offset) continue
      if (!portion.take(record)) break
    }
    const last = portion.records.at(-1)
    return { records: portion.records, nextOffset: last ? last.offset + 1 : offset }
  }

  async writer(): Promise<TaskWriter> {
    const commit = async ({ outputs }: Commit): Promise<readonly number[]> => {
      for (const output of outputs) if (output.topic !== this.#changelog) this.outputs.push(output)
      return outputs.map((_, i) => i)
    }
    return { commit, close: async () => undefined }
  }

  async append(): Promise<readonly number[]> {
    return []
  }

  async createTopics(): Promise<void> {}

  async topics(): Promise<readonly TopicSpec[]> {
    return []
  }

  async arrival(): Promise<void> {}

  async close(): Promise<void> {}
}
