/**
 * Remembers the end of the redirects of a URL, so that the next range is requested there at once.
 */
import { LRUCache } from 'lru-cache'

export interface RedirectMemoryLimits {
  /** How long an end is remembered. Signed URLs expire. */
  readonly redirectMemoryMs: number
  readonly maxRememberedRedirects: number
}

export class RedirectMemory {
  readonly #ends: LRUCache<string, URL>

  constructor(limits: RedirectMemoryLimits) {
    this.#ends = new LRUCache({ max: limits.maxRememberedRedirects, ttl: limits.redirectMemoryMs })
  }

  /** The remembered end; `undefined` if none is known, or if `url` was not redirected. */
  endOf(url: URL): URL | undefined {
    return this.#ends.get(url.href)
  }

  remember(url: URL, end: URL): void {
    if (end.href !== url.href) this.#ends.set(url.href, end)
  }

  forget(url: URL): void {
    this.#ends.delete(url.href)
  }
}
