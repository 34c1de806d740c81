/** One operator over rows in memory, for tests: as strict as the runtime about what it reads, writes and when timers fire. */
import { invariant } from '../runtime/errors.ts'
import type { Effect, Inbound, Key, Operator } from '../runtime/operator.ts'
import { timerKind } from '../runtime/operator.ts'
import { schemaType } from '../schemas/avro/index.ts'

export type Clock = { readonly clockMs: number; readonly logTimeMs: number }

const roundsMax = 16

export class OneOperator<In extends Inbound, State, Definitions> {
  readonly rows = new Map<Key, State>()
  readonly timers = new Map<Key, Map<string, number>>()
  readonly counts = new Map<string, number>()
  readonly #operator: Operator<In, State, Definitions>
  readonly #definitions: Definitions
  #offset = 0

  constructor(operator: Operator<In, State, Definitions>, definitions: Definitions) {
    this.#operator = operator
    this.#definitions = definitions
  }

  /** Fires the due timers of the key, then processes the record. Answers the effects of both, in order. */
  deliver(record: In, clock: Clock): readonly Effect[] {
    return [...this.#fire(record.key, clock.clockMs), ...this.#run(record, clock)]
  }

  /** Fires all timers due by then, key by key. */
  sweep(clockMs: number): readonly Effect[] {
    return [...this.timers.keys()].sort().flatMap((key) => this.#fire(key, clockMs))
  }

  #fire(key: Key, clockMs: number): readonly Effect[] {
    const effects: Effect[] = []
    for (;;) {
      const due = [...(this.timers.get(key) ?? [])]
        .filter(([, atMs]) => atMs <= clockMs)
        .sort(([a, aMs], [b, bMs]) => aMs - bMs || (a < b ? -1 : 1))[0]
      if (!due) return effects
      const [id, atMs] = due
      this.timers.get(key)?.delete(id)
      const record = { kind: timerKind, key, value: { id, atMs } } as unknown as In
      effects.push(...this.#run(record, { clockMs: atMs, logTimeMs: atMs }))
    }
  }

  #run(record: In, clock: Clock): readonly Effect[] {
    const read = this.#resolve(record)
    const effects = this.#operator.process(record, {
      ...clock,
      offset: this.#offset++,
      partition: 0,
      generation: 0,
      definitions: this.#definitions,
      state: (key) => {
        invariant(read.has(key), `the operator asks for ${key} before it reads it`)
        return this.rows.get(key)
      },
    })
    for (const effect of effects) this.#perform(effect, read)
    return effects
  }

  #resolve(record: In): ReadonlySet<Key> {
    const read = new Set<Key>([record.key])
    for (let round = 0; round < roundsMax; round++) {
      const state = (key: Key): State | undefined => (read.has(key) ? this.rows.get(key) : undefined)
      const wanted = this.#operator.needs?.(record, { state }, this.#definitions) ?? []
      const before = read.size
      for (const key of wanted) read.add(key)
      if (read.size === before) return read
    }
    throw new Error(`needs settle within ${roundsMax} rounds`)
  }

  #perform(effect: Effect, read: ReadonlySet<Key>): void {
    switch (effect.effect) {
      case 'put': {
        invariant(read.has(effect.key), `${effect.key} is read before it is changed`)
        const type = schemaType(this.#operator.state!)
        // What is stored is what comes back, as from a store.
        this.rows.set(effect.key, type.fromBuffer(type.toBuffer(effect.value)) as State)
        break
      }
      case 'remove':
        this.rows.delete(effect.key)
        break
      case 'schedule': {
        const timers = this.timers.get(effect.key) ?? new Map<string, number>()
        if (effect.atMs === null) timers.delete(effect.id)
        else timers.set(effect.id, effect.atMs)
        this.timers.set(effect.key, timers)
        break
      }
      case 'count':
        this.counts.set(effect.name, (this.counts.get(effect.name) ?? 0) + effect.by)
        break
      case 'emit':
      case 'emitLatest':
      case 'pass':
    }
  }
}

/** Values emitted to a topic under a kind, with their keys. */
export function emitted<Value>(
  effects: readonly Effect[],
  topic: string,
  kind: string,
): readonly { readonly key: Key; readonly value: Value }[] {
  return effects.flatMap((effect) =>
    effect.effect === 'emit' && effect.topic === topic && effect.kind === kind
      ? [{ key: effect.key, value: effect.value as Value }]
      : [],
  )
}
