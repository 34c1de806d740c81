/** The unit of work: one record or one timer through the operators of a stage. Its effects count together, or not at all. */
import type { Codec } from './codec.ts'
import { InvariantError, invariant } from './errors.ts'
import {
  type Context,
  type DefinitionsHead,
  type Effect,
  type Inbound,
  type Key,
  type Known,
  tenantOf,
} from './operator.ts'
import { emptyRow, type Row, Section, withSection, withTimer } from './row.ts'
import type { Rows } from './rows.ts'
import type { Stage } from './stage.ts'

/** Effects of a unit that are for others than the task's own rows. */
export type Emission = Extract<Effect, { readonly effect: 'emit' | 'emitLatest' }>

export type UnitClock = {
  readonly clockMs: number
  readonly logTimeMs: number
  readonly offset: number
  readonly partition: number
  readonly generation: number
}

/** What the operators without state made of a record, ahead of its turn. */
export type Prepared = { readonly effects: readonly Effect[] } | { readonly error: unknown }

const passesMax = 1000

/** Runs the operators without state at the head of a stage. Depends on nothing but the record and the definitions. */
export function prepare(
  stage: Stage,
  record: Inbound,
  clock: UnitClock,
  definitions: DefinitionsHead | undefined,
): Prepared {
  let effects: readonly Effect[] = [{ effect: 'pass', kind: record.kind, key: record.key, value: record.value }]
  if (stage.firstStateful === 0) return { effects }
  const context: Context<never, DefinitionsHead> = { ...clock, clockMs: clock.logTimeMs, definitions, state: noState }
  try {
    for (let place = 0; place < stage.firstStateful; place++) {
      const operator = stage.operators[place]!
      const made: Effect[] = []
      for (const effect of effects) {
        if (effect.effect === 'pass') made.push(...operator.process(effect, context))
        else made.push(effect)
      }
      effects = made
    }
    return { effects }
  } catch (error) {
    return { error }
  }
}

function noState(): undefined {
  throw new InvariantError('broken invariant: an operator without state reads none')
}

export class Unit {
  readonly #stage: Stage
  readonly #rows: Rows
  readonly #codec: Codec
  readonly #clock: UnitClock
  readonly #definitions: DefinitionsHead | undefined
  readonly rows = new Map<Key, Row>()
  readonly emissions: Emission[] = []
  readonly counts: { readonly name: string; readonly by: number }[] = []
  #passes = 0

  constructor(stage: Stage, rows: Rows, codec: Codec, clock: UnitClock, definitions: DefinitionsHead | undefined) {
    this.#stage = stage
    this.#rows = rows
    this.#codec = codec
    this.#clock = clock
    this.#definitions = definitions
  }

  /** Performs effects of the operator at `place`: its passes run through the next one, depth first, in order. */
  perform(effects: readonly Effect[], place: number): void {
    for (const effect of effects) {
      switch (effect.effect) {
        case 'put':
          this.#setSection(effect.key, place, Section.ofValue(effect.value))
          break
        case 'remove':
          this.#setSection(effect.key, place, undefined)
          break
        case 'schedule':
          this.#setRow(effect.key, withTimer(this.#row(effect.key), effect.id, effect.atMs))
          break
        case 'emit':
        case 'emitLatest':
          invariant(
            this.#stage.topics.has(effect.topic),
            `stage ${this.#stage.name} declares the topic ${effect.topic} it emits to`,
          )
          this.emissions.push(effect)
          break
        case 'count':
          this.counts.push(effect)
          break
        case 'pass':
          this.run(effect, place + 1)
      }
    }
  }

  /** Runs a record through the operator at `place`, and what it passes through those after it. */
  run(record: Inbound, place: number): void {
    const operator = this.#stage.operators[place]
    invariant(operator, `stage ${this.#stage.name} has an operator for a record of kind ${record.kind} passed on`)
    invariant(++this.#passes <= passesMax, `a record is passed on at most ${passesMax} times`)
    const context = new OperatorContext(this, this.#clock, this.#definitions, place)
    this.perform(operator.process(record, context), place)
  }

  /** The timer has fired: it is gone before its operator runs, which may set it again. */
  consumeTimer(key: Key, id: string): void {
    this.#setRow(key, withTimer(this.#row(key), id, null))
  }

  /** State of the operator at `place` under a key. */
  state(key: Key, place: number): unknown {
    const operator = this.#stage.operators[place]
    invariant(operator?.state, 'an operator without state reads none')
    return this.#row(key).sections[place - this.#stage.firstStateful]?.value(this.#codec, operator.state)
  }

  #setSection(key: Key, place: number, section: Section | undefined): void {
    invariant(place >= this.#stage.firstStateful, 'an operator without state puts none')
    this.#setRow(key, withSection(this.#row(key), place - this.#stage.firstStateful, section))
  }

  #setRow(key: Key, row: Row): void {
    this.rows.set(key, row)
  }

  #row(key: Key): Row {
    const staged = this.rows.get(key)
    if (staged) return staged
    const row = this.#rows.get(key)
    invariant(row !== undefined, `an operator asks for a key before it reads it: ${tenantOf(key)}/…`)
    return row ?? emptyRow
  }
}

/** What the operator at one place of the stage may read while it processes. */
class OperatorContext implements Context<unknown, DefinitionsHead> {
  readonly clockMs: number
  readonly logTimeMs: number
  readonly offset: number
  readonly partition: number
  readonly generation: number
  readonly definitions: DefinitionsHead | undefined
  /** Bound: operators take it out of their context. */
  readonly state: (key: Key) => unknown

  constructor(unit: Unit, clock: UnitClock, definitions: DefinitionsHead | undefined, place: number) {
    this.clockMs = clock.clockMs
    this.logTimeMs = clock.logTimeMs
    this.offset = clock.offset
    this.partition = clock.partition
    this.generation = clock.generation
    this.definitions = definitions
    this.state = (key) => unit.state(key, place)
  }
}

/** The view that `needs` gets: what has been read so far. */
export function knownOf(stage: Stage, rows: Rows, codec: Codec): Known<unknown> {
  const operator = stage.stateful[0]
  return {
    state: (key) => (operator ? rows.get(key)?.sections[0]?.value(codec, operator.state) : undefined),
  }
}
