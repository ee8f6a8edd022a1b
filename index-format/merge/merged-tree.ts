/**
 * All layers of an image as one tree: the tree that the kernel's overlayfs shows over containerd's
 * unpacked layers. A directory that only one layer has is read from that layer. The listing of a
 * directory that several layers have is merged once and kept in a private SQLite file, so that
 * memory does not grow with the image. An inode number contains the layer and the inode number in
 * that layer.
 */
import Database from 'better-sqlite3'
import { isDirectory } from '../file-mode.js'
import { isWhiteout, visibleXattrs } from '../layer/whiteout.js'
import { DirectoryPages } from '../tree/directory-pages.js'
import {
  type DirEntry,
  type DirEntryPlus,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from '../tree/tree.js'
import { isWhiteoutEntry, type LayerDirectory, mergedEntries } from './directory-merge.js'
import { EMPTY_TREE } from './empty-tree.js'
import { ResolvedLayer } from './resolved-layer.js'

export interface MergedTreeOptions {
  /**
   * The SQLite file for the merged listings. It must not exist, and the caller deletes it. Default:
   * a file in SQLite's temporary directory, deleted at `close`.
   */
  readonly workFile?: string
  /** Checked between directories. */
  readonly signal?: AbortSignal
}

/** Where an inode of a merged tree comes from. */
export interface Origin {
  /** Position in the list of layers, 0 at the bottom. */
  readonly layer: number
  /** Inode number in that layer's tree. */
  readonly ino: number
}

/** Above every inode number of a layer: layer and inode number make one exact number. */
const LAYER_STRIDE = 2 ** 32
const CACHE_KIB = 16 * 1024

const SCHEMA = `
  CREATE TABLE directory (ino INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE entry (
    parent INTEGER NOT NULL, name BLOB NOT NULL, ino INTEGER NOT NULL, mode INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
  ) STRICT, WITHOUT ROWID;`

export class MergedTree implements Tree {
  readonly #layers: readonly Tree[]
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepared>
  readonly #pages: DirectoryPages<EntryRow, DirEntry>

  private constructor(layers: readonly Tree[], db: Database.Database) {
    this.#layers = layers
    this.#db = db
    this.#statements = prepared(db)
    this.#pages = new DirectoryPages({
      from: this.#statements.readdirFrom,
      after: this.#statements.readdirAfter,
      entryFromRow: (row, cookie) => ({ ...row, cookie }),
    })
  }

  /**
   * Merges `layers`, bottom first, in overlayfs form. Their implied directories are resolved here.
   * The caller closes the layers, after this tree, and closes this tree. Throws the signal's reason
   * when it is aborted.
   */
  static create(layers: readonly Tree[], options: MergedTreeOptions = {}): MergedTree {
    const resolved: Tree[] = []
    for (const layer of layers) {
      options.signal?.throwIfAborted()
      resolved.push(ResolvedLayer.create(layer, resolved))
    }
    if (resolved.length === 0) resolved.push(EMPTY_TREE)
    const db = new Database(options.workFile ?? '')
    try {
      db.pragma('journal_mode = OFF')
      db.pragma('synchronous = OFF')
      db.pragma(`cache_size = -${CACHE_KIB}`)
      db.exec('BEGIN')
      db.exec(SCHEMA)
      const tree = new MergedTree(resolved, db)
      tree.#merge(options.signal)
      db.exec('COMMIT')
      return tree
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** The layer and inode that an inode comes from. Its extents have that layer's pack numbers. */
  origin(ino: number): Origin {
    if (ino === ROOT_INO) return { layer: this.#layers.length - 1, ino: ROOT_INO }
    return { layer: Math.floor(ino / LAYER_STRIDE), ino: ino % LAYER_STRIDE }
  }

  inode(ino: number): Inode | undefined {
    const origin = this.origin(ino)
    const own = this.#layers[origin.layer]?.inode(origin.ino)
    if (own === undefined || isWhiteout(own)) return undefined
    const merged = isDirectory(own.mode) && this.#isMerged(ino)
    return { ...own, ino, nlink: merged ? 1 : own.nlink, implied: false }
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    if (this.#isMerged(parent)) return this.#statements.lookup.get(parent, name)?.ino
    const { layer, ino } = this.origin(parent)
    const child = this.#layers[layer]?.lookup(ino, name)
    if (child === undefined) return undefined
    const found = inoOf(layer, child)
    return this.inode(found) === undefined ? undefined : found
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    return this.#isMerged(parent)
      ? this.#pages.read(parent, cookie, limit)
      : this.#readLayer(parent, cookie, limit)
  }

  /** `undefined` for a directory that several layers have: its inodes are in different trees. */
  readdirPlus(parent: number, cookie: number, limit: number): DirEntryPlus[] | undefined {
    if (this.#isMerged(parent)) return undefined
    const { layer, ino } = this.origin(parent)
    const tree = this.#layers[layer]
    for (let at = cookie; ;) {
      const all = tree?.readdirPlus?.(ino, at, limit)
      const last = all?.at(-1)
      if (all === undefined || last === undefined) return all
      const seen = all.filter(({ inode }) => !isWhiteout(inode))
      if (seen.length > 0) return seen.map((entry) => inLayer(layer, entry))
      at = last.cookie
    }
  }

  readlink(ino: number): Uint8Array | undefined {
    const origin = this.origin(ino)
    return this.#layers[origin.layer]?.readlink(origin.ino)
  }

  /** Without overlayfs's own attributes, which a mount does not show. */
  xattrs(ino: number): Xattr[] {
    const origin = this.origin(ino)
    return visibleXattrs(this.#layers[origin.layer]?.xattrs(origin.ino) ?? [])
  }

  /** With the pack numbers of the layer that `origin` names. */
  extents(ino: number): Extent[] {
    const origin = this.origin(ino)
    return this.#layers[origin.layer]?.extents(origin.ino) ?? []
  }

  /** Closes the file of the merged listings. The layers stay open. Idempotent. */
  close(): void {
    if (this.#db.open) this.#db.close()
  }

  #merge(signal: AbortSignal | undefined): void {
    const roots = this.#layers.map((_, layer) => ({ layer, ino: ROOT_INO })).reverse()
    if (roots.length < 2) return
    const left = [{ ino: ROOT_INO, stack: roots as readonly LayerDirectory[] }]
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      signal?.throwIfAborted()
      this.#statements.addDirectory.run(next.ino)
      for (const { name, mode, stack } of mergedEntries(this.#layers, next.stack)) {
        const [top] = stack
        if (top === undefined) continue
        const ino = inoOf(top.layer, top.ino)
        this.#statements.addEntry.run(next.ino, name, ino, mode)
        if (stack.length > 1) left.push({ ino, stack })
      }
    }
  }

  /** Whether a directory is merged from directories of several layers. */
  #isMerged(ino: number): boolean {
    return this.#statements.directory.get(ino) !== undefined
  }

  /** Lists a directory of one layer. Cookies are the layer's own: whiteouts leave gaps in them. */
  #readLayer(parent: number, cookie: number, limit: number): DirEntry[] {
    const { layer, ino } = this.origin(parent)
    const tree = this.#layers[layer]
    for (let at = cookie; tree !== undefined;) {
      const all = tree.readdir(ino, at, limit)
      const last = all.at(-1)
      if (last === undefined) break
      const seen = all.filter((entry) => !isWhiteoutEntry(tree, entry))
      if (seen.length > 0) return seen.map((entry) => ({ ...entry, ino: inoOf(layer, entry.ino) }))
      at = last.cookie
    }
    return []
  }
}

function inoOf(layer: number, ino: number): number {
  return layer * LAYER_STRIDE + ino
}

/** Renumbers an entry of a directory that only one layer has. Its attributes are the layer's. */
function inLayer(layer: number, entry: DirEntryPlus): DirEntryPlus {
  const ino = inoOf(layer, entry.ino)
  return { ...entry, ino, inode: { ...entry.inode, ino, implied: false } }
}

type EntryRow = Omit<DirEntry, 'cookie'>

function prepared(db: Database.Database) {
  const entries = 'SELECT name, ino, mode FROM entry WHERE parent = ?'
  return {
    directory: db.prepare<[number], { ino: number }>('SELECT ino FROM directory WHERE ino = ?'),
    addDirectory: db.prepare<[number]>('INSERT INTO directory VALUES (?)'),
    lookup: db.prepare<[number, Uint8Array], { ino: number }>(
      'SELECT ino FROM entry WHERE parent = ? AND name = ?',
    ),
    addEntry: db.prepare<[number, Uint8Array, number, number]>(
      'INSERT INTO entry VALUES (?, ?, ?, ?)',
    ),
    readdirFrom: db.prepare<[number, number, number], EntryRow>(
      `${entries} ORDER BY name LIMIT ? OFFSET ?`,
    ),
    readdirAfter: db.prepare<[number, Uint8Array, number], EntryRow>(
      `${entries} AND name > ? ORDER BY name LIMIT ?`,
    ),
  }
}
