/**
 * Remembers with which name a page of a directory ended, so that the next page begins with a search
 * for that name instead of counting entries from the start. Forgetting only costs time.
 */
import type { DirEntry } from '../tree/tree.js'

const REMEMBERED = 1024

export class PageEnds {
  readonly #names = new Map<string, Uint8Array>()

  /** The name of the entry with this cookie, if a page ended with it lately. */
  nameAt(parent: number, cookie: number): Uint8Array | undefined {
    return this.#names.get(`${parent}:${cookie}`)
  }

  remember(parent: number, last: DirEntry): void {
    if (this.#names.size >= REMEMBERED) {
      const [oldest] = this.#names.keys()
      if (oldest !== undefined) this.#names.delete(oldest)
    }
    this.#names.set(`${parent}:${last.cookie}`, last.name)
  }
}
