/**
 * Answers the kernel's three most frequent questions from the pages of the index file: a name, an
 * inode, a directory with attributes. SQLite gives the same answers, but passing a row of twelve
 * columns to JavaScript costs four times as much as finding it. Unusual pages are left to SQLite,
 * which knows the whole format and describes damage.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Database as Connection } from 'better-sqlite3'
import { MAX_INO } from '../../limits.js'
import type { DirEntryPlus, Inode } from '../../tree/tree.js'
import { rootPages } from '../connection.js'
import { EntryTree } from './entry-tree.js'
import { InodeTree } from './inode-tree.js'
import type { PageCache } from './page-cache.js'
import { PageFile } from './page-file.js'
import { INODE_COLUMNS, inodeFromRow, integerFromRow, invalidRow, nameFromRow } from '../row.js'

/** Header field (sqlite.org/fileformat2.html, "The Database Header"): reserved bytes of a page. */
const RESERVED_BYTES_AT = 20

const MODE = INODE_COLUMNS.indexOf('mode')
const SIZE = INODE_COLUMNS.indexOf('size')
const PACK = INODE_COLUMNS.length

export class DirectReader {
  readonly #file: PageFile
  readonly #entries: EntryTree
  readonly #inodes: InodeTree

  private constructor(file: PageFile, roots: { entry: number; inode: number }) {
    this.#file = file
    this.#entries = new EntryTree({ rootPage: roots.entry }, { file })
    this.#inodes = new InodeTree({ rootPage: roots.inode }, { file })
  }

  /**
   * A reader of the file at `path`, which `connection` has open. `undefined` if only SQLite can
   * read this file. The caller closes the reader.
   */
  static open(path: string, connection: Connection, cache: PageCache): DirectReader | undefined {
    const roots = rootPages(connection)
    const [entry, inode] = [roots.get('entry'), roots.get('inode')]
    if (entry === undefined || inode === undefined || !hasWholePages(path)) return undefined
    return new DirectReader(PageFile.open(path, cache), { entry, inode })
  }

  /** Throws `invalid-index` or `UnreadablePage`, as all methods here. */
  inode(ino: number): Inode | undefined {
    const row = this.#inodes.row(ino)
    return row && inodeFromRow(row, 0)
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    const ino = this.#entries.ino(parent, name)
    return ino === undefined ? undefined : integerFromRow(ino, 1, MAX_INO, 'entry', parent, 'ino')
  }

  lookupInode(parent: number, name: Uint8Array): Inode | undefined {
    const ino = this.#entries.ino(parent, name)
    return ino === undefined ? undefined : this.#named(parent, ino)
  }

  readdirPlus(parent: number, cookie: number, limit: number): DirEntryPlus[] {
    return this.#entries.list(parent, cookie, limit).map(({ name, ino }, at) => {
      nameFromRow(name, parent)
      const inode = this.#named(parent, ino)
      return { name, ino, mode: inode.mode, cookie: cookie + 1 + at, inode }
    })
  }

  /** [mode, size, pack, raw_offset] of an inode, unchecked. */
  inlineExtentRow(ino: number): readonly unknown[] | undefined {
    const row = this.#inodes.row(ino)
    return row && [row[MODE], row[SIZE], row[PACK], row[PACK + 1]]
  }

  /** Idempotent. */
  close(): void {
    this.#file.close()
  }

  #named(parent: number, ino: number): Inode {
    integerFromRow(ino, 1, MAX_INO, 'entry', parent, 'ino')
    const inode = this.inode(ino)
    if (inode !== undefined) return inode
    throw invalidRow('entry', parent, `names inode ${ino}, which is not there`)
  }
}

function hasWholePages(path: string): boolean {
  const header = Buffer.alloc(RESERVED_BYTES_AT + 1)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, header, 0, header.length, 0)
    return header[RESERVED_BYTES_AT] === 0
  } finally {
    closeSync(fd)
  }
}
