/** One line on a terminal that shows a command's progress. Without a terminal, nothing is shown. */
import type { WriteStream } from 'node:tty'

/** Shortest time between two updates of the line. */
const MIN_INTERVAL_MS = 100
/** A terminal that does not know its width says 0. */
const UNKNOWN_COLUMNS = 80
/** Returns to the first column and erases to the end of the line (ECMA-48: CR, EL). */
const ERASE = '\r\x1b[K'

export class StatusLine {
  readonly #out: WriteStream | undefined
  #shownAtMs = Number.NEGATIVE_INFINITY
  #isShown = false

  private constructor(out: WriteStream | undefined) {
    this.#out = out
  }

  /** Writes to `out` if it is a terminal. Needs no close. The caller calls `clear` at the end. */
  static open(out: WriteStream): StatusLine {
    return new StatusLine(out.isTTY ? out : undefined)
  }

  /** Shows the result of `text`, unless the line was updated less than 100 ms ago. */
  show(text: () => string): void {
    const nowMs = performance.now()
    if (this.#out === undefined || nowMs - this.#shownAtMs < MIN_INTERVAL_MS) return
    this.#shownAtMs = nowMs
    this.#isShown = true
    const columns = this.#out.columns > 0 ? this.#out.columns : UNKNOWN_COLUMNS
    this.#out.write(ERASE + text().slice(0, columns - 1))
  }

  /** Erases the line, so that other output can be written. */
  clear(): void {
    if (this.#isShown) this.#out?.write(ERASE)
    this.#isShown = false
  }
}
