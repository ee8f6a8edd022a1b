/**
 * Counts the range requests under way by priority and by origin. From the counts it decides whether
 * a request of a priority may start, and whether a transfer must pause to let more urgent ones go
 * first. A request without progress counts only at its own origin: a server that accepts requests
 * and never answers must not stop reads from other servers.
 */
import type { ContentLimits } from '../content-limits.js'
import { FetchPlace } from './fetch-place.js'
import type { FetchPriority } from './frame-flight.js'
import { RateLimit } from './rate-limit.js'

/** Longest pause after a piece of a body. A server might close a connection that pauses longer. */
const MAX_PAUSE_MS = 1_000
/**
 * Limit of all requests under way, as a multiple of `maxConcurrentFetches`. Requests without
 * progress count, too.
 */
const REQUESTS_PER_PLACE = 8

/** The requests of one origin. */
interface OriginLoad {
  /** Requests under way, those without progress included. */
  requests: number
  /** Requests that hold a place. */
  places: number
}

export class FetchTraffic {
  readonly #limits: ContentLimits
  readonly #onPlaceFree: () => void
  readonly #origins = new Map<string, OriginLoad>()
  /** Requests under way, those without progress included. */
  #requests = 0
  /** Requests that hold a place. */
  readonly #running: Record<FetchPriority, number> = {
    read: 0,
    ahead: 0,
    prefetch: 0,
    background: 0,
  }
  readonly #rates: Readonly<Record<'prefetch' | 'background', RateLimit>>
  readonly #wakers = new Set<() => void>()

  /** `onPlaceFree` is called when a request gives its place back or ends. */
  constructor(limits: ContentLimits, onPlaceFree: () => void) {
    this.#limits = limits
    this.#onPlaceFree = onPlaceFree
    this.#rates = {
      prefetch: new RateLimit({ bytesPerSecond: limits.prefetchBytesPerSecond }),
      background: new RateLimit({ bytesPerSecond: limits.backgroundBytesPerSecond }),
    }
  }

  /** Whether a request of this priority may start now at this origin. */
  mayStart(priority: FetchPriority, origin: string): boolean {
    const { read, ahead, prefetch, background } = this.#running
    const { maxConcurrentFetches, maxConcurrentPrefetches } = this.#limits
    const { requests, places } = this.#origins.get(origin) ?? { requests: 0, places: 0 }
    const mostAtOrigin =
      priority === 'read' ? maxConcurrentFetches : placesBesideReads(maxConcurrentFetches)
    if (requests >= mostAtOrigin) return false
    if (this.#requests >= REQUESTS_PER_PLACE * maxConcurrentFetches) return false
    if (read + ahead + prefetch + background >= maxConcurrentFetches) {
      // A read from an origin without any request does not wait for other origins.
      return priority === 'read' && places === 0
    }
    // Up to two places are kept for reads, so that a read waits only for other reads. The other
    // priorities always have one place: when `maxConcurrentFetches` is 1, a read may wait for them.
    const hasPlace = ahead + prefetch + background < placesBesideReads(maxConcurrentFetches)
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

  /** Counts a request that starts. The caller calls `ended` with its place when it has ended. */
  started(priority: FetchPriority, origin: string): FetchPlace {
    const load = this.#origins.get(origin) ?? { requests: 0, places: 0 }
    this.#origins.set(origin, load)
    this.#requests++
    load.requests++
    load.places++
    this.#running[priority]++
    const onChange = (isTaken: boolean): void => {
      const change = isTaken ? 1 : -1
      this.#running[priority] += change
      load.places += change
      if (!isTaken) this.#placeFreed()
    }
    return new FetchPlace({ noProgressMs: this.#limits.noProgressMs, onChange })
  }

  /** Counts the end of the request that holds or held this place. */
  ended(place: FetchPlace, origin: string): void {
    place.leave()
    this.#requests--
    const load = this.#origins.get(origin)
    if (load === undefined) return
    load.requests--
    if (load.requests === 0) this.#origins.delete(origin)
    this.#placeFreed()
  }

  #placeFreed(): void {
    this.wake()
    this.#onPlaceFree()
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

/** Places that requests other than reads may take. */
function placesBesideReads(maxConcurrentFetches: number): number {
  return Math.max(1, maxConcurrentFetches - 2)
}
