/** Pages of index files that were used last. One for all indexes of a thread: its size is what counts. */
import { LRUCache } from 'lru-cache'
import { PAGE_BYTES } from '../schema.js'
import type { TreePage } from './tree-page.js'

/** Page numbers are 32 bits; the number of a file goes above them. */
const PAGE_LIMIT = 2 ** 32
/** Pages are cut from slabs: a buffer of its own costs more than reading the page. */
const SLAB_BYTES = 8 * PAGE_BYTES

export interface PageCacheOptions {
  /** Of 4 KiB. */
  readonly maxPages: number
  /**
   * Whether the memory of pages that were dropped is used again, at each `recycle`. Otherwise it is
   * left to V8, which comes for memory outside its heap only when there are 64 MiB of it. Default false.
   */
  readonly recycles?: boolean
}

export class PageCache {
  readonly #maxPages: number
  readonly #pages: LRUCache<number, TreePage>
  /** Not used again yet: whoever asked for something may still look into them. */
  readonly #dropped: TreePage[] = []
  readonly #free: Buffer[] = []
  #slab = Buffer.alloc(0)
  #slabAt = 0
  #files = 0

  constructor(options: PageCacheOptions) {
    const { maxPages: max, recycles = false } = options
    this.#maxPages = max
    const dispose = (page: TreePage): void => {
      this.#dropped.push(page)
    }
    this.#pages = new LRUCache({ max, ...(recycles && { dispose }) })
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

  /** Memory to read a page into, with anything in it. */
  buffer(): Buffer {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#slabAt === this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabAt = 0
    }
    this.#slabAt += PAGE_BYTES
    return this.#slab.subarray(this.#slabAt - PAGE_BYTES, this.#slabAt)
  }

  /** Ends the life of all views into pages that were dropped since. */
  recycle(): void {
    for (let page = this.#dropped.pop(); page !== undefined; page = this.#dropped.pop()) {
      page.isGone = true
      if (this.#free.length < this.#maxPages) this.#free.push(page.bytes)
    }
  }
}
