/** Reads pages of one index file. */
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

  /**
   * Opens the file at `path` for reading and keeps its pages in `cache`. Throws Node's error if
   * open(2) fails. The caller closes the file.
   */
  static open(path: string, cache: PageCache): PageFile {
    return new PageFile(openSync(path, 'r'), cache)
  }

  /**
   * The B-tree page with this number, from 2 on. Views into it are valid until `PageCache.recycle`.
   * Throws `UnreadablePage` if it cannot be read or is not of `kind`.
   */
  page(number: number, kind: TreeKind): TreePage {
    const known = this.#cache.get(this.#file, number)
    if (known?.kind === kind) return known
    const page = new TreePage(this.#read(number), kind)
    this.#cache.set(this.#file, number, page)
    return page
  }

  /** The bytes of the page with this number, from 1 on, in a new buffer. Throws `UnreadablePage`. */
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
      // The cause is dropped: SQLite reads the same file and describes the error better.
      throw new UnreadablePage()
    }
    if (number < 2 || lengthBytes !== PAGE_BYTES) throw new UnreadablePage()
    return page
  }
}
