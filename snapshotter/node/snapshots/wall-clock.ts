/**
 * The time of day to the nanosecond. Node.js reads it in milliseconds only, and containerd compares
 * our timestamps with its own nanosecond readings; so the monotonic clock is anchored to the moment
 * at which the millisecond changes. Both clocks are slewed together (the kernel applies NTP's
 * frequency to both): only a step of the time of day separates them, and is noticed.
 */

const NS_PER_MS = 1_000_000n

export class WallClock {
  /** Time of day less monotonic time, nanoseconds; undefined before the first reading. */
  #offsetNs: bigint | undefined

  /** Nanoseconds since 1970. Takes up to a millisecond the first time and after a step. */
  nowNs(): bigint {
    if (this.#offsetNs !== undefined) {
      const nowNs = process.hrtime.bigint() + this.#offsetNs
      const millisecondNs = BigInt(Date.now()) * NS_PER_MS
      // Date.now() was read later: at most the millisecond has just changed.
      if (nowNs >= millisecondNs - NS_PER_MS && nowNs < millisecondNs + NS_PER_MS) return nowNs
    }
    this.#offsetNs = offsetNs()
    return process.hrtime.bigint() + this.#offsetNs
  }
}

/** A reading interrupted for longer than this is tried again; uninterrupted ones take 0.2 µs. */
const GOOD_ENOUGH_NS = 5_000n
const MAX_ATTEMPTS = 10

/** The best of a few attempts: the scheduler may take the processor away in the middle of one. */
function offsetNs(): bigint {
  let best = anchor()
  for (let attempt = 1; attempt < MAX_ATTEMPTS && best.errorNs > GOOD_ENOUGH_NS; attempt++) {
    const next = anchor()
    if (next.errorNs < best.errorNs) best = next
  }
  return best.offsetNs
}

/** Watches the millisecond change: between the last two monotonic readings it was `now` exactly. */
function anchor(): { offsetNs: bigint; errorNs: bigint } {
  const start = Date.now()
  let now = start
  let earlierNs = process.hrtime.bigint()
  let laterNs = earlierNs
  while (now === start) {
    earlierNs = laterNs
    now = Date.now()
    laterNs = process.hrtime.bigint()
  }
  return { offsetNs: BigInt(now) * NS_PER_MS - laterNs, errorNs: laterNs - earlierNs }
}
