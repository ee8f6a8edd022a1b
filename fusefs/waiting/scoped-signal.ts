/**
 * A caller's AbortSignal for the time of one piece of work, with a deadline of its own if wanted.
 * Closing it leaves nothing behind on the caller's signal, which may live as long as the process.
 */
import { setMaxListeners } from 'node:events'

export class ScopedSignal {
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #parent: AbortSignal
  readonly #timer: NodeJS.Timeout | undefined
  readonly #onAbort = (): void => {
    this.#controller.abort(this.#parent.reason)
  }
  #timedOut = false

  constructor(parent: AbortSignal, options: { timeoutMs?: number } = {}) {
    this.#parent = parent
    this.signal = this.#controller.signal
    // One listener for each piece of work and each frame of it: their number is bounded elsewhere,
    // and Node.js warns of a leak from the eleventh on.
    setMaxListeners(0, this.signal, parent)
    if (parent.aborted) this.#onAbort()
    else parent.addEventListener('abort', this.#onAbort, { once: true })
    if (options.timeoutMs !== undefined) {
      this.#timer = setTimeout(() => {
        this.#timedOut = true
        this.#controller.abort()
      }, options.timeoutMs)
    }
  }

  /** Whether the deadline has passed. */
  get timedOut(): boolean {
    return this.#timedOut
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onAbort)
  }
}
