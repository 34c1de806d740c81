/**
 * What the world outside has answered (a schema registry, say), as the topic `definitions` tells it. An answer holds for
 * log time before its `untilMs`, and of several that do, the first in the topic is the one. So what holds at an instant
 * never changes once it is known, whoever asks, and whenever: it is in the log.
 */
import type { Definition } from '../schemas/avro/types.ts'

/** Whom to ask: the outside world of a tenant, under settings that its definitions give. */
export type Scope = { readonly tenant: string; readonly hash: string; readonly settings: string }

/** Something to be asked, at an instant of log time. */
export type Question = {
  readonly scope: Scope
  readonly id: string
  readonly atMs: number
  /** Whether it was ever answered: an answer for `everyone` does not cover it then. */
  readonly isKnown: boolean
}

/** The body of a Definition of kind `answer`; its id is what was asked, or `everyone`. */
export type Answer = {
  readonly scope: string
  readonly untilMs: number
  /** Hash of the definition that was found; null: there is none. */
  readonly found: string | null
  readonly failures: readonly { readonly repository: string; readonly message: string }[]
}

/** The id of an answer for all that had not been asked for by then. */
export const everyone = '*'

/** Answers kept in memory of what was not found; of older ones the topic is read again. */
const lostMax = 50_000

type Known = Answer & { readonly text: string; readonly offset: number }

export class Answers {
  readonly #known = new Map<string, Known[]>()
  readonly #everyone = new Map<string, Known[]>()
  readonly #lostMax: number
  /** Keys whose every answer is that there is nothing, the one heard of last at the end. */
  readonly #lost = new Map<string, number>()
  /** All that has been dropped from memory held before it. */
  #forgottenMs = Number.NEGATIVE_INFINITY

  constructor(max = lostMax) {
    this.#lostMax = max
  }

  /** Undefined: not answered yet, as far as is known here. */
  find({ tenant, hash }: Scope, id: string, atMs: number): Answer | undefined {
    const known = this.#known.get(keyOf(tenant, hash, id)) ?? none
    const first = known[0]?.offset ?? Number.POSITIVE_INFINITY
    const ofAll = this.#everyone.get(keyOf(tenant, hash, everyone)) ?? none
    return (
      ofAll.find(({ offset, untilMs }) => offset < first && atMs < untilMs) ??
      known.find(({ untilMs }) => atMs < untilMs)
    )
  }

  isKnown({ tenant, hash }: Scope, id: string): boolean {
    return this.#known.has(keyOf(tenant, hash, id))
  }

  /** Whether there may be an answer that is no longer in memory. */
  mayBeForgotten({ scope, id, atMs }: Omit<Question, 'isKnown'>): boolean {
    return atMs < this.#forgottenMs && !this.isKnown(scope, id)
  }

  /** In the order of the topic, each offset once. */
  keep({ tenant, id, body }: Definition, offset: number): void {
    const answer = JSON.parse(body) as Answer
    const key = keyOf(tenant, answer.scope, id)
    const of = id === everyone ? this.#everyone : this.#known
    const known = of.get(key) ?? []
    const last = known.at(-1)
    const text = JSON.stringify([answer.found, answer.failures])
    if (last && answer.untilMs <= last.untilMs) return // adds nothing
    // the same once more only holds for longer
    if (last?.text === text && id !== everyone) known[known.length - 1] = { ...last, untilMs: answer.untilMs }
    else known.push({ ...answer, text, offset })
    of.set(key, known)
    if (id !== everyone) this.#account(key, known)
  }

  #account(key: string, known: readonly Known[]): void {
    this.#lost.delete(key)
    if (known.some(({ found }) => found !== null)) return
    this.#lost.set(key, known.at(-1)!.untilMs)
    if (this.#lost.size <= this.#lostMax) return
    for (const [oldest, untilMs] of this.#lost) {
      if (this.#lost.size <= this.#lostMax / 2) break
      this.#lost.delete(oldest)
      this.#known.delete(oldest)
      this.#forgottenMs = Math.max(this.#forgottenMs, untilMs)
    }
  }
}

const none: readonly Known[] = []
const keyOf = (tenant: string, scope: string, id: string): string => `${tenant}/${scope}/${id}`
