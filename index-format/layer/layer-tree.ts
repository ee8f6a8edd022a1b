/**
 * The tree of a layer that `LayerBuilder` unpacked: in overlayfs form, with whiteouts and opaque
 * directories. Inode numbers are in the order of the archive. An index has other numbers.
 */
import { type Digest, digestFromBytes, digestOf } from '../digest.js'
import { isRegular } from '../file-mode.js'
import type { PackEntry } from '../pack/pack-inputs.js'
import { DirectoryPages } from '../tree/directory-pages.js'
import type { DirEntry, DirEntryPlus, Extent, Inode, Tree, Xattr } from '../tree/tree.js'
import { PackEntries } from './pack-entries.js'
import type { WorkTree } from './work-tree.js'

interface InodeRow extends Omit<Inode, 'implied'> {
  readonly implied: number
}

export class LayerTree implements Tree {
  readonly #work: WorkTree
  readonly #statements: ReturnType<typeof prepared>
  readonly #pages: DirectoryPages<EntryRow, DirEntry>
  readonly #plusPages: DirectoryPages<PlusRow, DirEntryPlus>
  readonly #packEntries: PackEntries
  /** Most layers have no extended attributes. Then no inode is queried for them. */
  readonly #hasXattrs: boolean
  #closed = false

  constructor(work: WorkTree) {
    this.#work = work
    this.#statements = prepared(work)
    const { readdirFrom, readdirAfter, readdirPlusFrom, readdirPlusAfter } = this.#statements
    this.#pages = new DirectoryPages({
      from: readdirFrom,
      after: readdirAfter,
      entryFromRow: (row, cookie) => ({ ...row, cookie }),
    })
    this.#plusPages = new DirectoryPages({
      from: readdirPlusFrom,
      after: readdirPlusAfter,
      entryFromRow: entryFromPlusRow,
    })
    this.#packEntries = new PackEntries(work.database, (ino) => this.extents(ino))
    this.#hasXattrs = this.#statements.anyXattr.get() !== undefined
  }

  inode(ino: number): Inode | undefined {
    const row = this.#statements.inode.get(ino)
    return row && { ...row, implied: row.implied === 1 }
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#work.find(parent, name)?.ino
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    return this.#pages.read(parent, cookie, limit)
  }

  readdirPlus(parent: number, cookie: number, limit: number): DirEntryPlus[] {
    return this.#plusPages.read(parent, cookie, limit)
  }

  /** The names of a directory, in byte order, with all that packing needs to know of them. */
  packEntries(parent: number): Iterator<PackEntry, undefined> {
    return this.#packEntries.of(parent)
  }

  readlink(ino: number): Uint8Array | undefined {
    return this.#work.target(ino)
  }

  xattrs(ino: number): Xattr[] {
    return this.#hasXattrs ? this.#statements.xattrs.all(ino) : []
  }

  extents(ino: number): Extent[] {
    return this.#statements.extents.all(ino)
  }

  /**
   * SHA-256 of a file's stored bytes, its extents one after the other; `undefined` unless `ino` is
   * a regular file. Two files have the same content if this digest, their sizes and the offsets and
   * lengths of their extents are equal.
   */
  contentDigest(ino: number): Digest | undefined {
    const row = this.#statements.digest.get(ino)
    if (row === undefined || !isRegular(row.mode)) return undefined
    return row.digest === null ? digestOf(new Uint8Array()) : digestFromBytes(row.digest)
  }

  /** Closes the tree's SQLite file. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#work.close()
  }
}

type EntryRow = Omit<DirEntry, 'cookie'>

/** [name, then an inode's columns in the order of `INODE_COLUMNS`]. */
type PlusRow = readonly [
  Buffer,
  ...[number, number, number, number, number, number, number, number, number, number, number],
]

const INODE_COLUMNS =
  'i.ino, i.mode, i.uid, i.gid, i.nlink, i.size, i.stored, i.rdev, i.sec, i.nsec, i.implied'

function entryFromPlusRow(row: PlusRow, cookie: number): DirEntryPlus {
  const [name, ino, mode, uid, gid, nlink, sizeBytes, storedBytes, rdev] = row
  const inode: Inode = {
    ino,
    mode,
    uid,
    gid,
    nlink,
    sizeBytes,
    storedBytes,
    rdev,
    mtimeSec: row[9],
    mtimeNsec: row[10],
    implied: row[11] === 1,
  }
  return { name, ino, mode, cookie, inode }
}

function prepared(work: WorkTree) {
  const db = work.database
  const plus = `SELECT e.name, ${INODE_COLUMNS} FROM entry e JOIN inode i ON i.ino = e.ino WHERE e.parent = ?`
  const entries =
    'SELECT e.name, e.ino, i.mode FROM entry e JOIN inode i ON i.ino = e.ino WHERE e.parent = ?'
  return {
    inode: db.prepare<[number], InodeRow>(
      `SELECT ino, mode, uid, gid, nlink, size AS sizeBytes, stored AS storedBytes, rdev,
              sec AS mtimeSec, nsec AS mtimeNsec, implied FROM inode WHERE ino = ?`,
    ),
    readdirFrom: db.prepare<[number, number, number], EntryRow>(
      `${entries} ORDER BY e.name LIMIT ? OFFSET ?`,
    ),
    readdirAfter: db.prepare<[number, Uint8Array, number], EntryRow>(
      `${entries} AND e.name > ? ORDER BY e.name LIMIT ?`,
    ),
    readdirPlusFrom: db
      .prepare<[number, number, number], PlusRow>(`${plus} ORDER BY e.name LIMIT ? OFFSET ?`)
      .raw(),
    readdirPlusAfter: db
      .prepare<[number, Uint8Array, number], PlusRow>(
        `${plus} AND e.name > ? ORDER BY e.name LIMIT ?`,
      )
      .raw(),
    anyXattr: db.prepare<[], { ino: number }>('SELECT ino FROM xattr LIMIT 1'),
    xattrs: db.prepare<[number], Xattr>(
      'SELECT name, value FROM xattr WHERE ino = ? ORDER BY name',
    ),
    extents: db.prepare<[number], Extent>(
      'SELECT offset, length, 0 AS pack, raw AS rawOffset FROM extent WHERE ino = ? ORDER BY offset',
    ),
    digest: db.prepare<[number], { mode: number; digest: Buffer | null }>(
      'SELECT mode, digest FROM inode WHERE ino = ?',
    ),
  }
}
