/** The pages of one index file, read as they are. */
import { closeSync, openSync, readSync } from 'node:fs'
import { UnreadablePage } from './unreadable-page.js'
import type { PageCache } from './page-cache.js'
import { PAGE_BYTES } from '../schema.js'
import { type TreeKind, TreePage } from './tree-page.js'

/** Gives pages of an index by their number. */
export type PageSource = Pick<PageFile, 'page'>

export class PageFile {
  readonly #fd: number
  readonly #cache: PageCache
  readonly #file: number
  #closed = false

  private constructor(fd: number, cache: PageCache) {
    this.#fd = fd
    this.#cache = cache
    this.#file = cache.nextFile()
  }

  /** Opens for reading; pages are kept in `cache`. Throws what open(2) gives; the caller closes it. */
  static open(path: string, cache: PageCache): PageFile {
    return new PageFile(openSync(path, 'r'), cache)
  }

  /** A page by its number, from 1 on: views into it are true until `PageCache.recycle`. Throws `UnreadablePage`. */
  page(number: number, kind: TreeKind): TreePage {
    const known = this.#cache.get(this.#file, number)
    if (known?.kind === kind) return known
    const page = new TreePage(this.#read(number), kind)
    this.#cache.set(this.#file, number, page)
    return page
  }

  /** A page as it is, the caller's own. Throws `UnreadablePage`. */
  bytes(number: number): Buffer {
    const page = Buffer.allocUnsafeSlow(PAGE_BYTES)
    const lengthBytes = readSync(this.#fd, page, 0, PAGE_BYTES, (number - 1) * PAGE_BYTES)
    if (lengthBytes !== PAGE_BYTES) throw new UnreadablePage()
    return page
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
  }

  #read(number: number): Buffer {
    const page = this.#cache.buffer()
    let lengthBytes: number
    try {
      lengthBytes = readSync(this.#fd, page, 0, PAGE_BYTES, (number - 1) * PAGE_BYTES)
    } catch {
      // SQLite reads the same file and has the better words for what is wrong with it.
      throw new UnreadablePage()
    }
    if (number < 2 || lengthBytes !== PAGE_BYTES) throw new UnreadablePage()
    return page
  }
}
