/**
 * Caches the most recently used pages of index files. All indexes of a thread share one cache, so
 * that its size is the bound for all of them.
 */
import { LRUCache } from 'lru-cache'
import { PAGE_BYTES } from '../schema.js'
import type { TreePage } from './tree-page.js'

/** A key of the cache has the page number in its low 32 bits, and the number of the file above. */
const PAGE_LIMIT = 2 ** 32
/** Pages are cut from slabs: to allocate a buffer for each costs more than to read the page. */
const SLAB_BYTES = 8 * PAGE_BYTES

export interface PageCacheOptions {
  /** Pages kept at most, of 4 KiB each. */
  readonly maxPages: number
  /**
   * Whether `recycle` makes the memory of dropped pages available again. Otherwise V8 frees it, but
   * V8 collects memory outside its heap only when there are 64 MiB of it. Default false.
   */
  readonly recycles?: boolean
}

export class PageCache {
  readonly #maxPages: number
  readonly #pages: LRUCache<number, TreePage>
  /** Pages dropped since the last `recycle`. Callers may still have views into them. */
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

  /** A buffer of PAGE_BYTES to read a page into. It is not zeroed. */
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

  /** Makes the memory of dropped pages available again. All views into them become invalid. */
  recycle(): void {
    for (let page = this.#dropped.pop(); page !== undefined; page = this.#dropped.pop()) {
      page.isGone = true
      if (this.#free.length < this.#maxPages) this.#free.push(page.bytes)
    }
  }
}
