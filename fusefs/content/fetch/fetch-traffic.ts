/**
 * Counts the range requests under way by priority. From the counts it decides whether a request of
 * a priority may start, and whether a transfer must pause to let more urgent ones go first.
 */
import type { ContentLimits } from '../content-limits.js'
import type { FetchPriority } from './frame-flight.js'
import { RateLimit } from './rate-limit.js'

/** Longest pause after a piece of a body. A server might close a connection that pauses longer. */
const MAX_PAUSE_MS = 1_000

export class FetchTraffic {
  readonly #limits: ContentLimits
  readonly #running: Record<FetchPriority, number> = {
    read: 0,
    ahead: 0,
    prefetch: 0,
    background: 0,
  }
  readonly #rates: Readonly<Record<'prefetch' | 'background', RateLimit>>
  readonly #wakers = new Set<() => void>()

  constructor(limits: ContentLimits) {
    this.#limits = limits
    this.#rates = {
      prefetch: new RateLimit({ bytesPerSecond: limits.prefetchBytesPerSecond }),
      background: new RateLimit({ bytesPerSecond: limits.backgroundBytesPerSecond }),
    }
  }

  /** Whether a request of this priority may start now. */
  mayStart(priority: FetchPriority): boolean {
    const { read, ahead, prefetch, background } = this.#running
    const { maxConcurrentFetches, maxConcurrentPrefetches } = this.#limits
    if (read + ahead + prefetch + background >= maxConcurrentFetches) return false
    // Up to two places are kept for reads, so that a read waits only for other reads. The other
    // priorities always have one place: when `maxConcurrentFetches` is 1, a read may wait for them.
    const hasPlace = ahead + prefetch + background < Math.max(1, maxConcurrentFetches - 2)
    switch (priority) {
      case 'read':
        return true
      case 'ahead':
        return hasPlace
      case 'prefetch':
        return hasPlace && prefetch < maxConcurrentPrefetches
      case 'background':
        return hasPlace && read + ahead + prefetch + background === 0
    }
  }

  started(priority: FetchPriority): void {
    this.#running[priority]++
  }

  ended(priority: FetchPriority): void {
    this.#running[priority]--
    this.wake()
  }

  /**
   * Makes paused transfers check whether they may go on. Called when a request has ended, and when
   * a frame has become more urgent.
   */
  wake(): void {
    for (const waker of this.#wakers) waker()
    this.#wakers.clear()
  }

  /**
   * Called after each piece of a body with the piece's size. Resolves when the next piece may be
   * read. Bytes that are not read fill the socket's buffers, so that the server stops sending.
   * `urgencyOf` returns the priority of the request's most urgent frame. Resolves to true when the
   * transfer paused for more urgent requests.
   */
  async admit(sizeBytes: number, urgencyOf: () => FetchPriority): Promise<boolean> {
    const urgency = urgencyOf()
    if (urgency === 'read' || urgency === 'ahead') return false
    const rateMs = this.#rates[urgency].take(sizeBytes)
    if (rateMs >= 1) await this.#pause(rateMs, () => urgencyOf() === urgency)
    const mustYield = (): boolean => this.#goesAfter(urgencyOf())
    if (!mustYield()) return false
    await this.#pause(MAX_PAUSE_MS, mustYield)
    return true
  }

  #goesAfter(priority: FetchPriority): boolean {
    const { read, ahead, prefetch } = this.#running
    switch (priority) {
      case 'read':
      case 'ahead':
        return false
      case 'prefetch':
        return read > 0
      case 'background':
        return read + ahead + prefetch > 0
    }
  }

  /** Waits while `goesOn`, called at every wake-up, returns true; `timeoutMs` at most. */
  async #pause(timeoutMs: number, goesOn: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    while (goesOn()) {
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wakers.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }
}
