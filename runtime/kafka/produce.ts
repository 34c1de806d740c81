/** Sends encoded batches, those for one broker together. */
import type { Channel } from './channel.ts'
import { ConnectionFault, KafkaFault } from './faults.ts'
import { Gathering } from './gathering.ts'
import { type EncodedBatch, produceRequest } from './requests.ts'

const requestBytesMax = 4 << 20
/** How long the replicas may take; less than a transaction may last. */
const replicationMs = 5000

/** One request to each broker at a time, and in it one batch of a partition at most: so batches stay in order. */
export class BatchSender {
  readonly #transactionalId: string | null
  readonly #gatherings = new WeakMap<Channel, Gathering<EncodedBatch, number>>()

  constructor(transactionalId: string | null) {
    this.#transactionalId = transactionalId
  }

  /** The offset of the batch's first record, once all in-sync replicas have it. Throws KafkaFault and ConnectionFault. */
  send(leader: Channel, batch: EncodedBatch): Promise<number> {
    let gathering = this.#gatherings.get(leader)
    if (!gathering) {
      gathering = new Gathering((batches) => this.#sendAll(leader, batches), fitsWith)
      this.#gatherings.set(leader, gathering)
    }
    return gathering.ask(batch)
  }

  async #sendAll(leader: Channel, batches: readonly EncodedBatch[]): Promise<readonly (number | Error)[]> {
    const answers = await leader.sendOwn(produceRequest(batches, this.#transactionalId, replicationMs))
    return answers.map((answer) => {
      if (!answer) return new ConnectionFault('the broker did not answer for a batch')
      return answer.errorCode === 0 ? answer.baseOffset : new KafkaFault('Produce', answer.errorCode)
    })
  }
}

function fitsWith(taken: readonly EncodedBatch[], next: EncodedBatch): boolean {
  let bytes = next.batch.length
  for (const { topic, partition, batch } of taken) {
    if (topic === next.topic && partition === next.partition) return false
    bytes += batch.length
  }
  return bytes <= requestBytesMax
}
