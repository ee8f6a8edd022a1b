/**
 * An AbortSignal for one piece of work. It is aborted with the caller's signal, or at an optional
 * deadline of its own. `close` removes its listener from the caller's signal, which may live as
 * long as the process.
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

  /** `timeoutReason` returns the reason with which the signal is aborted at the deadline. */
  constructor(
    parent: AbortSignal,
    options: { timeoutMs?: number; timeoutReason?: () => Error } = {},
  ) {
    this.#parent = parent
    this.signal = this.#controller.signal
    // Each piece of work and each of its frames adds a listener. Their number is bounded elsewhere,
    // but Node.js warns of a leak from the eleventh listener on.
    setMaxListeners(0, this.signal, parent)
    if (parent.aborted) this.#onAbort()
    else parent.addEventListener('abort', this.#onAbort, { once: true })
    if (options.timeoutMs !== undefined) {
      this.#timer = setTimeout(() => {
        this.#timedOut = true
        this.#controller.abort(options.timeoutReason?.())
      }, options.timeoutMs)
    }
  }

  /** Whether the deadline has passed. */
  get timedOut(): boolean {
    return this.#timedOut
  }

  /** Detaches from the caller's signal and stops the deadline. Idempotent. */
  close(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onAbort)
  }
}
