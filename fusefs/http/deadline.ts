/** How long a piece of work may take, all its attempts included: until its caller or its time is over. */
import { ScopedSignal } from '../waiting/scoped-signal.js'
import { HttpFailure } from './http-failure.js'

/** The longest time that a timer of Node.js can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export class Deadline {
  readonly #caller: AbortSignal
  readonly #timeoutMs: number | undefined
  readonly #scope: ScopedSignal

  /** Without `timeoutMs` only the caller ends the work. */
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

  /** The failure that the work ends with if it had to stop; `cause` is what it met last. */
  stopped(cause: unknown): HttpFailure | undefined {
    if (this.#caller.aborted) {
      return new HttpFailure('aborted', 'given up by the caller', { retryable: false, cause })
    }
    if (!this.#scope.timedOut || this.#timeoutMs === undefined) return undefined
    const seconds = Math.ceil(this.#timeoutMs / 1000)
    const message = `not there after ${seconds} s`
    return new HttpFailure('deadline', message, { retryable: false, cause })
  }

  close(): void {
    this.#scope.close()
  }
}
