/** One line of a terminal that says how far a command is; nothing where there is no terminal. */
import type { WriteStream } from 'node:tty'

/** Often enough to look alive, seldom enough to cost nothing. */
const MIN_INTERVAL_MS = 100
/** A terminal that does not know its width says 0. */
const UNKNOWN_COLUMNS = 80
/** Return to the first column, erase to the end of the line (ECMA-48: CR, EL). */
const ERASE = '\r\x1b[K'

export class StatusLine {
  readonly #out: WriteStream | undefined
  #shownAtMs = Number.NEGATIVE_INFINITY
  #isShown = false

  private constructor(out: WriteStream | undefined) {
    this.#out = out
  }

  /** Writes to `out` if it is a terminal. Holds nothing that must be closed; clear it at the end. */
  static open(out: WriteStream): StatusLine {
    return new StatusLine(out.isTTY ? out : undefined)
  }

  /** Shows what `text` returns, unless something was shown a moment ago. */
  show(text: () => string): void {
    const nowMs = performance.now()
    if (this.#out === undefined || nowMs - this.#shownAtMs < MIN_INTERVAL_MS) return
    this.#shownAtMs = nowMs
    this.#isShown = true
    const columns = this.#out.columns > 0 ? this.#out.columns : UNKNOWN_COLUMNS
    this.#out.write(ERASE + text().slice(0, columns - 1))
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#isShown) this.#out?.write(ERASE)
    this.#isShown = false
  }
}
