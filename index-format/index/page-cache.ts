/** Pages of index files that were used last. One for all indexes of a thread: its size is what counts. */
import { LRUCache } from 'lru-cache'
import type { TreePage } from './tree-page.js'

/** Page numbers are 32 bits; the number of a file goes above them. */
const PAGE_LIMIT = 2 ** 32

export class PageCache {
  readonly #pages: LRUCache<number, TreePage>
  #files = 0

  /** `maxPages`: of 4 KiB. */
  constructor(options: { maxPages: number }) {
    this.#pages = new LRUCache({ max: options.maxPages })
  }

  /** A number for a file that was just opened, for `get` and `set`. */
  nextFile(): number {
    return this.#files++
  }

  get(file: number, page: number): TreePage | undefined {
    return this.#pages.get(file * PAGE_LIMIT + page)
  }

  set(file: number, page: number, parsed: TreePage): void {
    this.#pages.set(file * PAGE_LIMIT + page, parsed)
  }
}
