/**
 * The range requests under way, by how urgent they are, and what follows from that: which kind may
 * start another, and which have to let others go first while their bytes arrive.
 */
import type { ContentLimits } from '../content-limits.js'
import type { FetchPriority } from './frame-flight.js'
import { RateLimit } from './rate-limit.js'

/** A piece of a body waits for reads this long at most, so that no server gives its sender up. */
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

  /** Whether a request of this kind may start, given how many of `maxConcurrentFetches` are left. */
  mayStart(priority: FetchPriority): boolean {
    const { read, ahead, prefetch, background } = this.#running
    const { maxConcurrentFetches, maxConcurrentPrefetches } = this.#limits
    if (read + ahead + prefetch + background >= maxConcurrentFetches) return false
    // A read always finds a place, or waits for another read.
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

  /** Something may go on that had to wait: a read has what it wanted, or wants what waits. */
  wake(): void {
    for (const waker of this.#wakers) waker()
    this.#wakers.clear()
  }

  /**
   * Called with each piece that has arrived for a request whose most urgent frame `urgencyOf` tells:
   * resolves when the next one may be taken in. What is not taken in fills the socket's buffers, and
   * its sender stops. True when it had to wait for others.
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

  /** Waits while `goesOn`, asked at every wake-up, and for `timeoutMs` at most. */
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
