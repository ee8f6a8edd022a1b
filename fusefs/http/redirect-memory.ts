/** Where ranges of a URL were redirected to, so that the next one is asked for there at once. */
import { LRUCache } from 'lru-cache'

export interface RedirectMemoryLimits {
  /** How long the end of a redirect is asked directly: signed URLs expire. */
  readonly redirectMemoryMs: number
  readonly maxRememberedRedirects: number
}

export class RedirectMemory {
  readonly #ends: LRUCache<string, URL>

  constructor(limits: RedirectMemoryLimits) {
    this.#ends = new LRUCache({ max: limits.maxRememberedRedirects, ttl: limits.redirectMemoryMs })
  }

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
