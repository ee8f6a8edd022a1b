/**
 * The tree of a layer while it is unpacked: tables in a private SQLite file, so that memory does
 * not grow with the layer. The file is never opened again, so it needs no journal and no sync, and
 * all changes are one transaction. Invariant between calls: every entry's inode exists, and every
 * inode but the root has an entry.
 */
import Database from 'better-sqlite3'
import { isDirectory } from '../file-mode.js'
import { ROOT_INO, type Extent } from '../tree/tree.js'
import type { XattrMap } from './member-xattrs.js'

/** SQLite's page cache while the layer is unpacked, and once its tree is only read. */
const CACHE_KIB = 16 * 1024
const FINISHED_CACHE_KIB = 2 * 1024

const SCHEMA = `
  CREATE TABLE inode (
    ino INTEGER PRIMARY KEY, mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
    nlink INTEGER NOT NULL, size INTEGER NOT NULL, stored INTEGER NOT NULL, rdev INTEGER NOT NULL,
    sec INTEGER NOT NULL, nsec INTEGER NOT NULL, implied INTEGER NOT NULL, target BLOB, digest BLOB
  ) STRICT;
  CREATE TABLE entry (
    parent INTEGER NOT NULL, name BLOB NOT NULL, ino INTEGER NOT NULL, PRIMARY KEY (parent, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE xattr (
    ino INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (ino, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE extent (
    ino INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, raw INTEGER NOT NULL,
    PRIMARY KEY (ino, offset)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dirtime (
    seq INTEGER PRIMARY KEY, path BLOB NOT NULL, sec INTEGER NOT NULL, nsec INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE pending (
    ino INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, path BLOB NOT NULL,
    target BLOB NOT NULL
  ) STRICT;`

/** The attributes of a new inode. */
export interface NewInode {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly storedBytes: number
  readonly rdev: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly implied: boolean
  /** Target of a symlink; null for others. */
  readonly target: Uint8Array | null
  /** SHA-256 of a file's stored bytes; null if there are none. */
  readonly digest: Uint8Array | null
}

/** The inode of a name. */
export interface Found {
  readonly ino: number
  readonly mode: number
}

/** A hard link that came before its target. `ino` is a placeholder inode with mode 0. */
export interface PendingLink {
  readonly ino: number
  readonly parent: number
  readonly name: Buffer
  /** The member's own path, cleaned. */
  readonly path: Buffer
  /** The path of its target, cleaned. */
  readonly target: Buffer
}

export interface DirectoryTime {
  readonly path: Buffer
  readonly sec: number
  readonly nsec: number
}

export class WorkTree {
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepared>
  #lastIno = ROOT_INO

  private constructor(db: Database.Database) {
    this.#db = db
    this.#statements = prepared(db)
  }

