/**
 * A circuit breaker: after so many failures in a row it lets nobody through for a while, then one, to see.
 *
 *            failuresMax failures, or trip()            coolMs passed: one is let through
 *   closed ──────────────────────────────────► open ─────────────────────────────────────► probing
 *      ▲                                        ▲                                             │
 *      │                                        └──────────────── failure ────────────────────┤
 *      └──────────────────────────────────────────────────────── success ─────────────────────┘
 */
export type BreakerState = 'closed' | 'open' | 'probing'

export type BreakerLimits = { readonly failuresMax: number; readonly coolMs: number }

export class Breaker {
  readonly #limits: BreakerLimits
  #state: BreakerState = 'closed'
  #failures = 0
  #openUntilMs = 0

  constructor(limits: BreakerLimits) {
    this.#limits = limits
  }

  get state(): BreakerState {
    return this.#state
  }

  /** 0: go, and report how it went. Otherwise: how long to wait before asking again. */
  admit(nowMs: number): number {
    if (this.#state === 'closed') return 0
    if (nowMs < this.#openUntilMs) return this.#openUntilMs - nowMs
    // whoever probes reports back, or is given up after another cooling time
    this.#state = 'probing'
    this.#openUntilMs = nowMs + this.#limits.coolMs
    return 0
  }

  succeeded(): void {
    this.#state = 'closed'
    this.#failures = 0
  }

  failed(nowMs: number): void {
    this.#failures++
    if (this.#state === 'probing' || this.#failures >= this.#limits.failuresMax) this.trip(nowMs)
  }

  /** Opens at once: for as long as the destination asked, or for the usual time. */
  trip(nowMs: number, forMs: number = this.#limits.coolMs): void {
    this.#state = 'open'
    this.#openUntilMs = nowMs + forMs
  }
}
