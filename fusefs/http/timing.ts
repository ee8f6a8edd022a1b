/** The clock, the timer and the random numbers that retries use. Tests inject their own. */
import { setTimeout as delay } from 'node:timers/promises'

export interface Timing {
  /** Wall-clock time, milliseconds since 1970, because `Retry-After` may be a date. */
  nowMs(): number
  /** Resolves after `ms`. Rejects as soon as `signal` is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** From 0 to below 1. */
  random(): number
}

export const systemTiming: Timing = {
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal })
  },
  random: () => Math.random(),
}
