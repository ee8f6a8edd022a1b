/** A bound on bytes per second. Transfers that share it take turns. */

/** After a pause, as many bytes may come at once as the rate allows in this time. */
const BURST_MS = 100

export class RateLimit {
  readonly #bytesPerSecond: number
  /** When the rate allows more bytes again, in `performance.now()` milliseconds. */
  #paidUntilMs = 0

  constructor(options: { bytesPerSecond: number }) {
    this.#bytesPerSecond = options.bytesPerSecond
  }

  /** Counts bytes that have arrived. Returns how many milliseconds to wait before taking more. */
  take(sizeBytes: number): number {
    const nowMs = performance.now()
    const fromMs = Math.max(this.#paidUntilMs, nowMs - BURST_MS)
    this.#paidUntilMs = fromMs + (sizeBytes / this.#bytesPerSecond) * 1000
    return Math.max(0, this.#paidUntilMs - nowMs)
  }
}
