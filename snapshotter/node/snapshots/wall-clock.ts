/**
 * The time of day to the nanosecond. Node.js reads it in milliseconds only, but containerd compares
 * our timestamps with its own nanosecond readings. So this clock takes the monotonic time at the
 * moment at which the millisecond changes, and adds the difference to later monotonic readings. The
 * kernel applies NTP's frequency to both clocks, so they run together. Only a step of the time of
 * day separates them. `nowNs` notices a step.
 */

const NS_PER_MS = 1_000_000n

export class WallClock {
  /** Time of day minus monotonic time, in nanoseconds; undefined before the first reading. */
  #offsetNs: bigint | undefined

  /**
   * Nanoseconds since 1970. The first call, and the first after a step, take up to a millisecond,
   * or up to 10 when the scheduler interrupts them.
   */
  nowNs(): bigint {
    if (this.#offsetNs !== undefined) {
      const nowNs = process.hrtime.bigint() + this.#offsetNs
      const millisecondNs = BigInt(Date.now()) * NS_PER_MS
      // Date.now() was read later than `nowNs`, so the millisecond may just have changed.
      if (nowNs >= millisecondNs - NS_PER_MS && nowNs < millisecondNs + NS_PER_MS) return nowNs
    }
    this.#offsetNs = offsetNs()
    return process.hrtime.bigint() + this.#offsetNs
  }
}

/** A less exact reading is repeated. Without an interruption, a reading takes 0.2 µs. */
const GOOD_ENOUGH_NS = 5_000n
const MAX_ATTEMPTS = 10

/** The most exact of up to 10 readings. The scheduler may interrupt a reading. */
function offsetNs(): bigint {
  let best = anchor()
  for (let attempt = 1; attempt < MAX_ATTEMPTS && best.errorNs > GOOD_ENOUGH_NS; attempt++) {
    const next = anchor()
    if (next.errorNs < best.errorNs) best = next
  }
  return best.offsetNs
}

/**
 * Waits until the millisecond changes. It changed to `now` between the last two monotonic readings;
 * `errorNs` is the time between them.
 */
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
