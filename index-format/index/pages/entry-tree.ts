/** Finds names of directories in the pages of an index file. Not shared between threads. */
import { MAX_DEPTH } from './inode-tree.js'
import { UnreadablePage } from './unreadable-page.js'
import type { PageSource } from './page-file.js'
import { integerBytes, type TreePage } from './tree-page.js'

/** A name and its inode number, unchecked. */
export interface EntryRow {
  /** A view into a page, valid until `PageCache.recycle`. */
  readonly name: Uint8Array
  readonly ino: number
}

interface Frame {
  readonly page: TreePage
  cell: number
}

/**
 * A place in the order of all entries: the pages from the root to the page of the next entry, which
 * is the last element, each with the number of its next cell.
 */
type Place = Frame[]

const NO_NAME = new Uint8Array(0)
/** Blobs have even serial types from 12 on: 12 + 2 times the length. */
const FIRST_BLOB_TYPE = 12
/** A longer record goes on in overflow pages: (4096 - 12) * 64 / 255 - 23. Names are shorter. */
const MAX_LOCAL_BYTES = 1002

function isWhole(place: Place): boolean {
  return !place.some(({ page }) => page.isGone)
}

export class EntryTree {
  readonly #file: PageSource
  readonly #rootPage: number
  /** Where the last listing stopped: the next batch usually goes on there. */
  #stopped: { readonly parent: number; readonly cookie: number; readonly place: Place } | undefined
  /** The columns of the cell that `#parse` read last. */
  #parent = 0
  #ino = 0
  #nameAt = 0
  #nameEnd = 0

  /** The caller keeps and closes `file`. */
  constructor(options: { rootPage: number }, modules: { file: PageSource }) {
    this.#file = modules.file
    this.#rootPage = options.rootPage
  }

  /** The inode number of a name in a directory; `undefined` if there is none. Throws `UnreadablePage`. */
  ino(parent: number, name: Uint8Array): number | undefined {
    let page = this.#file.page(this.#rootPage, 'index')
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const cell = this.#firstNotBelow(page, parent, name)
      if (cell < page.cells && this.#compare(page, cell, parent, name) === 0) return this.#ino
      if (page.isLeaf) return undefined
      page = this.#file.page(page.child(cell), 'index')
    }
    throw new UnreadablePage()
  }

  /** At most `limit` entries of a directory, after the first `cookie` of them. Throws `UnreadablePage`. */
  list(parent: number, cookie: number, limit: number): EntryRow[] {
    const place = this.#placeOf(parent, cookie)
    const rows: EntryRow[] = []
    while (rows.length < limit) {
      const page = this.#current(place)
      if (page === undefined) break
      this.#parse(page.page, page.cell)
      if (this.#parent !== parent) break
      rows.push({ name: page.page.bytes.subarray(this.#nameAt, this.#nameEnd), ino: this.#ino })
      this.#step(place)
    }
    this.#stopped = { parent, cookie: cookie + rows.length, place }
    return rows
  }

  #placeOf(parent: number, cookie: number): Place {
    const stopped = this.#stopped
    this.#stopped = undefined
    if (stopped?.parent === parent && stopped.cookie === cookie && isWhole(stopped.place)) {
      return stopped.place
    }
    const place: Place = []
    this.#descend(place, this.#rootPage, parent)
    this.#skip(place, cookie)
    return place
  }

  /** Goes down to the first entry of a directory, or to the place where it would be. */
  #descend(place: Place, pageNumber: number, parent: number): void {
    for (let number = pageNumber; place.length < MAX_DEPTH;) {
      const page = this.#file.page(number, 'index')
      const cell = this.#firstNotBelow(page, parent, NO_NAME)
      place.push({ page, cell })
      if (page.isLeaf) return
      number = page.child(cell)
    }
    throw new UnreadablePage()
  }

  /**
   * Skips entries, a leaf at a time. It may go on into later directories: `list` then finds no more
   * entries of this one, which is right.
   */
  #skip(place: Place, count: number): void {
    let left = count
    while (left > 0) {
      const frame = this.#current(place)
      if (frame === undefined) return
      if (!frame.page.isLeaf) {
        this.#step(place)
        left--
        continue
      }
      const here = Math.min(left, frame.page.cells - frame.cell)
      frame.cell += here
      left -= here
    }
  }

  /**
   * The frame whose cell is the next entry. It is a leaf's or, when all cells of the leaf are done,
   * that of a page above it. `undefined` at the end of the tree.
   */
  #current(place: Place): Frame | undefined {
    for (;;) {
      const frame = place.at(-1)
      if (frame === undefined || frame.cell < frame.page.cells) return frame
      place.pop()
    }
  }

  /** Goes to the entry after `#current`'s. After a cell of an inner page comes its right child. */
  #step(place: Place): void {
    const frame = place.at(-1)
    if (frame === undefined) return
    frame.cell++
    if (frame.page.isLeaf) return
    for (let number = frame.page.child(frame.cell); place.length < MAX_DEPTH;) {
      const page = this.#file.page(number, 'index')
      place.push({ page, cell: 0 })
      if (page.isLeaf) return
      number = page.child(0)
    }
    throw new UnreadablePage()
  }

  /** Number of the first cell that does not come before a name; `page.cells` if all do. */
  #firstNotBelow(page: TreePage, parent: number, name: Uint8Array): number {
    let low = 0
    let high = page.cells
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(page, middle, parent, name) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Negative if the cell comes before the name. Leaves the cell's columns in the fields. */
  #compare(page: TreePage, cell: number, parent: number, name: Uint8Array): number {
    this.#parse(page, cell)
    if (this.#parent !== parent) return this.#parent - parent
    const { bytes } = page
    const length = this.#nameEnd - this.#nameAt
    const common = Math.min(length, name.length)
    for (let i = 0; i < common; i++) {
      const difference = (bytes[this.#nameAt + i] ?? 0) - (name[i] ?? 0)
      if (difference !== 0) return difference
    }
    return length - name.length
  }

  #parse(page: TreePage, cell: number): void {
    page.seek(cell)
    if (page.varint() > MAX_LOCAL_BYTES) throw new UnreadablePage()
    const start = page.at
    const headerBytes = page.varint()
    const parentType = page.varint()
    const nameType = page.varint()
    const inoType = page.varint()
    if (nameType < FIRST_BLOB_TYPE || (nameType & 1) === 1) throw new UnreadablePage()
    if (page.at !== start + headerBytes) throw new UnreadablePage()
    const parent = page.integer(parentType, page.at)
    this.#nameAt = page.at + integerBytes(parentType)
    this.#nameEnd = this.#nameAt + (nameType - FIRST_BLOB_TYPE) / 2
    if (this.#nameEnd > page.bytes.length) throw new UnreadablePage()
    const ino = page.integer(inoType, this.#nameEnd)
    if (parent === null || ino === null) throw new UnreadablePage()
    this.#parent = parent
    this.#ino = ino
  }
}
