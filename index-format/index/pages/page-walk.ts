/**
 * Finds the pages of an index file that answer certain questions. It walks the B-trees as a reader
 * would: to names of directories, rows of inodes, and rows that begin with a certain number.
 */
import type { RootPages } from '../connection.js'
import { EntryTree } from './entry-tree.js'
import { InodeTree, MAX_DEPTH } from './inode-tree.js'
import { UnreadablePage } from './unreadable-page.js'
import type { PageSource } from './page-file.js'
import { integerBytes, type TreeKind, type TreePage } from './tree-page.js'

export class PageWalk {
  readonly #seen = new Set<number>()
  readonly #roots: RootPages
  readonly #pages: PageSource
  readonly #entries: EntryTree
  readonly #inodes: InodeTree

  /** The caller keeps and closes `pages`. */
  constructor(options: { roots: RootPages }, modules: { pages: PageSource }) {
    this.#roots = options.roots
    this.#pages = {
      page: (number, kind) => {
        this.#seen.add(number)
        return modules.pages.page(number, kind)
      },
    }
    const file = this.#pages
    this.#entries = new EntryTree({ rootPage: this.#root('entry') }, { file })
    this.#inodes = new InodeTree({ rootPage: this.#root('inode') }, { file })
  }

  /** Numbers of the pages that were needed so far, ascending. */
  get seen(): readonly number[] {
    return [...this.#seen].sort((a, b) => a - b)
  }

  /**
   * Walks to every name of a directory, and to the row of each inode it names. These pages also
   * answer the lookup of a name that is not there. Throws `UnreadablePage`, as all methods here.
   */
  directory(ino: number): void {
    this.inode(ino)
    for (const entry of this.#entries.list(ino, 0, Number.POSITIVE_INFINITY)) this.inode(entry.ino)
  }

  inode(ino: number): void {
    this.#inodes.row(ino)
  }

  /** Walks a whole table. */
  table(name: string, kind: TreeKind): void {
    this.#visit(kind, this.#root(name), 0, () => true)
  }

  /** Walks to all rows whose first column is one of `wanted`. The table must be WITHOUT ROWID. */
  rows(name: string, wanted: Iterable<number>): void {
    const sorted = [...wanted].sort((a, b) => a - b)
    const isWanted = (from: number, to: number): boolean => {
      const next = sorted[firstNotBelow(sorted, from)]
      return next !== undefined && next <= to
    }
    this.#visit('index', this.#root(name), 0, isWanted)
  }

  #visit(
    kind: TreeKind,
    number: number,
    depth: number,
    isWanted: (from: number, to: number) => boolean,
  ): void {
    if (depth === MAX_DEPTH) throw new UnreadablePage()
    const page = this.#pages.page(number, kind)
    if (page.isLeaf) return
    let from = Number.NEGATIVE_INFINITY
    for (let cell = 0; cell <= page.cells; cell++) {
      const isLast = cell === page.cells
      const to = isLast || kind === 'table' ? Number.POSITIVE_INFINITY : firstColumn(page, cell)
      if (isWanted(from, to)) this.#visit(kind, page.child(cell), depth + 1, isWanted)
      from = to
    }
  }

  #root(table: string): number {
    const root = this.#roots.get(table)
    if (root === undefined) throw new UnreadablePage()
    return root
  }
}

/** The number in the first column of a record. */
function firstColumn(page: TreePage, cell: number): number {
  page.seek(cell)
  // Skips the length of the record.
  page.varint()
  const start = page.at
  const headerBytes = page.varint()
  const type = page.varint()
  const value = integerBytes(type) === 0 ? page.integer(type, start) : null
  const column = value ?? page.integer(type, start + headerBytes)
  if (column === null) throw new UnreadablePage()
  return column
}

function firstNotBelow(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}
