/**
 * The registry of the trees that this node serves, and of their slots. It is stored in `trees.db`,
 * an SQLite file in WAL mode, so that dispatcher threads can read while the owner writes. A slot is
 * one half of each node id that the kernel remembers. Therefore a slot is never used twice, not
 * even after its tree was removed (AUTOINCREMENT).
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  type Digest,
  bytesFromDigest,
  digestFromBytes,
  digestFromString,
  hexOf,
} from '../../index-format/reading.js'
import { FusefsError } from '../errors.js'

/** Selects the superblock that serves a tree: `xattr` for trees with extended attributes. */
export type TreeClass = 'plain' | 'xattr'

export interface TreeRecord {
  /** 1 to `SLOT_LIMIT - 1`; 0 for a `SingleTree`. */
  readonly slot: number
  /** Name in the superblock's root directory: the slot in base 36. Empty for a `SingleTree`. */
  readonly name: string
  /** The digest of the index's SQLite file. */
  readonly indexDigest: Digest
  readonly class: TreeClass
  /** URLs of the stores that have the tree's packs, in the order in which to ask them. */
  readonly stores: readonly string[]
}

/** All slots are below this number: node ids are `slot * 2^32 + ino` and must stay below 2^53. */
export const SLOT_LIMIT = 2 ** 21
const MAX_SLOT = SLOT_LIMIT - 1

/** "THTR": SQLite's `application_id` of `trees.db`. */
const APPLICATION_ID = 0x54485452
const SCHEMA_VERSION = 1
const BUSY_TIMEOUT_MS = 5000

const SCHEMA = `
  CREATE TABLE tree (
    slot INTEGER PRIMARY KEY AUTOINCREMENT,
    index_digest BLOB NOT NULL CHECK (length(index_digest) = 32),
    class TEXT NOT NULL CHECK (class IN ('plain', 'xattr')),
    UNIQUE (index_digest, class)
  ) STRICT;
  CREATE TABLE store (
    slot INTEGER NOT NULL REFERENCES tree (slot) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (slot, position),
    UNIQUE (slot, url)
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`

interface TreeRow {
  slot: number
  index_digest: Buffer
  class: TreeClass
}

export class TreeRegistry {
  readonly #dir: string
  readonly #db: Database.Database
  readonly #bySlot: Database.Statement<[number], TreeRow>
  readonly #byIndex: Database.Statement<[Uint8Array], TreeRow>
  readonly #after: Database.Statement<[TreeClass, number, number], TreeRow>
  readonly #all: Database.Statement<[], TreeRow>
  readonly #stores: Database.Statement<[number], string>

