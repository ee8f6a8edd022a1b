/**
 * One alarm, exact to about a tenth of a millisecond. The timers of Node.js and of epoll_wait(2)
 * count whole milliseconds, but a fast network's round trip is one millisecond. The timer therefore
 * sleeps the last stretch in short naps, and the event loop serves its sockets between the naps.
 * Spinning would take a processor away from the program under measurement.
 */

/** If the deadline is further away than this, an ordinary timer is used first. */
const NEAR_MS = 3
/** Ordinary timers may be late by this many milliseconds. */
const COARSE_MS = 2
/** The longest time for which a nap keeps the event loop from its sockets. */
const NAP_MS = 0.2

export class PreciseTimer {
  readonly #ring: () => void
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4))
  #deadlineMs = Infinity
  #coarse: NodeJS.Timeout | undefined
  #napping = false

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Replaces the deadline, in the time of `performance.now()`. Infinity: no deadline. */
  set(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs
    clearTimeout(this.#coarse)
    if (deadlineMs === Infinity || this.#napping) return
    const aheadMs = deadlineMs - performance.now()
    if (aheadMs > NEAR_MS) {
      this.#coarse = setTimeout(() => {
        this.set(this.#deadlineMs)
      }, aheadMs - COARSE_MS)
      return
    }
    this.#napping = true
    setImmediate(() => {
      this.#nap()
    })
  }

  #nap(): void {
    this.#napping = false
    const aheadMs = this.#deadlineMs - performance.now()
    if (aheadMs > 0 && aheadMs <= NEAR_MS) {
      Atomics.wait(this.#sleeper, 0, 0, Math.min(aheadMs, NAP_MS))
    }
    if (performance.now() < this.#deadlineMs) {
      this.set(this.#deadlineMs)
      return
    }
    this.#deadlineMs = Infinity
    this.#ring()
  }
}
