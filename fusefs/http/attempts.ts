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

  /** The work brought something: earlier failures no longer count. */
  progressed(): void {
    this.#failures = 0
  }

  /**
   * Returns when it is time for the next attempt. Throws instead: `error` where repeating cannot help
   * or was done often enough, a failure of `deadline` where the work has to stop.
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
 * How long to wait after the `failures`-th failure in a row: what the server asked for, and a random
 * part of a ceiling that doubles (full jitter). A thousand hosts that failed together must not come
 * back together, even where the server told all of them the same time.
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