  /**
   * A tree with only a root: mode 0755, owner 0:0. `file` must not exist. For an empty string, the
   * usual case, SQLite makes a temporary file and deletes it at `close`. The caller closes it.
   */
  static create(file: string): WorkTree {
    const db = new Database(file)
    db.pragma('journal_mode = OFF')
    db.pragma('synchronous = OFF')
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma(`cache_size = -${CACHE_KIB}`)
    db.exec('BEGIN')
    db.exec(SCHEMA)
    const tree = new WorkTree(db)
    tree.#insertInode(ROOT_INO, 2, {
      mode: 0o040755,
      uid: 0,
      gid: 0,
      sizeBytes: 4096,
      storedBytes: 0,
      rdev: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      implied: true,
      target: null,
      digest: null,
    })
    return tree
  }

  /** The database, for readers of the finished tree. */
  get database(): Database.Database {
    return this.#db
  }

  find(parent: number, name: Uint8Array): Found | undefined {
    return this.#statements.find.get(parent, name)
  }

  /** Makes a new inode under a name. If the name is taken, does nothing and returns `undefined`. */
  create(parent: number, name: Uint8Array, inode: NewInode): number | undefined {
    const ino = this.#lastIno + 1
    if (this.#statements.addEntry.run(parent, name, ino).changes === 0) return undefined
    this.#lastIno = ino
    const directory = isDirectory(inode.mode)
    this.#insertInode(ino, directory ? 2 : 1, inode)
    if (directory) this.#statements.addLinks.run(1, parent)
    return ino
  }

  /** Gives an inode that is not a directory another name. The name must be free. */
  link(parent: number, name: Uint8Array, ino: number): void {
    this.#statements.addEntry.run(parent, name, ino)
    this.#statements.addLinks.run(1, ino)
  }

  /** Removes a name. With its last name, removes the inode and, for a directory, all below it. */
  remove(parent: number, name: Uint8Array, found: Found): void {
    this.#statements.removeEntry.run(parent, name)
    if (!isDirectory(found.mode)) {
      this.#dropLink(found.ino)
      return
    }
    this.#statements.addLinks.run(-1, parent)
    const left = [found.ino]
    for (let ino = left.pop(); ino !== undefined; ino = left.pop()) {
      for (const child of this.#statements.children.all(ino)) {
        if (isDirectory(child.mode)) left.push(child.ino)
        else this.#dropLink(child.ino)
      }
      this.#statements.removeEntries.run(ino)
      this.#removeInode(ino)
    }
  }

  inodeMode(ino: number): number {
    return this.#statements.owner.get(ino)?.mode ?? 0
  }

  /** Owner and mode of an inode. If there is no such inode: owner -1:-1, mode 0. */
  owner(ino: number): { readonly uid: number; readonly gid: number; readonly mode: number } {
    return this.#statements.owner.get(ino) ?? { uid: -1, gid: -1, mode: 0 }
  }

  setAttributes(
    ino: number,
    to: { readonly mode: number; readonly uid: number; readonly gid: number },
  ): void {
    this.#statements.setAttributes.run(to.mode, to.uid, to.gid, ino)
  }

  setTime(ino: number, sec: number, nsec: number): void {
    this.#statements.setTime.run(sec, nsec, ino)
  }

  /** A symlink's target. */
  target(ino: number): Buffer | undefined {
    return this.#statements.target.get(ino)?.target ?? undefined
  }

  xattrs(ino: number): XattrMap {
    const map: XattrMap = new Map()
    for (const { name, value } of this.#statements.xattrs.all(ino)) {
      map.set(name.toString('latin1'), value)
    }
    return map
  }

  setXattrs(ino: number, xattrs: XattrMap): void {
    this.#statements.removeXattrs.run(ino)
    for (const [name, value] of xattrs) {
      this.#statements.addXattr.run(ino, Buffer.from(name, 'latin1'), value)
    }
  }

  addExtent(ino: number, { offset, length, rawOffset }: Extent): void {
    this.#statements.addExtent.run(ino, offset, length, rawOffset)
  }

  addDirectoryTime(path: Uint8Array, sec: number, nsec: number): void {
    this.#statements.addDirectoryTime.run(path, sec, nsec)
  }

  directoryTimes(): IterableIterator<DirectoryTime> {
    return this.#pages(
      (after) => this.#statements.directoryTimes.all(after),
      (row) => row.seq,
    )
  }

  addPendingLink({ ino, parent, name, path, target }: PendingLink): void {
    this.#statements.addPending.run(ino, parent, name, path, target)
  }

  pendingLink(ino: number): PendingLink | undefined {
    return this.#statements.pending.get(ino)
  }

  pendingLinks(): IterableIterator<PendingLink> {
    return this.#pages(
      (after) => this.#statements.pendings.all(after),
      (row) => row.ino,
    )
  }

  /** Ends the transaction: from now on the tree is only read. */
  finish(): void {
    this.#db.exec('COMMIT')
    this.#db.pragma(`cache_size = -${FINISHED_CACHE_KIB}`)
    this.#db.pragma('shrink_memory')
  }

  close(): void {
    this.#db.close()
  }

  /** Rows in pages: to iterate over a statement would lock the connection against changes. */
  *#pages<Row>(page: (after: number) => Row[], key: (row: Row) => number): IterableIterator<Row> {
    for (let rows = page(0); rows.length > 0;) {
      yield* rows
      const last = rows.at(-1)
      rows = last === undefined ? [] : page(key(last))
    }
  }

  #insertInode(ino: number, nlink: number, inode: NewInode): void {
    this.#statements.addInode.run(
      ino,
      inode.mode,
      inode.uid,
      inode.gid,
      nlink,
      inode.sizeBytes,
      inode.storedBytes,
      inode.rdev,
      inode.mtimeSec,
      inode.mtimeNsec,
      inode.implied ? 1 : 0,
      inode.target,
      inode.digest,
    )
  }

  #dropLink(ino: number): void {
    this.#statements.addLinks.run(-1, ino)
    if (this.#statements.links.get(ino)?.nlink === 0) this.#removeInode(ino)
  }

  #removeInode(ino: number): void {
    this.#statements.removeInode.run(ino)
    this.#statements.removeXattrs.run(ino)
    this.#statements.removeExtents.run(ino)
  }
}

