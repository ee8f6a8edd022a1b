/**
 * The end of a piece of work with all its attempts: it has to stop when its caller aborts it or its
 * time is over.
 */
import { ScopedSignal } from '../waiting/scoped-signal.js'
import { HttpFailure } from './http-failure.js'

/** The longest time that a timer of Node.js can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export class Deadline {
  readonly #caller: AbortSignal
  readonly #timeoutMs: number | undefined
  readonly #scope: ScopedSignal

  /** Without `timeoutMs`, only an abort of `caller` stops the work. */
  constructor(caller: AbortSignal, timeoutMs?: number) {
    this.#caller = caller
    if (timeoutMs === undefined) {
      this.#scope = new ScopedSignal(caller)
      return
    }
    this.#timeoutMs = Math.min(Math.ceil(timeoutMs), MAX_TIMEOUT_MS)
    this.#scope = new ScopedSignal(caller, { timeoutMs: this.#timeoutMs })
  }

  /** Aborted when the work has to stop. */
  get signal(): AbortSignal {
    return this.#scope.signal
  }

  /**
   * The failure `aborted` or `deadline` if the work has to stop, with the work's last error as its
   * `cause`. `undefined` if the work may go on.
   */
  stopped(cause: unknown): HttpFailure | undefined {
    if (this.#caller.aborted) {
      return new HttpFailure('aborted', 'given up by the caller', { retryable: false, cause })
    }
    if (!this.#scope.timedOut || this.#timeoutMs === undefined) return undefined
    const seconds = Math.ceil(this.#timeoutMs / 1000)
    const message = `not there after ${seconds} s`
    return new HttpFailure('deadline', message, { retryable: false, cause })
  }

  /** Stops the timer and detaches from the caller's signal. Idempotent. */
  close(): void {
    this.#scope.close()
  }
}
