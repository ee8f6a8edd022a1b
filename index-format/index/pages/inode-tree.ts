/** Finds rows of the inode table in the pages of an index file. Not shared between threads. */
import { UnreadablePage } from './unreadable-page.js'
import type { PageSource } from './page-file.js'
import { INODE_COLUMNS } from '../row.js'
import { integerBytes, type TreePage } from './tree-page.js'

/** A tree of 2^32 rows has far fewer levels. In a deeper one, pages lead back to themselves. */
export const MAX_DEPTH = 12

/** Number of columns in `#row`: those of INODE_COLUMNS, then `pack` and `raw_offset`. */
const COLUMNS = INODE_COLUMNS.length + 2

export class InodeTree {
  readonly #file: PageSource
  readonly #rootPage: number
  readonly #row: (number | null)[] = new Array<number | null>(COLUMNS).fill(null)
  /** Page of the last row. Siblings have consecutive numbers: the next row is often beside it. */
  #leaf: TreePage | undefined
  #cell = 0

  /** The caller keeps and closes `file`. */
  constructor(options: { rootPage: number }, modules: { file: PageSource }) {
    this.#file = modules.file
    this.#rootPage = options.rootPage
  }

  /**
   * The columns of INODE_COLUMNS, then `pack` and `raw_offset`, unchecked. The next call overwrites
   * the array. `undefined` if there is no such inode. Throws `UnreadablePage`.
   */
  row(ino: number): readonly (number | null)[] | undefined {
    const page = this.#beside(ino) ?? this.#find(ino)
    if (page === undefined) return undefined
    this.#decode(page, ino)
    return this.#row
  }

  /** Goes to the cell after the last one, if that cell is this inode's, and returns its page. */
  #beside(ino: number): TreePage | undefined {
    const page = this.#leaf
    if (page === undefined || page.isGone || this.#cell + 1 >= page.cells) return undefined
    if (keyOf(page, this.#cell + 1) !== ino) return undefined
    this.#cell++
    return page
  }

  #find(ino: number): TreePage | undefined {
    let page = this.#file.page(this.#rootPage, 'table')
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const cell = firstNotBelow(page, ino)
      if (page.isLeaf) {
        if (cell === page.cells || keyOf(page, cell) !== ino) return undefined
        this.#leaf = page
        this.#cell = cell
        return page
      }
      page = this.#file.page(page.child(cell), 'table')
    }
    throw new UnreadablePage()
  }

  /** Decodes the record at `page.at`: `keyOf` has left it there, after the row's number. */
  #decode(page: TreePage, ino: number): void {
    const start = page.at
    const headerBytes = page.varint()
    let at = start + headerBytes
    const row = this.#row
    for (let column = 0; column < COLUMNS; column++) {
      const type = page.varint()
      row[column] = page.integer(type, at)
      at += integerBytes(type)
    }
    // SQLite stores the column `ino` as NULL: its value is the row's number.
    if (row[0] !== null || page.at > start + headerBytes) throw new UnreadablePage()
    row[0] = ino
  }
}

/** Number of the first cell whose key is not below `ino`; `page.cells` if all are. */
function firstNotBelow(page: TreePage, ino: number): number {
  let low = 0
  let high = page.cells
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keyOf(page, middle) < ino) low = middle + 1
    else high = middle
  }
  return low
}

/** The key of a cell. In a leaf, this leaves `page.at` at the record. */
function keyOf(page: TreePage, cell: number): number {
  page.seek(cell)
  // In a leaf, the length of the record comes first.
  if (page.isLeaf) page.varint()
  return page.varint()
}
