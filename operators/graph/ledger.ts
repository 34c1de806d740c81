/** The decisions made for one request: numbered without gaps from the tenant's last, and written in order. */
import { type Effect, emit } from '../../runtime/operator.ts'
import type { IdentityChange, IdentityChangeType, IdentityRequest } from '../../schemas/avro/types.ts'
import { uuidV5 } from '../ids.ts'
import type { Named } from './rows.ts'

export type Cause = {
  readonly request: IdentityRequest
  readonly rule: string
  readonly ruleVersion: string
  readonly decidedAtMs: number
  readonly generation: number
}

export type Decision = {
  readonly type: IdentityChangeType
  readonly from: readonly string[]
  readonly to: string
  readonly identifier: Named | null
}

export class Ledger {
  readonly #cause: Cause
  readonly #effects: Effect[] = []
  #seq: number

  constructor(cause: Cause, lastSeq: number) {
    this.#cause = cause
    this.#seq = lastSeq
  }

  /** The last sequence given out. */
  get seq(): number {
    return this.#seq
  }

  get effects(): readonly Effect[] {
    return this.#effects
  }

  write({ type, from, to, identifier }: Decision): IdentityChange {
    const { request, rule, ruleVersion, decidedAtMs, generation } = this.#cause
    const { tenant, client, requestSeq, eventId } = request
    this.#seq++
    const change: IdentityChange = {
      changeId: uuidV5(`change|${tenant}|${client}|${eventId}|${requestSeq}|${this.#effects.length}`),
      tenant,
      generation,
      seq: this.#seq,
      type,
      from,
      to,
      eventId,
      collectorTstampMs: request.collectorTstampMs,
      namespace: identifier?.namespace ?? null,
      valueHash: identifier?.hash ?? null,
      rule,
      ruleVersion,
      effectiveAtMs: request.foundedAtMs,
      decidedAtMs,
      actor: 'graph',
      reverses: null,
    }
    this.#effects.push(emit('identity.changes', 'change', `${tenant}/${to}`, change))
    return change
  }
}
