/**
 * The tree of a layer that was unpacked by `LayerBuilder`: in overlayfs form, whiteouts and opaque
 * directories included. Inode numbers are in the order of the archive; an index gives its own.
 */
import { type Digest, digestFromBytes, digestOf } from '../digest.js'
import { isRegular } from '../file-mode.js'
import type { DirEntry, Extent, Inode, Tree, Xattr } from '../tree/tree.js'
import type { WorkTree } from './work-tree.js'
import { PageEnds } from './page-ends.js'

interface InodeRow extends Omit<Inode, 'implied'> {
  readonly implied: number
}

export class LayerTree implements Tree {
  readonly #work: WorkTree
  readonly #statements: ReturnType<typeof prepared>
  readonly #pageEnds = new PageEnds()
  #closed = false

  constructor(work: WorkTree) {
    this.#work = work
    this.#statements = prepared(work)
  }

  inode(ino: number): Inode | undefined {
    const row = this.#statements.inode.get(ino)
    return row && { ...row, implied: row.implied === 1 }
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#work.find(parent, name)?.ino
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    const after = this.#pageEnds.nameAt(parent, cookie)
    const rows =
      after === undefined
        ? this.#statements.readdirFrom.all(parent, limit, cookie)
        : this.#statements.readdirAfter.all(parent, after, limit)
    const entries = rows.map((row, i) => ({ ...row, cookie: cookie + i + 1 }))
    const last = entries.at(-1)
    if (last !== undefined) this.#pageEnds.remember(parent, last)
    return entries
  }

  readlink(ino: number): Uint8Array | undefined {
    return this.#work.target(ino)
  }

  xattrs(ino: number): Xattr[] {
    return this.#statements.xattrs.all(ino)
  }

  extents(ino: number): Extent[] {
    return this.#statements.extents.all(ino)
  }

  /**
   * SHA-256 of a file's stored bytes, its extents one after the other; `undefined` unless `ino` is a
   * regular file. Two files are equal when this, their sizes and the places of their extents are.
   */
  contentDigest(ino: number): Digest | undefined {
    const row = this.#statements.digest.get(ino)
    if (row === undefined || !isRegular(row.mode)) return undefined
    return row.digest === null ? digestOf(new Uint8Array()) : digestFromBytes(row.digest)
  }

  /** Deletes the tree. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#work.close()
  }
}

function prepared(work: WorkTree) {
  const db = work.database
  const entries =
    'SELECT e.name, e.ino, i.mode FROM entry e JOIN inode i ON i.ino = e.ino WHERE e.parent = ?'
  return {
    inode: db.prepare<[number], InodeRow>(
      `SELECT ino, mode, uid, gid, nlink, size AS sizeBytes, stored AS storedBytes, rdev,
              sec AS mtimeSec, nsec AS mtimeNsec, implied FROM inode WHERE ino = ?`,
    ),
    readdirFrom: db.prepare<[number, number, number], Omit<DirEntry, 'cookie'>>(
      `${entries} ORDER BY e.name LIMIT ? OFFSET ?`,
    ),
    readdirAfter: db.prepare<[number, Uint8Array, number], Omit<DirEntry, 'cookie'>>(
      `${entries} AND e.name > ? ORDER BY e.name LIMIT ?`,
    ),
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
