/** The contract of a connector: what brings activations to one destination. The runner does all the rest. */
import type { Activation } from '../schemas/avro/types.ts'

/** An activation and its place in the topic `connect.<destination>`. */
export type Delivery = { readonly partition: number; readonly offset: number; readonly activation: Activation }

export type Connector = {
  /** The destination. */
  readonly id: string
  /** Deliveries in one call, at most. */
  readonly batchMax: number
  /**
   * Brings a batch, of one partition and in its order, to the destination; resolves once that has it durably.
   * Throws DeliveryError when it does not take all. The runner may call again with what was delivered before, after a
   * crash: a destination tells it by place or by idempotency key. Calls for one partition never overlap.
   */
  deliver(batch: readonly Delivery[]): Promise<void>
  /** Its partition goes on elsewhere: what is held open for it is closed. It may come back. */
  release?(partition: number): Promise<void>
  close(): Promise<void>
}

/**
 * Why a batch was not taken:
 * - auth: it will not have us; credentials or address need a person
 * - throttle: it asks us to slow down
 * - transient: it may well work the next time
 * - permanent: it will never take this batch; one of its rows, perhaps
 * - partial: it took all but the rows in `refused`, which it will never take
 * - gone: it asks us never to come back
 */
export type DeliveryFailure = 'auth' | 'throttle' | 'transient' | 'permanent' | 'partial' | 'gone'

export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  readonly failure: DeliveryFailure
  /** How long the destination asks to be left alone. */
  readonly retryAfterMs: number | null
  /** Places in the batch, from 0; only for `partial`. */
  readonly refused: readonly number[]

  constructor(failure: DeliveryFailure, message: string, options: DeliveryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.failure = failure
    this.retryAfterMs = options.retryAfterMs ?? null
    this.refused = options.refused ?? []
  }
}

export type DeliveryErrorOptions = {
  readonly cause?: unknown
  readonly retryAfterMs?: number | null
  readonly refused?: readonly number[]
}
