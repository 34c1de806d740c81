/**
 * All that a process meets goes through its gate: every call on the log, the clock, the coordinator, its stores. So it
 * can be stopped at any of its awaits, to go on later as a zombie or never.
 */

/** What may befall a call, before it is made and before its answer is heard: it may throw, take its time, or shut the gate. */
export type Toll = {
  before?(port: string, call: string): Promise<void> | void
  after?(port: string, call: string): Promise<void> | void
}

export class Gate {
  readonly #toll: Toll
  #open: Promise<void> | undefined
  #continue: () => void = () => undefined

  constructor(toll: Toll = {}) {
    this.#toll = toll
  }

  stop(): void {
    this.#open ??= new Promise((resolve) => {
      this.#continue = resolve
    })
  }

  continue(): void {
    this.#open = undefined
    this.#continue()
  }

  /** The port as the process sees it. What the port gives out, writers and stores, is behind the gate too. */
  through<Port extends object>(port: Port, name = ''): Port {
    return new Proxy(port, {
      get: (target, call) => {
        const member: unknown = Reflect.get(target, call, target)
        if (typeof member !== 'function' || typeof call !== 'string') return member
        if (call === 'nowMs') return member.bind(target)
        return async (...args: unknown[]) => {
          await this.#toll.before?.(name, call)
          await this.#passed()
          const answer: unknown = await member.apply(target, args)
          await this.#toll.after?.(name, call)
          await this.#passed()
          return typeof answer === 'object' && (call === 'writer' || call === 'open')
            ? this.through(answer as object, name)
            : answer
        }
      },
    })
  }

  async #passed(): Promise<void> {
    while (this.#open) await this.#open
  }
}
