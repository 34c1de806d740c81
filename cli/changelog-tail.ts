/** How far a task is, told by its changelog: for those who have no other way to ask, as it runs elsewhere, or nowhere. */
import type { Codec } from '../runtime/codec.ts'
import type { Log } from '../runtime/log.ts'
import { changelogOf } from '../runtime/topology.ts'
import type { Checkpoint } from '../schemas/avro/types.ts'

/** Key and kind of the checkpoint in a changelog. */
export const checkpointKey = 'checkpoint'

/** Each commit ends with a checkpoint, so the last records have one. */
const tailRecords = 10_000
const range = { maxRecords: 2000, maxBytes: 8 << 20 }

export class ChangelogTail {
  readonly #log: Log
  readonly #codec: Codec
  readonly #topic: string
  readonly #partition: number
  #nextOffset: number | undefined
  #checkpoint: Checkpoint | undefined

  constructor(log: Log, codec: Codec, stage: string, partition: number) {
    this.#log = log
    this.#codec = codec
    this.#topic = changelogOf(stage)
    this.#partition = partition
  }

  /** The last one by now; undefined where there is none. */
  async checkpoint(): Promise<Checkpoint | undefined> {
    if (this.#nextOffset === undefined) {
      const { start, stable } = await this.#log.ends(this.#topic, this.#partition)
      await this.#readFrom(Math.max(start, stable - tailRecords))
      if (!this.#checkpoint) await this.#readFrom(start)
    } else await this.#readFrom(this.#nextOffset)
    return this.#checkpoint
  }

  async #readFrom(offset: number): Promise<void> {
    let last: Buffer | null | undefined
    let at = offset
    do {
      this.#nextOffset = at
      const { records, nextOffset } = await this.#log.fetch(this.#topic, this.#partition, at, range)
      last = records.findLast(({ key }) => key === checkpointKey)?.value ?? last
      at = nextOffset
    } while (at !== this.#nextOffset)
    if (last) this.#checkpoint = this.#codec.decode('Checkpoint', last)
  }
}
