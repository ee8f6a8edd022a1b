/**
 * One alarm, exact to about a tenth of a millisecond. The timers of Node.js and of epoll_wait(2) count whole
 * milliseconds, which is the whole round trip of a fast network. The last stretch is slept in short
 * naps between which the event loop looks after its sockets; spinning would take a processor away
 * from what is measured.
 */

/** Further away than this, an ordinary timer brings us near. */
const NEAR_MS = 3
/** Ordinary timers may be late by this much. */
const COARSE_MS = 2
/** The longest time that the event loop is kept from its sockets. */
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

  /** Replaces the deadline, in the time of `performance.now()`; Infinity: none. */
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
