/** Many small questions to one broker, few requests. */

type Asked<Item, Answer> = {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * One request is under way at a time; what is asked meanwhile goes together in the next. `send` answers for each item,
 * in order, with an Error for one that failed alone. `fits` says whether one more goes into the same request.
 */
export class Gathering<Item, Answer> {
  readonly #send: (items: readonly Item[]) => Promise<readonly (Answer | Error)[]>
  readonly #fits: (taken: readonly Item[], next: Item) => boolean
  #asked: Asked<Item, Answer>[] = []
  #sending = false

  constructor(
    send: (items: readonly Item[]) => Promise<readonly (Answer | Error)[]>,
    fits: (taken: readonly Item[], next: Item) => boolean,
  ) {
    this.#send = send
    this.#fits = fits
  }

  ask(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ item, resolve, reject })
      if (!this.#sending) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#sending = true
    await null // what is asked in one go is sent in one go
    while (this.#asked.length > 0) {
      const { items, asked } = this.#next()
      try {
        const answers = await this.#send(items)
        for (const [i, { resolve, reject }] of asked.entries()) {
          const answer = answers[i]!
          if (answer instanceof Error) reject(answer)
          else resolve(answer)
        }
      } catch (error) {
        for (const { reject } of asked) reject(error)
      }
    }
    this.#sending = false
  }

  /** The first that was asked, and whatever goes along; the others keep their order. */
  #next() {
    const items: Item[] = []
    const asked: Asked<Item, Answer>[] = []
    const left: Asked<Item, Answer>[] = []
    for (const next of this.#asked) {
      if (items.length > 0 && !this.#fits(items, next.item)) left.push(next)
      else {
        items.push(next.item)
        asked.push(next)
      }
    }
    this.#asked = left
    return { items, asked }
  }
}
