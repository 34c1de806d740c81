/** What a webhook is sent: the activations as they are, and an id that stays the same however often it is sent. */
import { createHash } from 'node:crypto'
import type { Activation } from '../../schemas/avro/types.ts'

export type Message = { readonly id: string; readonly body: string }

/** A single activation is sent as an object under its idempotency key; several as an array under a digest of theirs. */
export function messageOf(activations: readonly Activation[], single: boolean): Message {
  if (single) {
    const activation = activations[0]!
    return { id: activation.idempotencyKey, body: JSON.stringify(activation) }
  }
  const keys = activations.map(({ idempotencyKey }) => idempotencyKey).join(' ')
  const digest = createHash('sha256').update(keys).digest('base64url').slice(0, 22)
  return { id: `msg_${digest}`, body: JSON.stringify(activations) }
}
