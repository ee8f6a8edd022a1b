/** Counts the failures of one piece of work and waits between its attempts. */
import type { Deadline } from './deadline.js'
import type { HttpCounters } from './http-counters.js'
import { HttpFailure } from './http-failure.js'
import type { RetryLimits } from './http-limits.js'
import type { Timing } from './timing.js'

export interface AttemptsModules {
  readonly counters: HttpCounters
  readonly timing: Timing
}

export class Attempts {
  readonly #limits: RetryLimits
  readonly #modules: AttemptsModules
  #failures = 0

  constructor(limits: RetryLimits, modules: AttemptsModules) {
    this.#limits = limits
    this.#modules = modules
  }

  /** Call this when the work has made progress. Earlier failures then no longer count. */
  progressed(): void {
    this.#failures = 0
  }

  /**
   * Counts a failure of the work, and resolves when it is time for the next attempt. Rejects with
   * the failure of `deadline` if the work has to stop. Rejects with `error` if it is not retryable
   * or no attempts are left; the message of an `HttpFailure` then names the number of attempts.
   */
  async failed(error: unknown, deadline: Deadline): Promise<void> {
    const stopped = deadline.stopped(error)
    if (stopped !== undefined) throw stopped
    if (!(error instanceof HttpFailure)) throw error
    this.#failures++
    if (!error.retryable || this.#failures >= this.#limits.maxAttempts) {
      throw error.afterAttempts(this.#failures)
    }
    const { counters, timing } = this.#modules
    counters.httpRetries++
    try {
      const waitMs = backOffMs(this.#failures, error.retryAfterMs, this.#limits, timing)
      await timing.sleep(waitMs, deadline.signal)
    } catch (cause) {
      throw deadline.stopped(error) ?? cause
    }
  }
}

/**
 * Milliseconds to wait after the `failures`-th failure in a row, counted from 1. The wait is the
 * sum of the time that the server asked for and a random part of a ceiling that doubles with each
 * failure (full jitter). A thousand hosts that failed together must not come back together, even if
 * the server told all of them the same time.
 */
export function backOffMs(
  failures: number,
  retryAfterMs: number,
  limits: RetryLimits,
  timing: Timing,
): number {
  const { backOffBaseMs, backOffCapMs, retryAfterCapMs } = limits
  const ceilingMs = Math.min(backOffCapMs, backOffBaseMs * 2 ** Math.min(failures - 1, 30))
  return Math.min(retryAfterMs, retryAfterCapMs) + timing.random() * ceilingMs
}