type Bytes = Uint8Array
type Row13 = [
  ...[number, number, number, number, number, number, number, number, number, number, number],
  Bytes | null,
  Bytes | null,
]

function prepared(db: Database.Database) {
  return {
    find: db.prepare<[number, Bytes], Found>(
      'SELECT i.ino, i.mode FROM entry e JOIN inode i ON i.ino = e.ino WHERE e.parent = ? AND e.name = ?',
    ),
    addEntry: db.prepare<[number, Bytes, number]>('INSERT OR IGNORE INTO entry VALUES (?, ?, ?)'),
    removeEntry: db.prepare<[number, Bytes]>('DELETE FROM entry WHERE parent = ? AND name = ?'),
    removeEntries: db.prepare<[number]>('DELETE FROM entry WHERE parent = ?'),
    children: db.prepare<[number], Found>(
      'SELECT i.ino, i.mode FROM entry e JOIN inode i ON i.ino = e.ino WHERE e.parent = ?',
    ),
    addInode: db.prepare<Row13>('INSERT INTO inode VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    addLinks: db.prepare<[number, number]>('UPDATE inode SET nlink = nlink + ? WHERE ino = ?'),
    links: db.prepare<[number], { nlink: number }>('SELECT nlink FROM inode WHERE ino = ?'),
    removeInode: db.prepare<[number]>('DELETE FROM inode WHERE ino = ?'),
    owner: db.prepare<[number], { uid: number; gid: number; mode: number }>(
      'SELECT uid, gid, mode FROM inode WHERE ino = ?',
    ),
    setAttributes: db.prepare<[number, number, number, number]>(
      'UPDATE inode SET mode = ?, uid = ?, gid = ?, implied = 0 WHERE ino = ?',
    ),
    setTime: db.prepare<[number, number, number]>(
      'UPDATE inode SET sec = ?, nsec = ? WHERE ino = ?',
    ),
    target: db.prepare<[number], { target: Buffer | null }>(
      'SELECT target FROM inode WHERE ino = ?',
    ),
    xattrs: db.prepare<[number], { name: Buffer; value: Buffer }>(
      'SELECT name, value FROM xattr WHERE ino = ?',
    ),
    removeXattrs: db.prepare<[number]>('DELETE FROM xattr WHERE ino = ?'),
    addXattr: db.prepare<[number, Bytes, Bytes]>('INSERT INTO xattr VALUES (?, ?, ?)'),
    addExtent: db.prepare<[number, number, number, number]>(
      'INSERT INTO extent VALUES (?, ?, ?, ?)',
    ),
    removeExtents: db.prepare<[number]>('DELETE FROM extent WHERE ino = ?'),
    addDirectoryTime: db.prepare<[Bytes, number, number]>(
      'INSERT INTO dirtime (path, sec, nsec) VALUES (?, ?, ?)',
    ),
    directoryTimes: db.prepare<[number], DirectoryTime & { seq: number }>(
      'SELECT seq, path, sec, nsec FROM dirtime WHERE seq > ? ORDER BY seq LIMIT 1000',
    ),
    addPending: db.prepare<[number, number, Bytes, Bytes, Bytes]>(
      'INSERT INTO pending VALUES (?, ?, ?, ?, ?)',
    ),
    pending: db.prepare<[number], PendingLink>('SELECT * FROM pending WHERE ino = ?'),
    pendings: db.prepare<[number], PendingLink>(
      'SELECT * FROM pending WHERE ino > ? ORDER BY ino LIMIT 1000',
    ),
  }
}