  private constructor(dir: string, db: Database.Database) {
    this.#dir = dir
    this.#db = db
    this.#bySlot = db.prepare('SELECT * FROM tree WHERE slot = ?')
    this.#byIndex = db.prepare('SELECT * FROM tree WHERE index_digest = ? ORDER BY slot')
    this.#after = db.prepare(
      'SELECT * FROM tree WHERE class = ? AND slot > ? ORDER BY slot LIMIT ?',
    )
    this.#all = db.prepare('SELECT * FROM tree ORDER BY slot')
    this.#stores = db
      .prepare<[number], string>('SELECT url FROM store WHERE slot = ? ORDER BY position')
      .pluck()
  }

  /**
   * Opens `<dir>/trees.db`. Unless `readonly` (default false), creates the file and the directory
   * `<dir>/indexes/sha256` when they are missing. One process writes; any number of threads read.
   * Throws `tree-unavailable` when the file cannot be opened, or belongs to another program or
   * version. The caller closes the registry.
   */
  static open(options: { dir: string; readonly?: boolean }): TreeRegistry {
    const { dir, readonly = false } = options
    const path = join(dir, 'trees.db')
    if (!readonly) mkdirSync(join(dir, 'indexes', 'sha256'), { recursive: true })
    let db: Database.Database | undefined
    try {
      db = new Database(path, { readonly, fileMustExist: readonly, timeout: BUSY_TIMEOUT_MS })
      if (!readonly) prepareForWriting(db)
      checkVersion(db, path)
      return new TreeRegistry(dir, db)
    } catch (cause) {
      db?.close()
      if (cause instanceof FusefsError) throw cause
      throw new FusefsError('tree-unavailable', `open tree registry ${path}: ${String(cause)}`, {
        cause,
      })
    }
  }

  /**
   * Gives a tree its slot. An index that is already registered in this class keeps its slot, and
   * new stores are appended to its list of stores. The verified index file must already be at
   * `indexPath`, or a partial index at `partialIndexPath`. Throws `tree-unavailable` when all slots
   * are used.
   */
  register(tree: { indexDigest: Digest; class: TreeClass; stores: readonly string[] }): TreeRecord {
    const digest = bytesFromDigest(digestFromString(tree.indexDigest, 'register a tree'))
    const slot = this.#db
      .transaction(() => {
        const slot = this.#slotFor(digest, tree.class)
        const known = new Set(this.#stores.all(slot))
        const insert = this.#db.prepare(
          'INSERT INTO store (slot, position, url) SELECT ?, coalesce(max(position), -1) + 1, ? FROM store WHERE slot = ?',
        )
        for (const url of tree.stores) {
          if (known.has(url)) continue
          known.add(url)
          insert.run(slot, url, slot)
        }
        return slot
      })
      .immediate()
    const record = this.bySlot(slot)
    if (record !== undefined) return record
    throw new FusefsError('tree-unavailable', `register ${tree.indexDigest}: slot ${slot} is gone`)
  }

  /**
   * Removes a tree from the registry. Its slot is never used again. The index file is not deleted.
   * Returns false when no tree has this slot.
   */
  remove(slot: number): boolean {
    return this.#db.prepare('DELETE FROM tree WHERE slot = ?').run(slot).changes > 0
  }

  bySlot(slot: number): TreeRecord | undefined {
    const row = this.#bySlot.get(slot)
    return row === undefined ? undefined : this.#record(row)
  }

  /** The trees served from one index: at most one per class. */
  byIndex(indexDigest: Digest): TreeRecord[] {
    return this.#byIndex.all(bytesFromDigest(indexDigest)).map((row) => this.#record(row))
  }

  /** All trees, in order of slot. */
  list(): TreeRecord[] {
    return this.#all.all().map((row) => this.#record(row))
  }

  /** At most `limit` trees of a class with slots above `slot`, in order of slot. */
  after(treeClass: TreeClass, slot: number, limit: number): TreeRecord[] {
    return this.#after.all(treeClass, slot, limit).map((row) => this.#record(row))
  }

  /** The path of the whole index with this digest. The file need not exist. */
  indexPath(indexDigest: Digest): string {
    return join(this.#dir, 'indexes', 'sha256', hexOf(indexDigest))
  }

  /** The path of the partial index with this digest, used until the whole index has arrived. */
  partialIndexPath(indexDigest: Digest): string {
    return join(this.#dir, 'indexes', 'partial', hexOf(indexDigest))
  }

  /** The file to read this index from: the partial one while only that exists, else the whole. */
  indexFile(indexDigest: Digest): { path: string; isPartial: boolean } {
    const path = this.indexPath(indexDigest)
    if (existsSync(path)) return { path, isPartial: false }
    const partial = this.partialIndexPath(indexDigest)
    // When neither file was found, the whole index may have replaced the partial one in between.
    return existsSync(partial) ? { path: partial, isPartial: true } : { path, isPartial: false }
  }

  /** Closes the database. Idempotent. */
  close(): void {
    this.#db.close()
  }

  #slotFor(digest: Uint8Array, treeClass: TreeClass): number {
    const known = this.#db
      .prepare<[Uint8Array, TreeClass], number>(
        'SELECT slot FROM tree WHERE index_digest = ? AND class = ?',
      )
      .pluck()
      .get(digest, treeClass)
    if (known !== undefined) return known
    const slot = Number(
      this.#db
        .prepare('INSERT INTO tree (index_digest, class) VALUES (?, ?)')
        .run(digest, treeClass).lastInsertRowid,
    )
    if (slot <= MAX_SLOT) return slot
    throw new FusefsError(
      'tree-unavailable',
      `register a tree: slot ${slot} is above ${MAX_SLOT}; start over with an empty ${this.#dir}`,
    )
  }

  #record(row: TreeRow): TreeRecord {
    return {
      slot: row.slot,
      name: nameOfSlot(row.slot),
      indexDigest: digestFromBytes(row.index_digest),
      class: row.class,
      stores: this.#stores.all(row.slot),
    }
  }
}

/** The name of a tree in its superblock's root directory. */
export function nameOfSlot(slot: number): string {
  return slot.toString(36)
}

/** The slot with this name; `undefined` unless `nameOfSlot` gives exactly this spelling. */
export function slotFromName(name: Uint8Array): number | undefined {
  if (name.length === 0 || name.length > 6) return undefined
  const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1')
  const slot = Number.parseInt(text, 36)
  return slot >= 1 && slot <= MAX_SLOT && nameOfSlot(slot) === text ? slot : undefined
}

function prepareForWriting(db: Database.Database): void {
  db.pragma('journal_mode = WAL')
  // Slots must survive a power failure. If a slot were given to a second tree, node ids that the
  // kernel remembers would name other files.
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  db.transaction(() => {
    const empty = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0
    if (empty) db.exec(SCHEMA)
  }).immediate()
}

function checkVersion(db: Database.Database, path: string): void {
  const applicationId = db.pragma('application_id', { simple: true })
  const version = db.pragma('user_version', { simple: true })
  if (applicationId === APPLICATION_ID && version === SCHEMA_VERSION) return
  throw new FusefsError(
    'tree-unavailable',
    `open tree registry ${path}: application ${String(applicationId)} version ${String(version)}, ` +
      `this build reads ${APPLICATION_ID} version ${SCHEMA_VERSION}`,
  )
}
