/** A terminal that is drawn over in place: no flicker, no scrolling, and left as it was found. */
import type { WriteStream } from 'node:tty'

const enter = '\x1b[?1049h\x1b[?25l'
const leave = '\x1b[?25h\x1b[?1049l'
const home = '\x1b[H'
const restOfLine = '\x1b[K'
const restOfScreen = '\x1b[J'

export class Screen {
  readonly #terminal: WriteStream
  #open = false
  readonly #restore = (): void => this.close()

  constructor(terminal: WriteStream) {
    this.#terminal = terminal
  }

  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 }
  }

  /** One write a picture, each line over the one before it. */
  draw(lines: readonly string[]): void {
    const opening = this.#open ? '' : enter
    if (!this.#open) process.once('exit', this.#restore)
    this.#open = true
    const text = lines.map((line) => `${line}${restOfLine}`).join('\r\n')
    this.#terminal.write(`${opening}${home}${text}${restOfScreen}`)
  }

  /** Shows the cursor and what the terminal showed before. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    process.removeListener('exit', this.#restore)
    this.#terminal.write(leave)
  }
}
