/**
 * Writes a tree into an index file, breadth first: the children of a directory get consecutive
 * inode numbers in byte order of name, and directories are visited in the order of their numbers.
 * So every table is filled in key order, which is fastest and gives the smallest file. The same
 * tree gives the same bytes. Memory grows by a few words for each directory and hard link.
 */
import { existsSync, rmSync } from 'node:fs'
import Database, { type Database as Connection, type Statement } from 'better-sqlite3'
import { bytesFromDigest, type Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { isDirectory, isRegular, isSymlink } from '../file-mode.js'
import { MAX_INO, MAX_PACKS } from '../limits.js'
import type { PackTable } from '../pack/pack-table.js'
import {
  type DirEntry,
  type DirEntryPlus,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
} from '../tree/tree.js'
import { checkedInode, checkedName, checkedTarget, checkedXattrs } from './checked.js'
import { checkedExtents } from './checked-extents.js'
import { type IndexKind, type IndexMeta, rowsFromMeta } from './index-meta.js'
import { APPLICATION_ID, INDEX_VERSION, PAGE_BYTES, TABLES } from './schema.js'
import { sealIndex } from './seal.js'

export interface WriteIndexOptions {
  /** The file to write; it must not exist. */
  readonly path: string
  readonly kind: IndexKind
  /** The packs that extents may refer to. Only packs with an extent are written into the index. */
  readonly packs: readonly PackTable[]
  /**
   * The extents of a regular file, where `pack` is a position in `packs`, from 0. Default: the
   * tree's own extents, if the tree numbers packs in this way.
   */
  readonly extentsOf?: (treeIno: number) => readonly Extent[]
  /** Checked between batches of a directory. */
  readonly signal?: AbortSignal
}

export interface WrittenIndex {
  /** Digest of the whole file. */
  readonly digest: Digest
  readonly sizeBytes: number
  readonly meta: IndexMeta
}

/** Entries asked of a tree at once. */
const BATCH = 1024
const CACHE_KIB = 16 * 1024

/**
 * Writes `tree` into an index file. Throws `invalid-index` or `limit-exceeded`, naming the inode,
 * if the tree breaks a rule or limit of the format, `invalid-index` if the file exists, and the
 * signal's reason when it is aborted. A failure leaves no file that was not there before.
 */
export function writeIndex(tree: Tree, options: WriteIndexOptions): WrittenIndex {
  const { path } = options
  if (existsSync(path)) {
    throw new IndexFormatError('invalid-index', `write index ${path}: the file exists`)
  }
  try {
    const connection = new Database(path)
    let meta
    try {
      prepareFile(connection)
      connection.exec('BEGIN')
      meta = new IndexWriter(tree, options, connection).write()
      connection.exec('COMMIT')
    } finally {
      connection.close()
    }
    return { ...sealIndex(path), meta }
  } catch (cause) {
    rmSync(path, { force: true })
    throw cause
  }
}

function prepareFile(connection: Connection): void {
  connection.pragma(`page_size=${PAGE_BYTES}`)
  connection.pragma('auto_vacuum=NONE')
  connection.pragma("encoding='UTF-8'")
  connection.pragma('journal_mode=OFF')
  connection.pragma('synchronous=OFF')
  connection.pragma('locking_mode=EXCLUSIVE')
  // SQLite zeroes the space that it frees: the file has no leftovers, and compresses better.
  connection.pragma('secure_delete=ON')
  connection.pragma(`cache_size=-${CACHE_KIB}`)
  connection.pragma(`application_id=${APPLICATION_ID}`)
  connection.pragma(`user_version=${INDEX_VERSION}`)
  for (const table of TABLES) connection.exec(table.sql)
}

type Insert = Statement

class IndexWriter {
  readonly #tree: Tree
  readonly #options: WriteIndexOptions
  readonly #connection: Connection
  readonly #insertInode: Insert
  readonly #insertEntry: Insert
  readonly #insertXattr: Insert
  readonly #insertExtent: Insert
  /** Directories in the order of their new inode numbers: [ino in the tree, new ino] in turn. */
  readonly #directories: number[] = []
  /** The directories of the tree that have been numbered. */
  readonly #seen = new Set<number>()
  /** New inode numbers of non-directories that may have further names. */
  readonly #linked = new Map<number, number>()
  /** A pack's key in the index, by its position in `options.packs`. Keys follow the first use. */
  readonly #packKeys = new Map<number, number>()
  readonly #extentsOf: (treeIno: number) => readonly Extent[]
  readonly #counts = { inodes: 0, entries: 0, files: 0, frames: 0, sizeBytes: 0, storedBytes: 0 }
  #xattrs = false

  constructor(tree: Tree, options: WriteIndexOptions, connection: Connection) {
    this.#tree = tree
    this.#options = options
    this.#connection = connection
    this.#extentsOf = options.extentsOf ?? ((ino) => tree.extents(ino))
    this.#insertInode = connection.prepare('INSERT INTO inode VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)')
    this.#insertEntry = connection.prepare('INSERT INTO entry VALUES(?,?,?)')
    this.#insertXattr = connection.prepare('INSERT INTO xattr VALUES(?,?,?)')
    this.#insertExtent = connection.prepare('INSERT INTO extent VALUES(?,?,?,?,?)')
  }

  write(): IndexMeta {
    const root = this.#inode(ROOT_INO)
    if (!isDirectory(root.mode)) throw refused(ROOT_INO, 'the root is not a directory')
    this.#writeInode(root)
    for (let at = 0; at < this.#directories.length; at += 2) {
      this.#writeDirectory(this.#directories[at] ?? 0, this.#directories[at + 1] ?? 0)
    }
    this.#writePacks()
    const meta = {
      kind: this.#options.kind,
      ...this.#counts,
      packs: this.#packKeys.size,
      xattrs: this.#xattrs,
    }
    const insert = this.#connection.prepare('INSERT INTO meta VALUES(?,?)')
    for (const row of rowsFromMeta(meta)) insert.run(row)
    return meta
  }

  #writeDirectory(treeIno: number, ino: number): void {
    let cookie = 0
    let previous: Uint8Array | undefined
    for (;;) {
      this.#options.signal?.throwIfAborted()
      const entries: readonly (DirEntry | DirEntryPlus)[] =
        this.#tree.readdirPlus?.(treeIno, cookie, BATCH) ??
        this.#tree.readdir(treeIno, cookie, BATCH)
      for (const entry of entries) {
        if (previous !== undefined && Buffer.compare(previous, entry.name) >= 0) {
          throw refused(treeIno, 'the tree does not list its names in order')
        }
        this.#writeEntry(ino, entry)
        previous = entry.name
      }
      const last = entries.at(-1)
      if (last === undefined) return
      cookie = last.cookie
    }
  }

  #writeEntry(parent: number, entry: DirEntry | DirEntryPlus): void {
    checkedName(entry.name, parent)
    this.#counts.entries++
    const ino = this.#linked.get(entry.ino) ?? this.#writeInode(this.#inodeOf(entry))
    this.#insertEntry.run(parent, entry.name, ino)
  }

  /** Gives the inode its new number and writes all its rows. */
  #writeInode(inode: Inode): number {
    const ino = ++this.#counts.inodes
    if (ino > MAX_INO) {
      throw new IndexFormatError('limit-exceeded', `write index: more than ${MAX_INO} inodes`)
    }
    const regular = isRegular(inode.mode)
    if (isDirectory(inode.mode)) this.#addDirectory(inode.ino, ino)
    else if (inode.nlink > 1) this.#linked.set(inode.ino, ino)
    const target = isSymlink(inode.mode)
      ? checkedTarget(this.#tree.readlink(inode.ino), inode)
      : undefined
    const extents = regular ? this.#extents(inode) : []
    const inline = isWholeFile(extents, inode) ? extents[0] : undefined
    this.#insertInode.run(
      ino,
      inode.mode,
      inode.uid,
      inode.gid,
      inode.nlink,
      inode.sizeBytes,
      regular ? inode.sizeBytes - inode.storedBytes : 0,
      inode.rdev,
      inode.mtimeSec,
      inode.mtimeNsec,
      inode.implied ? 1 : 0,
      inline?.pack ?? null,
      inline?.rawOffset ?? null,
      target ?? null,
    )
    if (inline === undefined) {
      for (const extent of extents) {
        const { offset, length, pack, rawOffset } = extent
        this.#insertExtent.run(ino, offset, length, pack, rawOffset)
      }
    }
    this.#writeXattrs(inode.ino, ino)
    return ino
  }

  #addDirectory(treeIno: number, ino: number): void {
    if (this.#seen.has(treeIno))
      throw refused(treeIno, 'a directory with two names, or below itself')
    this.#seen.add(treeIno)
    this.#directories.push(treeIno, ino)
  }

  /** The file's extents with the pack keys of this index. */
  #extents(inode: Inode): Extent[] {
    this.#counts.files++
    this.#counts.sizeBytes += inode.sizeBytes
    this.#counts.storedBytes += inode.storedBytes
    const extents = this.#extentsOf(inode.ino)
    checkedExtents(extents, inode, this.#options.packs)
    return extents.map((extent) => ({ ...extent, pack: this.#packKey(extent.pack) }))
  }

  #packKey(position: number): number {
    const known = this.#packKeys.get(position)
    if (known !== undefined) return known
    const key = this.#packKeys.size + 1
    if (key > MAX_PACKS) {
      throw new IndexFormatError('limit-exceeded', `write index: more than ${MAX_PACKS} packs`)
    }
    this.#packKeys.set(position, key)
    return key
  }

  #writeXattrs(treeIno: number, ino: number): void {
    for (const { name, value } of checkedXattrs(this.#tree.xattrs(treeIno), treeIno)) {
      this.#xattrs = true
      this.#insertXattr.run(ino, name, value)
    }
  }

  #writePacks(): void {
    const insertPack = this.#connection.prepare('INSERT INTO pack VALUES(?,?,?,?)')
    const insertFrame = this.#connection.prepare('INSERT INTO frame VALUES(?,?,?,?,?,?)')
    for (const [position, key] of this.#packKeys) {
      const pack = this.#options.packs[position]
      if (pack === undefined) continue
      insertPack.run(key, bytesFromDigest(pack.digest), pack.sizeBytes, pack.rawSizeBytes)
      for (const frame of pack.frames) {
        const { rawOffset, rawSizeBytes, offset, sizeBytes } = frame
        const digest = bytesFromDigest(frame.digest)
        insertFrame.run(key, rawOffset, rawSizeBytes, offset, sizeBytes, digest)
        this.#counts.frames++
      }
    }
  }

  #inodeOf(entry: DirEntry | DirEntryPlus): Inode {
    return 'inode' in entry ? checkedInode(entry.inode) : this.#inode(entry.ino)
  }

  #inode(treeIno: number): Inode {
    const inode = this.#tree.inode(treeIno)
    if (inode === undefined) throw refused(treeIno, 'a name leads to it, but it is not in the tree')
    return checkedInode(inode)
  }
}

function isWholeFile(extents: readonly Extent[], inode: Inode): boolean {
  return extents.length === 1 && extents[0]?.length === inode.sizeBytes
}

function refused(treeIno: number, complaint: string): IndexFormatError {
  return new IndexFormatError('invalid-index', `write index: inode ${treeIno}: ${complaint}`)
}
