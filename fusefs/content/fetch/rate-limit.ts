/** A bound on bytes per second, for those who take turns in asking. */

/** Bytes that may come at once after a pause, as the time they stand for. */
const BURST_MS = 100

export class RateLimit {
  readonly #bytesPerSecond: number
  /** Until when what was taken so far is paid for, in `performance.now()` milliseconds. */
  #paidUntilMs = 0

  constructor(options: { bytesPerSecond: number }) {
    this.#bytesPerSecond = options.bytesPerSecond
  }

  /** Takes bytes that are there already; returns how many milliseconds to wait before the next. */
  take(sizeBytes: number): number {
    const nowMs = performance.now()
    const fromMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS)
    this.#paidUntilMs = fromMs + (sizeBytes / this.#bytesPerSecond) * 1000
    return Math.max(0, this.#paidUntilMs - nowMs)
  }
}
