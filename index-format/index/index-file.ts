/**
 * Reads one index file: the tree it describes and the packs its content is in. Opening does no work
 * that grows with the tree. Whatever a file holds, reading it gives exact values or an
 * `IndexFormatError`. Each thread opens an `Index` of its own.
 */
import type { Database as Connection, Statement } from 'better-sqlite3'
import { bytesFromDigest, type Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { isSymlink } from '../file-mode.js'
import {
  MAX_EXTENTS_PER_FILE,
  MAX_INO,
  MAX_LINK_TARGET_BYTES,
  MAX_PACKS,
  MAX_XATTR_NAME_BYTES,
  MAX_XATTR_VALUE_BYTES,
  MAX_XATTRS_PER_INODE,
} from '../limits.js'
import type { PackTable } from '../pack/pack-table.js'
import {
  type DirEntry,
  type DirEntryPlus,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from '../tree/tree.js'
import { extentFromRow, inlineExtentFromRow } from './extent-row.js'
import { openConnection, readMeta, refusal } from './connection.js'
import { DirectReader } from './pages/direct-reader.js'
import type { IndexMeta } from './index-meta.js'
import { UnreadablePage } from './pages/unreadable-page.js'
import { PageCache } from './pages/page-cache.js'
import { type PackRef, packRefFromRow, packTableFromRows } from './pack-rows.js'
import { QUERIES, type QueryName } from './queries.js'
import { ReaddirMemory } from './readdir-memory.js'
import {
  bytesFromRow,
  inodeFromRow,
  integerFromRow,
  invalidRow,
  modeFromRow,
  nameFromRow,
} from './row.js'

export interface IndexOptions {
  /** SQLite's page cache. Default 1 MiB; the kernel's page cache holds the file anyway. */
  readonly cacheBytes?: number
  /** Pages for names, inodes and listings. All indexes of a thread may share one. Default: own. */
  readonly pages?: PageCache
  /**
   * Whether pages of the file are missing. The file has its full size; a missing page is all
   * zeroes, which no page of a table is. A method that needs a missing page throws
   * `incomplete-index`. Every answer that is given is that of the whole file. Default false.
   */
  readonly isPartial?: boolean
}

type Row = readonly unknown[]
type Query = Statement<unknown[], Row>

const DEFAULT_CACHE_BYTES = 1024 * 1024
const DEFAULT_PAGES = 64
/** Names remembered so that directory listings can go on; 100 KiB at usual name lengths. */
const MAX_REMEMBERED_NAMES = 1024

export class Index implements Tree {
  /** The file, for messages. */
  readonly path: string
  readonly meta: IndexMeta
  readonly #connection: Connection
  readonly #queries = new Map<QueryName, Query>()
  readonly #memory = new ReaddirMemory(MAX_REMEMBERED_NAMES)
  readonly #isPartial: boolean
  /** `undefined` after it has met a page that it leaves to SQLite, and after `close`. */
  #direct: DirectReader | undefined

  private constructor(path: string, connection: Connection, options: IndexOptions) {
    const pages = options.pages ?? new PageCache({ maxPages: DEFAULT_PAGES })
    this.path = path
    this.#connection = connection
    this.#isPartial = options.isPartial ?? false
    this.meta = readMeta(connection)
    this.#direct = DirectReader.open(path, connection, pages)
  }

  /**
   * Opens an index file that nobody writes to any more. The caller has verified its digest. Throws
   * `invalid-index` or `unsupported-version`, or SQLite's own error if the file cannot be opened at
   * all. The caller closes the index.
   */
  static open(path: string, options: IndexOptions = {}): Index {
    const connection = openConnection(path, options.cacheBytes ?? DEFAULT_CACHE_BYTES)
    try {
      return new Index(path, connection, options)
    } catch (cause) {
      connection.close()
      throw refusal(path, cause)
    }
  }

  inode(ino: number): Inode | undefined {
    return this.#directly(
      (direct) => direct.inode(ino),
      () => {
        const row = this.#get('inode', ino)
        return row && inodeFromRow(row, 0)
      },
    )
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#directly(
      (direct) => direct.lookup(parent, name),
      () => {
        const row = this.#get('lookup', parent, name)
        return row && integerFromRow(row[0], 1, MAX_INO, 'entry', parent, 'ino')
      },
    )
  }

  /** `lookup` and `inode` in one statement, for a FUSE LOOKUP. */
  lookupInode(parent: number, name: Uint8Array): Inode | undefined {
    return this.#directly(
      (direct) => direct.lookupInode(parent, name),
      () => {
        const row = this.#get('lookupInode', parent, name)
        return row && joinedInode(row, 0, parent)
      },
    )
  }

  /**
   * The directory of an inode, and its name there; if it has several names, any of them. No walk is
   * needed, because children have consecutive numbers, in the order of their directories.
   * `undefined` for the root, for an inode that is not in the tree, and if hard links prevent this
   * search from finding it.
   */
  placeOf(ino: number): { parent: number; name: Uint8Array } | undefined {
    let parent = ROOT_INO
    for (let high = ino - 1; parent < high;) {
      const middle = Math.ceil((parent + high) / 2)
      const row = this.#get('entryFrom', middle)
      const found = row && integerFromRow(row[0], middle, MAX_INO, 'entry', middle, 'parent')
      const first = row && integerFromRow(row[1], 1, MAX_INO, 'entry', middle, 'ino')
      if (found === undefined || found > high || first === undefined || first > ino)
        high = middle - 1
      else parent = found
    }
    const row = this.#get('nameOf', parent, ino)
    return row && { parent, name: nameFromRow(row[0], parent) }
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    return this.#list('readdir', parent, cookie, limit, (row, name, at) => {
      const ino = integerFromRow(row[1], 1, MAX_INO, 'entry', parent, 'ino')
      return { name, ino, mode: modeFromRow(row[2], ino), cookie: at }
    })
  }

  /** `readdir` and each entry's `inode` in one statement, for a FUSE READDIRPLUS. */
  readdirPlus(parent: number, cookie: number, limit: number): DirEntryPlus[] {
    return this.#directly(
      (direct) => direct.readdirPlus(parent, cookie, limit),
      () =>
        this.#list('readdirPlus', parent, cookie, limit, (row, name, at) => {
          const inode = joinedInode(row, 1, parent)
          return { name, ino: inode.ino, mode: inode.mode, cookie: at, inode }
        }),
    )
  }

  readlink(ino: number): Uint8Array | undefined {
    const row = this.#get('readlink', ino)
    if (row === undefined || !isSymlink(modeFromRow(row[0], ino))) return undefined
    if (this.#isPartial && Number(row[1]) > MAX_LOCAL_TARGET_BYTES) throw this.#incomplete()
    const target = bytesFromRow(row[2], 1, MAX_LINK_TARGET_BYTES, 'inode', ino, 'target')
    if (target.length !== row[1]) throw invalidRow('inode', ino, 'size differs from the target')
    return target
  }

  xattrs(ino: number): Xattr[] {
    if (!this.meta.xattrs) return []
    if (this.#isPartial) throw this.#incomplete()
    const rows = this.#all('xattrs', ino)
    if (rows.length > MAX_XATTRS_PER_INODE) throw invalidRow('xattr', ino, 'too many attributes')
    return rows.map((row) => ({
      name: bytesFromRow(row[0], 1, MAX_XATTR_NAME_BYTES, 'xattr', ino, 'name'),
      value: bytesFromRow(row[1], 0, MAX_XATTR_VALUE_BYTES, 'xattr', ino, 'value'),
    }))
  }

  /** The value of one attribute, for a FUSE GETXATTR; `undefined` if the inode does not have it. */
  xattr(ino: number, name: Uint8Array): Uint8Array | undefined {
    if (this.#isPartial && this.meta.xattrs) throw this.#incomplete()
    const row = this.#get('xattr', ino, name)
    return row && bytesFromRow(row[0], 0, MAX_XATTR_VALUE_BYTES, 'xattr', ino, 'value')
  }

  /** `pack` of each extent is a key that `packTable` takes. */
  extents(ino: number): Extent[] {
    const row = this.#directly(
      (direct) => direct.inlineExtentRow(ino),
      () => this.#get('inlineExtent', ino),
    )
    if (row === undefined) return []
    const inline = inlineExtentFromRow(row, ino)
    if (inline !== undefined) return [inline]
    const rows = this.#all('extents', ino)
    if (rows.length > MAX_EXTENTS_PER_FILE) throw invalidRow('extent', ino, 'too many extents')
    let end = 0
    return rows.map((extentRow) => {
      const extent = extentFromRow(extentRow, ino, end, row[1])
      end = extent.offset + extent.length
      return extent
    })
  }

  /** The packs this tree refers to, in order of key: 1 to `meta.packs`. */
  packs(): PackRef[] {
    return this.#all('packs').map(packRefFromRow)
  }

  /** One pack with all its frames. Throws `invalid-index` for a key that is not in the index. */
  packTable(packKey: number): PackTable {
    const row = this.#get('pack', packKey)
    if (row === undefined) throw invalidRow('pack', packKey, 'no such row')
    return packTableFromRows(packRefFromRow(row), this.#all('frames', packKey))
  }

  /** The key of the pack with this digest, if the tree refers to it. Reads the whole pack table. */
  packKeyOf(digest: Digest): number | undefined {
    const row = this.#get('packKey', bytesFromDigest(digest))
    return row && integerFromRow(row[0], 1, MAX_PACKS, 'pack', digest, 'key')
  }

  /** Idempotent. */
  close(): void {
    this.#direct?.close()
    this.#direct = undefined
    this.#connection.close()
  }

  /**
   * Answers from the file's pages if possible, otherwise through SQLite. After the first `UnreadablePage`
   * it asks SQLite only. If the index is partial, an `UnreadablePage` becomes `incomplete-index` instead.
   */
  #directly<T>(read: (direct: DirectReader) => T, otherwise: () => T): T {
    const direct = this.#direct
    if (direct === undefined) return otherwise()
    try {
      return read(direct)
    } catch (error) {
      if (!(error instanceof UnreadablePage)) throw error
      if (this.#isPartial) throw this.#incomplete(error)
      direct.close()
      this.#direct = undefined
      return otherwise()
    }
  }

  #list<Entry>(
    query: 'readdir' | 'readdirPlus',
    parent: number,
    cookie: number,
    limit: number,
    entryFromRow: (row: Row, name: Uint8Array, cookie: number) => Entry,
  ): Entry[] {
    const after = cookie === 0 ? NO_NAME : this.#nameAt(parent, cookie)
    if (after === undefined) return []
    const rows = this.#all(query, parent, after, limit)
    const names: Uint8Array[] = []
    const entries = rows.map((row, at) => {
      const name = nameFromRow(row[0], parent)
      names.push(name)
      return entryFromRow(row, name, cookie + 1 + at)
    })
    if (rows.length > 0 && rows.length === limit) this.#memory.remember(parent, cookie + 1, names)
    return entries
  }

  #nameAt(parent: number, cookie: number): Uint8Array | undefined {
    const remembered = this.#memory.nameAt(parent, cookie)
    if (remembered !== undefined) return remembered
    const row = this.#get('nameAt', parent, cookie - 1)
    return row && nameFromRow(row[0], parent)
  }

  #get(query: QueryName, ...values: unknown[]): Row | undefined {
    try {
      return this.#statement(query).get(...values)
    } catch (cause) {
      throw this.#refusal(cause)
    }
  }

  #all(query: QueryName, ...values: unknown[]): Row[] {
    try {
      return this.#statement(query).all(...values)
    } catch (cause) {
      throw this.#refusal(cause)
    }
  }

  /** SQLite reports a missing page as damage. In a partial index that is `incomplete-index`. */
  #refusal(cause: unknown): unknown {
    const refused = refusal(this.path, cause)
    return this.#isPartial && refused instanceof IndexFormatError
      ? this.#incomplete(cause)
      : refused
  }

  #incomplete(cause?: unknown): IndexFormatError {
    const message = `read index ${this.path}: a part that is not here yet`
    return new IndexFormatError('incomplete-index', message, { cause })
  }

  #statement(query: QueryName): Query {
    const known = this.#queries.get(query)
    if (known !== undefined) return known
    const statement = this.#connection.prepare<unknown[], Row>(QUERIES[query]).raw()
    this.#queries.set(query, statement)
    return statement
  }
}

const NO_NAME = new Uint8Array(0)
/**
 * A row over 4096 - 35 bytes continues in overflow pages. SQLite would return the zeroes of a
 * missing overflow page as content. Rows with targets up to this length have no overflow pages.
 */
const MAX_LOCAL_TARGET_BYTES = 3_072

/** The inode joined to an entry. `row[at]` is the entry's own `ino`; the inode's columns follow. */
function joinedInode(row: Row, at: number, parent: number): Inode {
  const ino = integerFromRow(row[at], 1, MAX_INO, 'entry', parent, 'ino')
  if (row[at + 1] === null)
    throw invalidRow('entry', parent, `names inode ${ino}, which is not there`)
  return inodeFromRow(row, at + 1)
}
